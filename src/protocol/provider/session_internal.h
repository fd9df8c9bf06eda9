// session_internal.h — one job stream from its first frame to its last, and the provider's state
// that all of them share.
//
// A session is three coroutines: the main one (admit, wait, run, conclude), a reader (everything
// the requester sends), and a pump (stdin into the run). They meet in the members of Session and
// wake each other by events; no coroutine is left when `run` returns, except a pump's last
// resumption.
#pragma once

#include <deque>
#include <map>

#include "base/event.h"
#include "base/tree_hash.h"
#include "protocol/link/link.h"
#include "protocol/provider/provider.h"
#include "protocol/provider/statement_internal.h"

namespace phase::provider {

class Session;

struct Provider::State {
  State(World w, ProviderLimits l) : world(std::move(w)), limits(l), changed(world.executor) {}

  World world;
  ProviderLimits limits;
  bool draining = false;
  std::size_t running = 0;         // run places taken
  std::size_t accepted = 0;        // running, queued, or on their way in
  std::uint64_t module_bytes = 0;  // declared lengths of modules not yet prepared
  std::map<identity::PublicKey, std::size_t> per_requester;
  std::deque<Session*> queue;                  // ready to run, first come, first served
  std::map<std::uint64_t, Session*> sessions;  // by serial; each removes itself before it goes
  std::uint64_t next_serial = 0;
  Event changed;  // a session or job ended; drain waits for it

  /// Gives free run places to those who wait longest.
  void grant();
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Provider::State> state, std::unique_ptr<ByteStream> stream,
          identity::PublicKey peer);
  ~Session();

  [[nodiscard]] Task<void> run();

  /// Ends the job early; the first reason stays. Before a job exists: drops the stream.
  void stop(receipt::Completion completion);
  void drop(Error reason) { link_->reset(std::move(reason)); }
  /// A run place is ours now.
  void granted();

 private:
  using State = Provider::State;
  enum class Expect : std::uint8_t { module, stdin, nothing };

  // admission.cpp
  [[nodiscard]] std::variant<Admitted, Refused> admit(offer::Open open);
  [[nodiscard]] std::optional<Refused> check_room() const;
  [[nodiscard]] std::optional<Refused> check_asked(const offer::Open& open) const;
  [[nodiscard]] bool holds_module() const;
  void take_place();
  void leave_place();
  void leave_run();
  void free_module();

  // inbound.cpp: what the requester sends
  [[nodiscard]] Task<void> read_all();
  [[nodiscard]] bool take(offer::Frame& frame);
  [[nodiscard]] bool take_module(const Bytes& data);
  [[nodiscard]] bool take_module_end();
  [[nodiscard]] bool take_stdin(Bytes data);
  [[nodiscard]] bool take_stdin_end();
  void lost();
  [[nodiscard]] Task<void> pump_stdin();

  // session.cpp: the main coroutine
  [[nodiscard]] Task<void> converse();
  [[nodiscard]] Task<void> refuse(Refused refused);
  [[nodiscard]] Task<Ended> execute();
  [[nodiscard]] Task<bool> await_module();
  [[nodiscard]] Task<bool> await_place();
  [[nodiscard]] Task<std::optional<Ended>> prepare();
  [[nodiscard]] Task<Ended> follow();
  [[nodiscard]] Task<void> take_output(job::OutputPiece piece);
  [[nodiscard]] Task<void> send_output(const job::OutputPiece& piece);
  [[nodiscard]] Task<void> send_checkpoint_when_due();
  [[nodiscard]] Task<void> await_rest_of_input(Ended& ended);
  [[nodiscard]] Task<void> conclude(Ended ended);
  [[nodiscard]] Task<bool> commit_and_reveal(const receipt::Receipt& result);
  [[nodiscard]] Task<void> progress(std::string stage, std::uint64_t done = 0,
                                    std::uint64_t total = 0);
  [[nodiscard]] Task<void> send(offer::Frame frame);
  [[nodiscard]] Ended stopped() const;
  [[nodiscard]] job::Commitment received() const;

  const std::shared_ptr<State> state_;
  const std::shared_ptr<link::Link> link_;
  const identity::PublicKey peer_;
  const std::uint64_t serial_;
  Alarm alarm_;  // of the phase the main coroutine is in
  Alarm wall_;
  Event wake_;  // the main coroutine looks again

  // The job, once accepted.
  std::optional<manifest::SignedManifest> manifest_;
  const job::Job* job_ = nullptr;                 // inside manifest_
  const job::ArtifactRef* module_ref_ = nullptr;  // inside job_; null for a kind without
  offer::Open open_;
  bool place_ = false, waiting_ = false, run_place_ = false;
  std::uint64_t module_reserved_ = 0;
  std::optional<receipt::Completion> stop_;

  // Inbound.
  Expect expect_ = Expect::module;
  bool module_held_ = false, module_ready_ = false;
  Bytes module_;
  Sha256Stream module_hash_;
  ArtifactIdStream module_tree_;
  bool reading_ = false;  // the reader coroutine runs
  bool gone_ = false;     // the requester went away, or broke the protocol
  bool ended_ = false;    // the requester's `end`
  bool receipt_sent_ = false;
  bool cancelled_ = false;
  Sha256Stream input_hash_;
  std::uint64_t input_length_ = 0;
  bool input_ended_ = false;
  std::optional<job::Commitment> input_at_end_of_run_;
  std::deque<Bytes> ahead_;  // at most kStdinAheadBytes and one frame
  std::size_t ahead_bytes_ = 0;
  Event room_, stdin_ready_;

  // The run.
  std::unique_ptr<Execution> execution_;
  bool pumping_ = false, run_over_ = false, truncated_ = false;
  job::OutputChain chain_;
  std::uint64_t output_length_ = 0, checkpoint_at_ = 0, checkpoint_sequence_ = 0;
  std::vector<job::OutputPiece> held_output_;  // commit-reveal; at most kHeldOutputBytesMax
  bool reveal_asked_ = false, committed_ = false;
};

}  // namespace phase::provider
