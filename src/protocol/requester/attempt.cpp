#include <algorithm>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "protocol/requester/attempt_internal.h"

namespace phase::requester {
namespace {

/// Progress frames of one attempt; a provider that sends more only keeps us busy.
constexpr std::uint64_t kProgressFramesMax = 10'000;

std::string name(const identity::PublicKey& provider) {
  return identity::PeerId::from(provider).text();
}

Error declined(const identity::PublicKey& provider, const offer::Rejected& rejected) {
  const bool busy = rejected.reason == offer::RejectionReason::busy ||
                    rejected.reason == offer::RejectionReason::shutting_down;
  std::string why(offer::rejection_name(rejected.reason));
  if (!rejected.detail.empty()) why += ": " + printable(rejected.detail);
  std::string hint;
  if (rejected.reason == offer::RejectionReason::unauthorized) {
    hint = "its operator can allow this node's key; or choose another provider";
  }
  return {busy ? Code::busy : Code::rejected, name(provider) + " declined: " + why,
          std::move(hint)};
}

}  // namespace

void InputMarks::add(ByteView bytes) {
  hash_.update(bytes);
  length_ += bytes.size();
  marks_.push_back({hash_.finish(), length_});
  if (marks_.size() > kMarksMax) marks_.pop_front();
}

job::Commitment InputMarks::all() const {
  return {hash_.finish(), length_};
}

std::optional<job::Commitment> InputMarks::at(std::uint64_t length) const {
  if (length == 0) return job::commit({});
  const auto found = std::ranges::lower_bound(marks_, length, {}, &job::Commitment::length);
  if (found == marks_.end() || found->length != length) return std::nullopt;
  return *found;
}

Attempt::Attempt(Context context, identity::PublicKey provider)
    : context_(std::move(context)),
      provider_(provider),
      alarm_(context_.world.clock, context_.world.executor),
      cancel_alarm_(context_.world.clock, context_.world.executor),
      output_alarm_(context_.world.clock, context_.world.executor),
      offered_(context_.world.clock.now()),
      sender_ended_(context_.world.executor) {}

Task<AttemptResult> Attempt::run() {
  const std::shared_ptr<Attempt> self = shared_from_this();
  make_manifest();
  context_.observer.on_attempt(provider_, *manifest_);
  Result<void> talked = co_await open_stream();
  // Cancelled while dialling: nothing was offered, so there is nothing to cancel over there.
  if (talked && context_.cancel.requested()) talked = fail(Code::cancelled, "cancelled");
  if (talked) {
    context_.cancel.on_request([this] { on_cancel(); });
    talked = co_await converse();
    context_.cancel.on_request(nullptr);
    if (context_.request.reveal != nullptr) context_.request.reveal->on_open(nullptr);
  }
  alarm_.stop();
  cancel_alarm_.stop();
  output_alarm_.stop();
  // Nothing of this attempt touches the caller's input or observer from here.
  if (link_) link_->reset({Code::connection_closed, "the attempt is over", {}});
  if (!talked) co_return failed(std::move(talked).error());
  AttemptResult result;
  result.saw_output = output_length_ > 0;
  result.first_output = first_output_;
  result.outcome = judge();
  co_return result;
}

AttemptResult Attempt::failed(Error error) const {
  AttemptResult result;
  result.error = std::move(error);
  result.saw_output = output_length_ > 0;
  result.retry_after_ms = retry_after_ms_;
  result.stalled = stalled_;
  if (context_.cancel.requested()) result.error = {Code::cancelled, "the job was cancelled", {}};
  return result;
}

void Attempt::make_manifest() {
  const Requester::World& world = context_.world;
  const Request& request = context_.request;
  manifest::Manifest asked;
  asked.job = request.job;
  asked.requirements = request.requirements;
  asked.wall_limit_ms = request.wall_limit_ms;
  asked.audience = provider_;
  asked.created = world.clock.now_utc();
  const auto lifetime = std::min(context_.limits.manifest_lifetime, manifest::kLifetimeMax);
  asked.expires.unix_ms =
      asked.created.unix_ms +
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(lifetime).count());
  world.random.fill(asked.nonce);
  asked.level = request.level;
  manifest_ = manifest::sign(asked, world.key);
  if (request.is_private) salt_ = world.random.array<32>();
}

Task<Result<void>> Attempt::open_stream() {
  const Requester::World& world = context_.world;
  const Deadline deadline = world.clock.deadline_after(context_.limits.open_max);
  std::string protocol(offer::kJobProtocol);
  Result<std::unique_ptr<ByteStream>> stream =
      co_await world.network.open(provider_, std::move(protocol), deadline);
  if (!stream) co_return fail(std::move(stream).error());
  const link::LinkLimits limits{context_.limits.heartbeat_interval, context_.limits.silence_max,
                                std::nullopt};
  link_ = link::Link::make(std::move(*stream), world.clock, world.executor, limits);
  link_->watch();
  co_return Result<void>{};
}

