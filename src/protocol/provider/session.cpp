// The main coroutine of a session: admit, wait, run, conclude.
#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "protocol/provider/session_internal.h"

namespace phase::provider {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

const Completion kIncomplete{CompletionKind::failed, 0, "input_incomplete"};
const Completion kWorkerLost{CompletionKind::failed, 0, "worker_lost"};
const Completion kWall{CompletionKind::limited, 0, "wall"};
const Completion kOutput{CompletionKind::limited, 0, "output"};

link::LinkLimits link_limits(const ProviderLimits& limits) {
  return {limits.heartbeat_interval, limits.silence_max, limits.silence_max};
}

}  // namespace

Session::Session(std::shared_ptr<State> state, std::unique_ptr<ByteStream> stream,
                 identity::PublicKey peer)
    : state_(std::move(state)),
      link_(link::Link::make(std::move(stream), state_->world.clock, state_->world.executor,
                             link_limits(state_->limits))),
      peer_(peer),
      serial_(state_->next_serial++),
      alarm_(state_->world.clock, state_->world.executor),
      wall_(state_->world.clock, state_->world.executor),
      wake_(state_->world.executor),
      room_(state_->world.executor),
      stdin_ready_(state_->world.executor) {
  state_->sessions.emplace(serial_, this);
}

Session::~Session() {
  leave_place();
  state_->sessions.erase(serial_);
  state_->changed.notify();
}

void Session::stop(Completion completion) {
  if (!place_) {
    if (!receipt_sent_) link_->reset({Code::unavailable, "this node shuts down", {}});
    return;
  }
  if (stop_) return;
  stop_ = std::move(completion);
  if (execution_) execution_->kill(*stop_);
  room_.notify();
  wake_.notify();
}

Task<void> Session::run() {
  const std::shared_ptr<Session> self = shared_from_this();
  co_await converse();
  // Whatever happened, nothing of this session may go on behind it.
  alarm_.stop();
  wall_.stop();
  run_over_ = true;
  leave_place();
  room_.notify();
  link_->reset({Code::connection_closed, "the conversation is over", {}});
  while (reading_) {
    const bool woken = co_await wake_.wait();
    if (!woken) break;
  }
}

Task<void> Session::converse() {
  Clock& clock = state_->world.clock;
  alarm_.set(clock.now() + state_->limits.open_timeout,
             [this] { link_->reset({Code::timed_out, "no open frame came", {}}); });
  link_->watch();
  Result<offer::Frame> first = co_await link_->read();
  if (!first || !std::holds_alternative<offer::Open>(*first)) co_return;
  std::variant<Admitted, Refused> answer = admit(std::move(std::get<offer::Open>(*first)));
  if (auto* no = std::get_if<Refused>(&answer)) {
    co_await refuse(std::move(*no));
    co_return;
  }
  alarm_.stop();
  reading_ = true;
  asio::co_spawn(
      state_->world.executor,
      [self = shared_from_this()]() -> Task<void> { co_await self->read_all(); }, asio::detached);
  offer::Frame accepted = offer::Accepted{manifest_->id, module_held_};
  co_await send(std::move(accepted));

  Ended ended = co_await execute();
  run_over_ = true;
  wall_.stop();
  alarm_.stop();
  input_at_end_of_run_ = received();
  stdin_ready_.notify();
  room_.notify();
  while (pumping_) {
    const bool woken = co_await wake_.wait();
    if (!woken) co_return;
  }
  execution_.reset();
  ahead_.clear();
  ahead_bytes_ = 0;
  leave_run();
  free_module();
  co_await await_rest_of_input(ended);
  co_await conclude(std::move(ended));
}

Task<void> Session::refuse(Refused refused) {
  offer::Rejected rejected;
  rejected.reason = refused.reason;
  rejected.detail = std::move(refused.detail);
  rejected.retry_after_ms = refused.retry_after_ms;
  offer::Frame answer = std::move(rejected);
  offer::Frame end = offer::End{};
  co_await send(std::move(answer));
  co_await send(std::move(end));
  link_->finish();
  // Until the requester has it; the alarm over the open frame still runs.
  while (true) {
    Result<offer::Frame> last = co_await link_->read();
    if (!last || std::holds_alternative<offer::End>(*last)) co_return;
  }
}

Task<void> Session::send(offer::Frame frame) {
  // A broken link shows at the reader, which stops the job.
  static_cast<void>(co_await link_->write(frame));
}

