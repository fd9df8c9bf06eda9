// requester.h — has a job done by somebody else: choose a provider, offer, send parts, follow,
// verify, retry elsewhere.
//
// The mirror of provider.h, over the same kind of interfaces, so the same object file serves
// network and simulation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/stream.h"
#include "protocol/manifest/manifest.h"
#include "protocol/offer/frame.h"
#include "protocol/receipt/receipt.h"
#include "protocol/requester/record.h"
#include "protocol/verify/verify.h"

namespace phase::requester {

/// A provider that can be asked, with what it signed about itself.
struct Candidate {
  identity::PublicKey key;
  offer::Capabilities capabilities;
  std::optional<Duration> round_trip;  ///< measured by us; absent: unknown
};

/// What a provider must offer.
struct Wanted {
  std::string kind;             ///< "wasm", "inference"
  std::string arch;             ///< empty: any
  std::optional<Sha256> model;  ///< content id of a model it has
  friend auto operator<=>(const Wanted&, const Wanted&) = default;
};

/// Ways to providers. Production: src/peer (DHT, mDNS, libp2p streams). Also: this node itself, in
/// memory.
class Network {
 public:
  virtual ~Network() = default;
  /// Those who offer what is wanted, best first by what the network knows. May be empty.
  [[nodiscard]] virtual Task<Result<std::vector<Candidate>>> find(Wanted wanted,
                                                                  Deadline deadline) = 0;
  /// Opens a stream to one of them. Errors: Code::unavailable, timed_out.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey provider,
                                                                       std::string protocol,
                                                                       Deadline deadline) = 0;
};

/// Where the job's stdin comes from. `read` returns the next piece, empty at its end. Before the
/// first byte was handed out, and for sources that can, `rewind` allows a retry elsewhere. `read`
/// completes early (Code::cancelled) when the coroutine's cancellation slot fires: an attempt that
/// ended waits for it.
class StdinSource {
 public:
  virtual ~StdinSource() = default;
  [[nodiscard]] virtual Task<Result<Bytes>> read() = 0;
  [[nodiscard]] virtual bool rewind() = 0;
};

struct Outcome;
class RevealGate;

/// Hears what happens, in order, on the requester's executor. Calls must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_attempt(const identity::PublicKey& provider,
                          const manifest::SignedManifest& manifest) = 0;
  virtual void on_accepted() = 0;
  /// Output of the attempt that runs now. A retry after output calls on_restart first; what was
  /// heard before is void.
  virtual void on_output(const job::OutputPiece& piece) = 0;
  virtual void on_checkpoint(const receipt::Checkpoint& checkpoint) = 0;
  virtual void on_progress(const offer::Progress& progress) = 0;
  /// The run ended over there and the provider is bound to its output (requests with a gate).
  virtual void on_commit() {}
  /// An attempt ended with a receipt, good or bad; `run` returns the last of these.
  virtual void on_outcome(const Outcome&) {}
  virtual void on_attempt_failed(const identity::PublicKey& provider, const Error& error) = 0;
  virtual void on_restart() = 0;
};

struct Request {
  job::Job job;                         ///< input commitment absent: streamed
  std::shared_ptr<const Bytes> module;  ///< immutable, shared with the job book; null where the
                                        ///< kind has none
  manifest::Requirements requirements;
  std::uint64_t wall_limit_ms = 30'000;
  manifest::Level level = manifest::Level::signature;
  bool is_private = false;
  std::uint64_t checkpoint_bytes = 0;
  /// Only this provider; absent: the best of `Network::find`.
  std::optional<identity::PublicKey> provider;
  /// Of those found, asked first as long as it has a place and nothing speaks against it.
  std::optional<identity::PublicKey> preferred;
  /// Not asked, whatever they offer.
  std::vector<identity::PublicKey> excluded;
  /// Present: the provider commits before it shows output. Outlives `run`.
  RevealGate* reveal = nullptr;
};

struct RequesterLimits {
  std::size_t attempts_max = 3;
  Duration discovery_max = 10s;
  Duration open_max = 5s;
  Duration answer_max = 15s;  ///< open sent → accepted or rejected
  Duration heartbeat_interval = 5s;
  Duration silence_max = 20s;
  Duration retry_backoff = 100ms;     ///< doubled per attempt, with jitter
  Duration manifest_lifetime = 600s;  ///< also how long an accepted job may wait for its run
  Duration retry_after_max = 5s;      ///< at most so long for a busy provider, whatever it says
  /// Open sent → first output, and from output to output until the receipt. A provider that only
  /// beats or reports progress meanwhile is given up and not asked again. Zero: for as long as the
  /// job may take.
  Duration first_output_max{0}, output_silence_max{0};
  Duration cancel_max = 5s;  ///< cancel → receipt; beyond it the stream is dropped
};

/// A finished attempt. Whatever the completion, a receipt exists and the verdict says whether it
/// can be trusted.
struct Outcome {
  identity::PublicKey provider;
  Bytes manifest;  ///< envelope
  Bytes receipt;   ///< envelope
  verify::Verdict verdict;
  std::optional<job::Salt> salt;
  /// What we sent; where the run ended before a streamed stdin, the part of it that the provider
  /// says had come by then.
  job::Commitment input;
  job::OutputSummary output;  ///< what we received
};

/// Cancels from outside: `request()` makes the running attempt send `cancel`; the outcome then
/// carries the provider's partial receipt, or Code::cancelled when there is none.
class CancelToken {
 public:
  void request();
  [[nodiscard]] bool requested() const noexcept { return requested_; }
  /// Called once, at request() or at once when already requested. Replaces an earlier callback.
  void on_request(std::function<void()> callback);

 private:
  bool requested_ = false;
  std::function<void()> callback_;
};

/// Commit before reveal (spec/job-stream.md): the provider says what its output is by a hash, and
/// shows it once the gate is open. Opened by whoever has heard the commits of all that run the same
/// job.
class RevealGate {
 public:
  void open() { once_.request(); }
  [[nodiscard]] bool opened() const noexcept { return once_.requested(); }
  /// Called once, at open() or at once when already open. Replaces an earlier callback.
  void on_open(std::function<void()> callback) { once_.on_request(std::move(callback)); }

 private:
  CancelToken once_;
};

class Requester {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    Network& network;
    asio::any_io_executor executor;
    Record* record = nullptr;  ///< what is known of providers; null: nothing, and nothing is kept
  };
  Requester(World world, RequesterLimits limits) : world_(world), limits_(limits) {}

  /// Runs one request to its outcome. Another provider is tried after an error, after a verdict
  /// that is not ok, and after a verified receipt that says its provider could not finish
  /// (completion `failed`, other than input_incomplete). When attempts run out, a refused receipt
  /// is returned, never hidden; `on_restart` is called first when the observer heard output of
  /// another attempt since. Everything borrowed is free again when this returns.
  ///
  /// Errors: Code::unavailable (no provider; the hint names the next step), rejected, busy,
  ///         timed_out, cancelled, connection_closed, protocol, invalid_argument; what the input
  ///         source failed with. verification_failed is never an error here but a verdict.
  /// Cancellation: by the token, within RequesterLimits::cancel_max; while discovering or dialling,
  ///         when that ends (discovery_max, open_max).
  [[nodiscard]] Task<Result<Outcome>> run(Request request, StdinSource& input, Observer& observer,
                                          CancelToken& cancel);

 private:
  World world_;
  RequesterLimits limits_;
};

}  // namespace phase::requester