Task<Result<void>> Attempt::converse() {
  Clock& clock = context_.world.clock;
  alarm_.set(clock.now() + context_.limits.answer_max, [this] {
    link_->reset({Code::timed_out, name(provider_) + " did not answer the offer", {}});
  });
  expect_output(context_.limits.first_output_max);
  PHASE_CO_TRY_VOID(co_await offer());
  context_.observer.on_accepted();
  const Duration run_max = std::chrono::milliseconds(context_.request.wall_limit_ms);
  alarm_.set(clock.now() + context_.limits.manifest_lifetime + run_max, [this] {
    link_->reset({Code::timed_out, name(provider_) + " did not finish in time", {}});
  });
  sending_ = true;
  stop_sending_ = context_.cancel.requested();
  asio::co_spawn(
      context_.world.executor,
      [self = shared_from_this()]() -> Task<void> { co_await self->send_parts(); },
      asio::bind_cancellation_slot(input_signal_.slot(),
                                   [self = shared_from_this()](std::exception_ptr) {}));
  Result<void> followed = co_await follow();
  if (!followed || checkpoint_wrong_) {
    link_->reset(followed ? Error{Code::protocol, "a checkpoint is wrong", {}} : followed.error());
  }
  co_await stop_sender();
  if (!followed || checkpoint_wrong_) co_return followed;
  const offer::Frame end = offer::End{};
  static_cast<void>(co_await link_->write(end));  // the receipt is here, whatever becomes of it
  link_->finish();
  co_return Result<void>{};
}

void Attempt::expect_output(Duration within) {
  if (within == Duration{0} && !output_due_) return;
  const bool watched = output_due_.has_value();
  const Instant due = context_.world.clock.now() + within;
  // Set anew for each token it would cost a coroutine each; only an earlier time needs that.
  const bool sooner = watched && due < *output_due_;
  output_within_ = within;
  output_due_ = due;
  if (within == Duration{0}) return output_alarm_.stop();
  if (!watched || sooner) watch_output();
}

void Attempt::watch_output() {
  output_alarm_.set(*output_due_, [this] {
    if (context_.world.clock.now() < *output_due_) return watch_output();
    stalled_ = true;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(output_within_).count();
    link_->reset({Code::timed_out,
                  name(provider_) + " made no output for " + std::to_string(seconds) + " s",
                  "try again: others are asked first"});
  });
}

Task<Result<void>> Attempt::offer() {
  offered_ = context_.world.clock.now();
  offer::Open open;
  open.manifest = manifest_->envelope;
  open.checkpoint_bytes = context_.request.checkpoint_bytes;
  open.salt = salt_;
  open.commit_reveal = context_.request.reveal != nullptr;
  const offer::Frame frame = std::move(open);
  PHASE_CO_TRY_VOID(co_await link_->write(frame));
  Result<offer::Frame> answer = co_await link_->read();
  if (!answer) co_return fail(std::move(answer).error());
  if (const auto* no = std::get_if<offer::Rejected>(&*answer)) {
    retry_after_ms_ = no->retry_after_ms;
    const offer::Frame end = offer::End{};
    static_cast<void>(co_await link_->write(end));
    link_->finish();
    co_return fail(declined(provider_, *no));
  }
  const auto* yes = std::get_if<offer::Accepted>(&*answer);
  if (yes == nullptr || yes->job_id != manifest_->id) {
    co_return fail(Code::protocol, name(provider_) + " answered something else than the offer");
  }
  module_held_ = yes->module_held;
  if (!module_held_ && !context_.request.module) {
    co_return fail(Code::protocol, name(provider_) + " asks for a module where there is none");
  }
  co_return Result<void>{};
}

Task<Result<void>> Attempt::follow() {
  while (true) {
    Result<offer::Frame> frame = co_await link_->read();
    if (!frame) {
      // With the receipt in hand a missing `end` takes nothing away.
      if (!receipt_.empty()) co_return Result<void>{};
      co_return fail(std::move(frame).error());
    }
    const Result<bool> last = take(*frame);
    if (!last) co_return fail(last.error());
    if (*last || checkpoint_wrong_) co_return Result<void>{};
  }
}

