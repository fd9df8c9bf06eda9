// asking_internal.h — one ask on its way: what its client hears, and the legs that fetch it.
//
// A leg is one run of the requester. There is one, or with hedging a second; whose output comes
// first is heard from then on, the other is cancelled. Belongs to one executor.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/event.h"
#include "lucid/answer.h"
#include "lucid/work_log.h"
#include "protocol/requester/requester.h"

namespace phase::lucid {

/// An own job that another node was asked for, before anything of its end is known.
[[nodiscard]] WorkEntry asked_of(const identity::PublicKey& provider,
                                 const manifest::Manifest& manifest);

class Leg;

class Asking : public std::enable_shared_from_this<Asking> {
 public:
  Asking(asio::any_io_executor executor, const identity::PublicKey& self, Bytes prompt, bool holds)
      : self_(self), prompt_(std::move(prompt)), holds_(holds), ready_(std::move(executor)) {}

  /// Another leg, that has to be run. `on_outcome` is called with each receipt it gets.
  using OnOutcome = std::function<void(const Leg&, const requester::Outcome&)>;
  [[nodiscard]] std::shared_ptr<Leg> add_leg(OnOutcome on_outcome);
  /// The leg's run returned. True when it is the one that is heard, and the ask ends with it.
  [[nodiscard]] bool leg_ended(const std::shared_ptr<Leg>& leg);
  /// True when a leg's output is heard, the ask is over, or its client went away.
  [[nodiscard]] bool decided() const noexcept { return winner_ != nullptr || over_ || cancelled_; }

  void cancel();
  void push(AnswerEvent event);
  void fail_with(Error error);
  void finish(Finished finished);
  [[nodiscard]] static Task<Result<AnswerEvent>> next(std::shared_ptr<Asking> self);

  [[nodiscard]] const Bytes& prompt() const noexcept { return prompt_; }
  [[nodiscard]] bool holds() const noexcept { return holds_; }
  /// Everybody who was asked so far.
  [[nodiscard]] std::vector<identity::PublicKey> asked() const;
  /// What became of the attempts other than this job.
  [[nodiscard]] std::vector<Earlier> earlier(const std::string& job_id) const;

 private:
  friend class Leg;
  struct Attempted {
    identity::PublicKey provider;
    Earlier told;
  };
  void win(Leg& leg);

  identity::PublicKey self_;
  Bytes prompt_;
  bool holds_;
  bool over_ = false, cancelled_ = false;
  std::optional<Error> error_;
  std::vector<std::shared_ptr<Leg>> legs_;  // until they ended
  const Leg* winner_ = nullptr;
  std::vector<Attempted> attempted_;  // at most two legs of RequesterLimits::attempts_max
  std::deque<AnswerEvent> events_;
  Event ready_;
};

class Leg final : public requester::Observer, public requester::StdinSource {
 public:
  Leg(Asking& asking, Asking::OnOutcome on_outcome)
      : asking_(asking), on_outcome_(std::move(on_outcome)) {}

  // ── StdinSource ──
  Task<Result<Bytes>> read() override;
  bool rewind() override;

  // ── Observer ──
  void on_attempt(const identity::PublicKey& provider,
                  const manifest::SignedManifest& manifest) override;
  /// From here on the other node has the prompt.
  void on_accepted() override {
    if (asked_) asked_->accepted = true;
  }
  void on_output(const job::OutputPiece& piece) override;
  void on_restart() override;
  void on_checkpoint(const receipt::Checkpoint&) override { release(); }
  void on_progress(const offer::Progress& progress) override;
  void on_attempt_failed(const identity::PublicKey& provider, const Error& error) override;
  void on_outcome(const requester::Outcome& outcome) override;

  /// What was held back is verified.
  void release();
  /// A job that another node was asked for.
  struct Asked {
    WorkEntry entry;
    UtcTime created;
    bool accepted = false;
  };
  /// The job under way, if another node had it, ends without a receipt.
  void note_lost(const Error& error);
  [[nodiscard]] const std::vector<Asked>& lost() const noexcept { return lost_; }
  [[nodiscard]] const std::vector<job::OutputPiece>& output() const noexcept { return output_; }
  /// Of the attempt that runs now, or ran last.
  [[nodiscard]] const std::string& job_id() const noexcept { return job_id_; }
  /// Called once, when somebody is asked.
  std::function<void(const identity::PublicKey&)> on_first_attempt;
  requester::CancelToken cancel;

 private:
  friend class Asking;
  void say(AnswerEvent event);
  [[nodiscard]] Earlier* own_attempt();

  Asking& asking_;  // holds this leg until it ended; who runs it holds both
  Asking::OnOutcome on_outcome_;
  bool read_ = false;
  std::optional<Asked> asked_;
  std::vector<Asked> lost_;  // as many as there are attempts
  std::string job_id_;
  std::vector<job::OutputPiece> output_;
  std::deque<AnswerEvent> waiting_;  // until it is decided who is heard
  std::deque<AnswerEvent> held_;     // until it is verified
};

}  // namespace phase::lucid