Task<void> Session::progress(std::string stage, std::uint64_t done, std::uint64_t total) {
  offer::Progress progress;
  progress.stage = std::move(stage);
  progress.done = done;
  progress.total = total;
  offer::Frame frame = std::move(progress);
  co_await send(std::move(frame));
}

Ended Session::stopped() const {
  return {*stop_, {}, {}};
}

Task<Ended> Session::execute() {
  const bool have_module = co_await await_module();
  if (!have_module) co_return stopped();
  const bool have_place = co_await await_place();
  if (!have_place) co_return stopped();
  std::optional<Ended> unfit = co_await prepare();
  if (unfit) co_return std::move(*unfit);
  if (stop_) co_return stopped();

  const Caller caller{manifest_->requester};
  Result<std::unique_ptr<Execution>> started = co_await state_->world.worker.start(*job_, caller);
  if (!started) co_return Ended{kWorkerLost, {}, {}};
  execution_ = std::move(*started);
  wall_.set(
      state_->world.clock.now() + std::chrono::milliseconds(manifest_->manifest.wall_limit_ms),
      [this] { stop(kWall); });
  if (stop_) execution_->kill(*stop_);
  pumping_ = true;
  asio::co_spawn(
      state_->world.executor,
      [self = shared_from_this()]() -> Task<void> { co_await self->pump_stdin(); }, asio::detached);
  const UtcTime began = state_->world.clock.now_utc();
  const Instant from = state_->world.clock.now();
  co_await progress("running");
  Ended ended = co_await follow();
  const Duration wall = state_->world.clock.now() - from;
  receipt::Claimed& claimed = ended.claimed;
  if (!claimed.wall_us) claimed.wall_us = static_cast<std::uint64_t>(wall.count() / 1000);
  if (!claimed.started_unix_ms) claimed.started_unix_ms = began.unix_ms;
  if (!claimed.finished_unix_ms) {
    claimed.finished_unix_ms = state_->world.clock.now_utc().unix_ms;
  }
  co_return ended;
}

Task<bool> Session::await_module() {
  if (!module_ready_) {
    alarm_.set(state_->world.clock.now() + state_->limits.parts_timeout,
               [this] { stop(kIncomplete); });
  }
  while (!module_ready_ && !stop_) {
    const bool woken = co_await wake_.wait();
    if (!woken) stop(kIncomplete);
  }
  alarm_.stop();
  co_return !stop_;
}

Task<bool> Session::await_place() {
  if (stop_) co_return false;
  waiting_ = true;
  state_->queue.push_back(this);
  state_->grant();
  if (!run_place_) co_await progress("queued");
  while (!run_place_ && !stop_) {
    const bool woken = co_await wake_.wait();
    if (!woken) stop(kIncomplete);
  }
  co_return !stop_;
}

Task<std::optional<Ended>> Session::prepare() {
  if (module_held_) co_return std::nullopt;
  co_await progress("compiling");
  const Result<void> ready = co_await state_->world.worker.prepare(*job_, module_);
  free_module();
  if (ready) co_return std::nullopt;
  co_return Ended{completion_of_prepare(ready.error()), {}, {}};
}

Task<Ended> Session::follow() {
  while (true) {
    Result<WorkerEvent> event = co_await execution_->next();
    if (!event) co_return Ended{kWorkerLost, {}, {}};
    if (auto* exit = std::get_if<WorkerExit>(&*event)) {
      Ended ended{std::move(exit->completion), std::move(exit->claimed),
                  std::move(exit->isolation)};
      // It may have ended by itself while we cut its output off.
      if (truncated_) ended.completion = kOutput;
      co_return ended;
    }
    if (auto* stage = std::get_if<WorkerProgress>(&*event)) {
      co_await progress(std::move(stage->stage), stage->done, stage->total);
      continue;
    }
    co_await take_output(std::move(std::get<job::OutputPiece>(*event)));
  }
}

Task<void> Session::take_output(job::OutputPiece piece) {
  const std::uint64_t room = job::output_bytes_max(*job_) - output_length_;
  if (piece.data.size() > room) {
    piece.data.resize(room);
    truncated_ = true;
    stop(kOutput);
  }
  if (piece.data.empty()) co_return;
  chain_.append(piece.stream, piece.data);
  output_length_ += piece.data.size();
  if (open_.commit_reveal) {
    held_output_.push_back(std::move(piece));
    co_return;
  }
  co_await send_output(piece);
  co_await send_checkpoint_when_due();
}