Result<bool> Attempt::take(offer::Frame& frame) {
  if (!receipt_.empty()) {
    if (std::holds_alternative<offer::End>(frame)) return true;
    return fail(Code::protocol, name(provider_) + " went on after its receipt");
  }
  if (auto* output = std::get_if<offer::Output>(&frame)) {
    PHASE_TRY_VOID(take_output(std::move(output->piece)));
    return false;
  }
  if (const auto* point = std::get_if<offer::CheckpointFrame>(&frame)) {
    const Result<void> good = take_checkpoint(point->envelope);
    if (!good) checkpoint_wrong_ = good.error().message;
    return false;
  }
  if (const auto* progress = std::get_if<offer::Progress>(&frame)) {
    if (++progress_count_ > kProgressFramesMax) {
      return fail(Code::protocol, name(provider_) + " reports progress without end");
    }
    context_.observer.on_progress(*progress);
    return false;
  }
  if (const auto* commit = std::get_if<offer::CommitFrame>(&frame)) {
    PHASE_TRY_VOID(take_commit(commit->envelope));
    return false;
  }
  if (const auto* reveal = std::get_if<offer::Reveal>(&frame)) {
    PHASE_TRY_VOID(take_nonce(*reveal));
    return false;
  }
  if (auto* statement = std::get_if<offer::ReceiptFrame>(&frame)) {
    if (statement->envelope.empty()) return fail(Code::protocol, "an empty receipt");
    receipt_ = std::move(statement->envelope);
    output_alarm_.stop();
    // What is left is courtesy, and has its own short time.
    alarm_.set(context_.world.clock.now() + context_.limits.cancel_max, [this] {
      link_->reset({Code::timed_out, "the provider did not end the conversation", {}});
    });
    return false;
  }
  return fail(Code::protocol, name(provider_) + " sent a frame out of order");
}

Result<void> Attempt::take_output(job::OutputPiece piece) {
  if (piece.data.empty()) return fail(Code::protocol, name(provider_) + " sent empty output");
  if (context_.request.reveal != nullptr && (!commit_ || nonce_)) {
    return fail(Code::protocol, name(provider_) + " shows output it has not committed to");
  }
  const std::uint64_t room = job::output_bytes_max(context_.request.job) - output_length_;
  if (piece.data.size() > room) {
    return fail(Code::protocol, name(provider_) + " sent more output than the job may write");
  }
  chain_.append(piece.stream, piece.data);
  output_length_ += piece.data.size();
  if (!first_output_) first_output_ = context_.world.clock.now() - offered_;
  expect_output(context_.limits.output_silence_max);
  context_.observer.on_output(piece);
  return {};
}

Result<void> Attempt::take_checkpoint(ByteView envelope) {
  PHASE_TRY(const receipt::SignedCheckpoint point, receipt::open_checkpoint(envelope));
  const receipt::Checkpoint& stated = point.checkpoint;
  const auto wrong = [](const char* what) { return fail(Code::verification_failed, what); };
  if (point.provider != provider_) return wrong("a checkpoint is signed by another key");
  if (stated.job_id != manifest_->id) return wrong("a checkpoint is for another job");
  if (stated.sequence != checkpoint_sequence_) return wrong("a checkpoint is out of sequence");
  if (stated.output.length <= checkpoint_at_) return wrong("a checkpoint says nothing new");
  if (stated.output != chain_.summary()) return wrong("a checkpoint is for other output");
  ++checkpoint_sequence_;
  checkpoint_at_ = stated.output.length;
  context_.observer.on_checkpoint(stated);
  return {};
}

Result<void> Attempt::take_commit(ByteView envelope) {
  if (context_.request.reveal == nullptr || commit_) {
    return fail(Code::protocol, name(provider_) + " sent a commit that was not asked for");
  }
  PHASE_TRY(const receipt::SignedCommit said, receipt::open_commit(envelope));
  if (said.provider != provider_ || said.commit.job_id != manifest_->id) {
    return fail(Code::protocol, name(provider_) + " sent a commit of another key or job");
  }
  commit_ = said.commit.value;
  expect_output(Duration{0});  // it waits for us now
  context_.observer.on_commit();
  context_.request.reveal->on_open([this] { ask_reveal(); });
  return {};
}

void Attempt::ask_reveal() {
  if (!link_) return;
  asio::co_spawn(
      context_.world.executor,
      [link = link_]() -> Task<void> {
        const offer::Frame reveal = offer::Reveal{};
        static_cast<void>(co_await link->write(reveal));
      },
      asio::detached);
}

Result<void> Attempt::take_nonce(const offer::Reveal& reveal) {
  if (!commit_ || nonce_ || !reveal.nonce) {
    return fail(Code::protocol, name(provider_) + " revealed what it had not committed to");
  }
  nonce_ = reveal.nonce;
  return {};
}

bool Attempt::keeps_commit(const receipt::Receipt& result) const {
  return commit_ && nonce_ &&
         *commit_ ==
             receipt::commit_value(*nonce_, provider_, result.output.commitment, result.completion);
}

Task<void> Attempt::send_parts() {
  // stop_sender() fires the slot; whoever sees it returns an error.
  co_await asio::this_coro::throw_if_cancelled(false);
  Result<void> sent = co_await send_module();
  if (sent) sent = co_await send_stdin();
  // A source that fails leaves a job that can never end: drop the provider, say why.
  if (!sent && !stop_sending_) link_->reset(sent.error());
  sending_ = false;
  sender_ended_.notify();
}

