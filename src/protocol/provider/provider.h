// provider.h — executes what others ask: admit, receive parts, run on a worker, stream output, sign
// the receipt.
//
// A state machine over interfaces: streams, worker, admission, clock and randomness are passed in,
// so the same object file serves the network and the simulation. All coroutines run on the executor
// of their caller; one Provider belongs to one executor.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/stream.h"
#include "protocol/manifest/manifest.h"
#include "protocol/offer/frame.h"
#include "protocol/provider/worker.h"
#include "protocol/receipt/receipt.h"

namespace phase::provider {

/// What admission looks at besides the manifest.
struct AdmissionRequest {
  const manifest::SignedManifest& manifest;
  const identity::PublicKey& peer;  ///< who delivered it
  bool is_private = false;          ///< its receipt will carry salted commitments only
};
struct Admitted {};
struct Refused {
  offer::RejectionReason reason = offer::RejectionReason::policy;
  std::string detail;
  std::optional<std::uint64_t> retry_after_ms;
};

/// Does this node take this job, from this requester, now? Implemented by src/policy. Form,
/// signature, time, audience and room were checked before; this decides who may, what fits, which
/// profile and level are granted. What it admits is then recorded against replays, which can still
/// refuse.
class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  [[nodiscard]] virtual std::variant<Admitted, Refused> admit(const AdmissionRequest& request) = 0;
};

/// Keeps what was signed. Implemented durably by src/store. A failure ends the job as `failed`; no
/// receipt leaves that was not kept.
class ReceiptSink {
 public:
  virtual ~ReceiptSink() = default;
  [[nodiscard]] virtual Result<void> keep(const manifest::SignedManifest& manifest,
                                          const receipt::SignedReceipt& receipt) = 0;
};

/// Stdin received and not yet taken by the guest, per job. Beyond it the stream is not read, and
/// the requester waits.
inline constexpr std::size_t kStdinAheadBytes = 256_KiB;
/// Output one commit-reveal job may hold back; a job that may write more is refused.
inline constexpr std::uint64_t kHeldOutputBytesMax = 16_MiB;
/// Checkpoints come no closer than this, whatever was asked: each costs a signature.
inline constexpr std::uint64_t kCheckpointBytesMin = 16_KiB;

/// Jobs running at once, jobs waiting, and bytes held for them.
struct ProviderLimits {
  std::size_t jobs_running_max = 4;
  std::size_t jobs_queued_max =
      16;  ///< accepted beyond those; also while their module still arrives
  std::size_t jobs_per_requester_max = 4;  ///< running and queued together
  std::size_t sessions_max =
      1024;  ///< streams served at once, whatever their state; more are reset
  std::uint64_t module_bytes_max =
      256_MiB;  ///< modules on their way or waiting, all jobs together, as declared
  Duration reveal_timeout = 600s;    ///< commit sent → `reveal`
  Duration drain_delivery_max = 2s;  ///< drain: killed → receipt handed over
  Duration open_timeout = 10s;       ///< stream opened → `open` frame complete
  Duration parts_timeout = 120s;     ///< accepted → module complete
  Duration heartbeat_interval = 5s;
  Duration silence_max = 20s;
  Duration receipt_delivery_max = 20s;  ///< receipt written → requester's `end`
};

class Provider {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    Worker& worker;
    AdmissionPolicy& policy;
    manifest::ReplayRecord& replays;
    ReceiptSink& receipts;
    asio::any_io_executor executor;
  };
  Provider(World world, ProviderLimits limits);
  ~Provider();

  /// Serves one `/phase/job/2.0.0` stream to its end. `peer` is whom the transport authenticated.
  /// Never throws; whatever the peer does costs this stream only.
  [[nodiscard]] Task<void> serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer);

  /// Refuses new jobs (`shutting_down`) and waits until running ones ended or `deadline`; then
  /// kills the rest, each with a signed receipt {failed, "shutdown"}. No stream is served any more
  /// when it returns; call it once, before the provider and its world are destroyed (or destroy the
  /// executor's context first).
  [[nodiscard]] Task<void> drain(Deadline deadline);

  [[nodiscard]] std::size_t jobs_running() const noexcept;
  [[nodiscard]] std::size_t jobs_queued() const noexcept;
  /// Running and queued of one requester.
  [[nodiscard]] std::size_t jobs_of(const identity::PublicKey& requester) const noexcept;

 private:
  friend class Session;
  struct State;
  std::shared_ptr<State> state_;  // shared with the sessions it serves
};

}  // namespace phase::provider