Task<void> Session::send_output(const job::OutputPiece& piece) {
  for (std::size_t at = 0; at < piece.data.size() && !gone_; at += offer::kDataBytesMax) {
    const std::size_t n = std::min(offer::kDataBytesMax, piece.data.size() - at);
    const auto from = piece.data.begin() + static_cast<std::ptrdiff_t>(at);
    offer::Output output;
    output.piece.stream = piece.stream;
    output.piece.data.assign(from, from + static_cast<std::ptrdiff_t>(n));
    offer::Frame frame = std::move(output);
    co_await send(std::move(frame));
  }
}

Task<void> Session::send_checkpoint_when_due() {
  if (open_.checkpoint_bytes == 0 || gone_) co_return;
  const std::uint64_t interval = std::max(open_.checkpoint_bytes, kCheckpointBytesMin);
  if (output_length_ - checkpoint_at_ < interval) co_return;
  checkpoint_at_ = output_length_;
  const receipt::Checkpoint point{manifest_->id, checkpoint_sequence_++, chain_.summary()};
  offer::CheckpointFrame signed_point;
  signed_point.envelope = receipt::sign(point, state_->world.key).envelope;
  offer::Frame frame = std::move(signed_point);
  co_await send(std::move(frame));
}

/// A run that exited over input whose commitment the manifest holds: the receipt states that input,
/// so the rest must come and be that input.
Task<void> Session::await_rest_of_input(Ended& ended) {
  const auto& named = job::input_of(*job_);
  const bool owed = named && !input_ended_ && ended.completion.kind == CompletionKind::exited;
  if (owed) {
    alarm_.set(state_->world.clock.now() + state_->limits.parts_timeout,
               [this] { stop(kIncomplete); });
    while (!input_ended_ && !stop_) {
      const bool woken = co_await wake_.wait();
      if (!woken) stop(kIncomplete);
    }
    alarm_.stop();
    input_at_end_of_run_ = received();
  }
  const bool complete = !named || *input_at_end_of_run_ == *named;
  if (ended.completion.kind == CompletionKind::exited && !complete) {
    ended.completion = stop_ ? *stop_ : kIncomplete;
  }
}

Task<void> Session::conclude(Ended ended) {
  const receipt::Receipt result =
      state_result(*manifest_, open_.salt, *input_at_end_of_run_, chain_.summary(), ended);
  const receipt::SignedReceipt signed_result = receipt::sign(result, state_->world.key);
  const Result<void> kept = state_->world.receipts.keep(*manifest_, signed_result);
  if (!kept) {
    link_->reset({Code::internal, "the receipt could not be kept", {}});
    co_return;
  }
  if (open_.commit_reveal && !gone_) {
    const bool revealed = co_await commit_and_reveal(result);
    if (!revealed) co_return;
  }
  leave_place();
  if (gone_) co_return;
  alarm_.set(state_->world.clock.now() + state_->limits.receipt_delivery_max, [this] {
    link_->reset({Code::timed_out, "the requester did not take the receipt", {}});
  });
  receipt_sent_ = true;
  offer::ReceiptFrame statement;
  statement.envelope = signed_result.envelope;
  offer::Frame frame = std::move(statement);
  offer::Frame end = offer::End{};
  co_await send(std::move(frame));
  co_await send(std::move(end));
  link_->finish();
  while (!ended_ && !gone_) {
    const bool woken = co_await wake_.wait();
    if (!woken) break;
  }
}

Task<bool> Session::commit_and_reveal(const receipt::Receipt& result) {
  const auto nonce = state_->world.random.array<32>();
  receipt::Commit commit;
  commit.job_id = manifest_->id;
  commit.value = receipt::commit_value(nonce, state_->world.key.public_key(),
                                       result.output.commitment, result.completion);
  offer::CommitFrame signed_commit;
  signed_commit.envelope = receipt::sign(commit, state_->world.key).envelope;
  committed_ = true;
  alarm_.set(state_->world.clock.now() + state_->limits.reveal_timeout, [this] {
    link_->reset({Code::timed_out, "the requester did not ask for the result", {}});
  });
  offer::Frame frame = std::move(signed_commit);
  co_await send(std::move(frame));
  while (!reveal_asked_ && !gone_ && !cancelled_) {
    const bool woken = co_await wake_.wait();
    if (!woken) co_return false;
  }
  if (gone_) co_return false;
  for (const job::OutputPiece& piece : held_output_) co_await send_output(piece);
  held_output_.clear();
  offer::Reveal reveal;
  reveal.nonce = nonce;
  offer::Frame last = reveal;
  co_await send(std::move(last));
  co_return true;
}

}  // namespace phase::provider
