// attempt_internal.h — one offer to one provider, followed to its receipt.
//
// Three coroutines: the main one reads frames, a sender writes module and stdin, and the link's
// watch beats. `run` returns when the first two have ended; the caller's input and observer are
// then free.
#pragma once

#include <deque>

#include <boost/asio/cancellation_signal.hpp>

#include "base/event.h"
#include "protocol/link/link.h"
#include "protocol/requester/requester.h"

namespace phase::requester {

/// Checks, in order, that checkpoints agree with the output that came, and hashes stdin at every
/// border at which a provider can have stopped.
class InputMarks {
 public:
  void add(ByteView bytes);
  [[nodiscard]] job::Commitment all() const;
  /// The commitment of the first `length` bytes, when a frame ended there.
  [[nodiscard]] std::optional<job::Commitment> at(std::uint64_t length) const;

 private:
  Sha256Stream hash_;
  std::uint64_t length_ = 0;
  /// One per stdin frame; job::kStdinBytesMax in frames of kDataBytesMax are 16,384. Smaller frames
  /// of a stream that is typed are joined beyond kMarksMax.
  std::deque<job::Commitment> marks_;
};
/// Borders remembered; older ones are forgotten first.
inline constexpr std::size_t kMarksMax = 32'768;

struct AttemptResult {
  std::optional<Outcome> outcome;  // a receipt came, or what came was proven wrong
  Error error;                     // when there is no outcome
  bool saw_output = false;
  std::optional<std::uint64_t> retry_after_ms;
  bool stalled = false;                  // it beat and made no output
  std::optional<Duration> first_output;  // from the offer
};

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  /// All borrowed until `run` returns.
  struct Context {
    Requester::World world;
    const RequesterLimits& limits;
    const Request& request;
    StdinSource& input;
    Observer& observer;
    CancelToken& cancel;
    bool& input_touched;  // a piece was read, so a retry must rewind
  };
  Attempt(Context context, identity::PublicKey provider);

  [[nodiscard]] Task<AttemptResult> run();

 private:
  void make_manifest();
  [[nodiscard]] Task<Result<void>> open_stream();
  [[nodiscard]] Task<Result<void>> offer();
  [[nodiscard]] Task<Result<void>> converse();
  [[nodiscard]] Task<Result<void>> follow();
  /// One frame after `accepted`. True when it was the last one needed.
  [[nodiscard]] Result<bool> take(offer::Frame& frame);
  [[nodiscard]] Result<void> take_output(job::OutputPiece piece);
  [[nodiscard]] Result<void> take_checkpoint(ByteView envelope);
  [[nodiscard]] Result<void> take_commit(ByteView envelope);
  [[nodiscard]] Result<void> take_nonce(const offer::Reveal& reveal);
  void ask_reveal();
  /// Whether what was shown is what was committed to; `judge` decided the rest.
  [[nodiscard]] bool keeps_commit(const receipt::Receipt& result) const;
  void expect_output(Duration within);
  void watch_output();
  [[nodiscard]] Task<void> send_parts();
  [[nodiscard]] Task<Result<void>> send_module();
  [[nodiscard]] Task<Result<void>> send_stdin();
  [[nodiscard]] Task<void> stop_sender();
  void on_cancel();
  [[nodiscard]] Outcome judge();
  [[nodiscard]] Outcome refused(verify::Check check, std::string detail) const;
  [[nodiscard]] AttemptResult failed(Error error) const;

  Context context_;
  const identity::PublicKey provider_;
  std::optional<manifest::SignedManifest> manifest_;
  std::optional<job::Salt> salt_;
  std::shared_ptr<link::Link> link_;
  Alarm alarm_;         // answer, then the attempt as a whole
  Alarm cancel_alarm_;  // cancel → receipt
  Alarm output_alarm_;  // to the next output; set anew only when it fires
  std::optional<Instant> output_due_;
  Duration output_within_{0};
  Instant offered_;
  std::optional<Duration> first_output_;
  bool stalled_ = false;
  std::optional<std::uint64_t> retry_after_ms_;
  bool module_held_ = false;

  job::OutputChain chain_;
  std::uint64_t output_length_ = 0;
  std::uint64_t checkpoint_sequence_ = 0, checkpoint_at_ = 0, progress_count_ = 0;
  std::optional<std::string> checkpoint_wrong_;
  std::optional<Sha256> commit_;
  std::optional<std::array<std::uint8_t, 32>> nonce_;
  Bytes receipt_;

  InputMarks sent_;
  bool sending_ = false, stop_sending_ = false, reading_input_ = false;
  asio::cancellation_signal input_signal_;
  Event sender_ended_;
};

}  // namespace phase::requester
