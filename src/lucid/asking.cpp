#include <algorithm>
#include <utility>

#include "lucid/asking_internal.h"

namespace phase::lucid {
namespace {

std::string last_of(const std::string& text, std::size_t count) {
  return text.size() > count ? text.substr(text.size() - count) : text;
}

}  // namespace

WorkEntry asked_of(const identity::PublicKey& provider, const manifest::Manifest& manifest) {
  WorkEntry out;
  out.peer = identity::PeerId::from(provider).text();
  if (const auto* job = std::get_if<job::InferenceJob>(&manifest.job)) {
    out.model = job->model_name;
    out.prompt_bytes = job->prompt ? job->prompt->length : 0;
  }
  return out;
}

// ── Asking ──

std::shared_ptr<Leg> Asking::add_leg(OnOutcome on_outcome) {
  auto leg = std::make_shared<Leg>(*this, std::move(on_outcome));
  legs_.push_back(leg);
  if (cancelled_) leg->cancel.request();
  return leg;
}

bool Asking::leg_ended(const std::shared_ptr<Leg>& leg) {
  std::erase(legs_, leg);
  if (winner_ == nullptr && legs_.empty()) win(*leg);  // nobody said anything
  return winner_ == leg.get();
}

void Asking::win(Leg& leg) {
  winner_ = &leg;
  for (auto& event : std::exchange(leg.waiting_, {})) push(std::move(event));
  const auto others = legs_;  // who is cancelled may end at once
  for (const auto& other : others) {
    if (other.get() != &leg) other->cancel.request();
  }
}

void Asking::cancel() {
  cancelled_ = true;
  const auto legs = legs_;
  for (const auto& leg : legs) leg->cancel.request();
}

void Asking::push(AnswerEvent event) {
  events_.push_back(std::move(event));
  ready_.notify();
}

void Asking::fail_with(Error error) {
  error_ = std::move(error);
  over_ = true;
  ready_.notify();
}

void Asking::finish(Finished finished) {
  push(std::move(finished));
  over_ = true;
}

Task<Result<AnswerEvent>> Asking::next(std::shared_ptr<Asking> self) {
  while (self->events_.empty() && !self->over_) {
    const bool woken = co_await self->ready_.wait();
    if (!woken) break;
  }
  if (self->events_.empty()) {
    if (self->error_) co_return fail(*self->error_);
    co_return fail(Code::internal, "nothing follows the end of an answer");
  }
  AnswerEvent event = std::move(self->events_.front());
  self->events_.pop_front();
  co_return event;
}

std::vector<identity::PublicKey> Asking::asked() const {
  std::vector<identity::PublicKey> out;
  for (const Attempted& one : attempted_) out.push_back(one.provider);
  return out;
}

std::vector<Earlier> Asking::earlier(const std::string& job_id) const {
  std::vector<Earlier> out;
  for (const Attempted& one : attempted_) {
    if (one.told.job_id != job_id) out.push_back(one.told);
  }
  return out;
}

// ── Leg ──

Task<Result<Bytes>> Leg::read() {
  if (std::exchange(read_, true)) co_return Bytes{};
  co_return asking_.prompt();
}

bool Leg::rewind() {
  read_ = false;
  return true;
}

void Leg::on_attempt(const identity::PublicKey& provider,
                     const manifest::SignedManifest& manifest) {
  Route route;
  route.served_by = identity::PeerId::from(provider).text();
  route.routed_via = provider == asking_.self_ ? "local" : "peer:" + last_of(route.served_by, 8);
  route.job_id = job_id_ = manifest.id.hex();
  asking_.attempted_.push_back({provider, {route.job_id, route.served_by, "pending"}});
  asked_.reset();
  if (provider != asking_.self_) {
    asked_ = Asked{asked_of(provider, manifest.manifest), manifest.manifest.created};
    asked_->entry.job_id = job_id_;
  }
  say(std::move(route));
  if (const auto first = std::exchange(on_first_attempt, nullptr)) first(provider);
}

void Leg::on_output(const job::OutputPiece& piece) {
  output_.push_back(piece);
  if (asking_.winner_ == nullptr) asking_.win(*this);
  if (asking_.holds()) {
    held_.emplace_back(piece);
  } else {
    say(piece);
  }
}

void Leg::on_restart() {
  output_.clear();
  held_.clear();
  say(Restart{});
}

void Leg::on_progress(const offer::Progress& progress) {
  say(Progress{progress.stage, progress.done, progress.total});
}

void Leg::on_attempt_failed(const identity::PublicKey&, const Error& error) {
  Earlier* const own = own_attempt();
  if (own != nullptr && own->result == "pending") {
    own->result = error.code == Code::rejected || error.code == Code::busy ? "declined" : "lost";
  }
  note_lost(error);
}

void Leg::note_lost(const Error& error) {
  std::optional<Asked> lost = std::exchange(asked_, std::nullopt);
  if (!lost || !lost->accepted) return;  // who declines sees no prompt
  for (const auto& piece : output_) lost->entry.answer_bytes += piece.data.size();
  lost->entry.completion = std::string(code_name(error.code)) + ": " + error.message;
  lost->entry.verdict = "none";
  lost_.push_back(*std::move(lost));
}

void Leg::on_outcome(const requester::Outcome& outcome) {
  asked_.reset();
  if (Earlier* const own = own_attempt()) {
    own->result = "refused";
    if (outcome.verdict.ok()) {
      own->result =
          receipt::completion_name(outcome.verdict.verified->get().receipt.completion.kind);
    }
  }
  on_outcome_(*this, outcome);
}

Earlier* Leg::own_attempt() {
  const auto found = std::ranges::find_if(
      asking_.attempted_, [this](const auto& one) { return one.told.job_id == job_id_; });
  return found == asking_.attempted_.end() ? nullptr : &found->told;
}

void Leg::release() {
  for (auto& event : std::exchange(held_, {})) say(std::move(event));
}

void Leg::say(AnswerEvent event) {
  if (asking_.winner_ == this) return asking_.push(std::move(event));
  if (asking_.winner_ == nullptr) waiting_.push_back(std::move(event));
}

}  // namespace phase::lucid