Task<Result<void>> Attempt::send_module() {
  if (module_held_) co_return Result<void>{};
  const Bytes& module = *context_.request.module;
  for (std::size_t at = 0; at < module.size() && !stop_sending_; at += offer::kDataBytesMax) {
    const std::size_t n = std::min(offer::kDataBytesMax, module.size() - at);
    const auto from = module.begin() + static_cast<std::ptrdiff_t>(at);
    offer::ModuleData data;
    data.data.assign(from, from + static_cast<std::ptrdiff_t>(n));
    const offer::Frame frame = std::move(data);
    PHASE_CO_TRY_VOID(co_await link_->write(frame));
  }
  if (stop_sending_) co_return Result<void>{};
  const offer::Frame end = offer::ModuleEnd{};
  co_return co_await link_->write(end);
}

Task<Result<void>> Attempt::send_stdin() {
  while (!stop_sending_) {
    reading_input_ = true;
    context_.input_touched = true;
    Result<Bytes> piece = co_await context_.input.read();
    reading_input_ = false;
    if (stop_sending_) break;
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) {
      const offer::Frame end = offer::StdinEnd{};
      co_return co_await link_->write(end);
    }
    if (piece->size() > job::input_bytes_max(context_.request.job) - sent_.all().length) {
      co_return fail(Code::too_large, "the input is longer than a job may have");
    }
    for (std::size_t at = 0; at < piece->size() && !stop_sending_; at += offer::kDataBytesMax) {
      const std::size_t n = std::min(offer::kDataBytesMax, piece->size() - at);
      const auto from = piece->begin() + static_cast<std::ptrdiff_t>(at);
      offer::StdinData data;
      data.data.assign(from, from + static_cast<std::ptrdiff_t>(n));
      sent_.add(data.data);
      const offer::Frame frame = std::move(data);
      PHASE_CO_TRY_VOID(co_await link_->write(frame));
    }
  }
  co_return Result<void>{};
}

Task<void> Attempt::stop_sender() {
  stop_sending_ = true;
  if (reading_input_) input_signal_.emit(asio::cancellation_type::terminal);
  while (sending_) {
    const bool woken = co_await sender_ended_.wait();
    if (!woken) co_return;
  }
}

void Attempt::on_cancel() {
  if (!receipt_.empty()) return;
  stop_sending_ = true;
  if (reading_input_) input_signal_.emit(asio::cancellation_type::terminal);
  asio::co_spawn(
      context_.world.executor,
      [link = link_]() -> Task<void> {
        const offer::Frame cancel = offer::Cancel{};
        static_cast<void>(co_await link->write(cancel));
      },
      asio::detached);
  cancel_alarm_.set(context_.world.clock.now() + context_.limits.cancel_max, [this] {
    if (receipt_.empty()) link_->reset({Code::cancelled, "the job was cancelled", {}});
  });
}

Outcome Attempt::refused(verify::Check check, std::string detail) const {
  Outcome outcome;
  outcome.provider = provider_;
  outcome.manifest = manifest_->envelope;
  outcome.receipt = receipt_;
  outcome.verdict.failed = check;
  outcome.verdict.detail = std::move(detail);
  outcome.salt = salt_;
  outcome.input = sent_.all();
  outcome.output = chain_.summary();
  return outcome;
}

Outcome Attempt::judge() {
  if (checkpoint_wrong_) return refused(verify::Check::checkpoint, *checkpoint_wrong_);
  Outcome outcome = refused(verify::Check::receipt_form, {});
  // The run may have ended before its stdin: then the receipt is for a beginning of it, which must
  // be a beginning of what we sent.
  const auto sent_until = [this, &outcome](const receipt::SignedReceipt& of) {
    outcome.input = sent_.at(of.receipt.input.length).value_or(outcome.input);
  };
  verify::Evidence evidence;
  evidence.manifest = outcome.manifest;
  evidence.provider = provider_;
  if (!job::input_of(context_.request.job)) {
    const auto opened = receipt::open(receipt_);
    if (opened) sent_until(*opened);
    evidence.input = outcome.input;
  }
  evidence.output = outcome.output;
  evidence.salt = salt_;
  outcome.verdict = verify::check(receipt_, evidence, context_.request.level);
  if (!outcome.verdict.ok()) return outcome;
  sent_until(outcome.verdict.verified->get());
  if (context_.request.reveal != nullptr &&
      !keeps_commit(outcome.verdict.verified->get().receipt)) {
    return refused(verify::Check::commit, "what was revealed is not what was committed to");
  }
  return outcome;
}

}  // namespace phase::requester
