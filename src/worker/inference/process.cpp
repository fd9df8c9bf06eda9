#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <signal.h>
#include <sys/stat.h>

#include "worker/inference/loaded_model_internal.h"

namespace phase::worker::inference {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

/// Packets read before others on the loop have their turn.
constexpr std::size_t kPacketsInTurn = 16;
/// How long the zygote may take to say how a child ended.
constexpr Duration kExitStatusTimeout = 2s;

constexpr std::string_view kGone = "the model's process is gone";

std::uint64_t unix_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

Completion worker_lost() {
  return {CompletionKind::failed, 0, "worker_lost"};
}

Error refusal_error(const Refused& refused) {
  const std::string why = refused.message.empty() ? "the engine refuses it" : refused.message;
  switch (refused.refusal) {
    case Refusal::too_large:
      return {Code::too_large, "the model does not fit: " + why, {}};
    case Refusal::unsupported:
      return {Code::unsupported, why, {}};
    case Refusal::malformed:
      break;
  }
  return {Code::malformed, "the model cannot be loaded: " + why, {}};
}

}  // namespace

Process::Process(asio::any_io_executor executor, std::shared_ptr<sandbox::Child> child,
                 std::vector<std::string> isolation, std::string runtime)
    : executor_(std::move(executor)),
      child_(std::move(child)),
      isolation_(std::move(isolation)),
      runtime_(std::move(runtime)) {}

// --- loading

Result<bool> Process::take_loading(ByteView packet, Bytes& info,
                                   const InferenceWorker::Progress& progress) {
  PHASE_TRY(const std::vector<FromChild> records, decode_from_child(packet));
  for (const FromChild& record : records) {
    if (const auto* loading = std::get_if<Loading>(&record)) {
      if (progress) progress(loading->ppm / 1e6);
    } else if (const auto* piece = std::get_if<InfoPiece>(&record)) {
      if (info.size() + piece->data.size() > kInfoBytesMax) {
        return fail(Code::malformed, "the model says too much of itself");
      }
      info.insert(info.end(), piece->data.begin(), piece->data.end());
    } else if (const auto* refused = std::get_if<Refused>(&record)) {
      return fail(refusal_error(*refused));
    } else if (const auto* loaded = std::get_if<Loaded>(&record)) {
      PHASE_TRY(readiness_.info, decode_info(info));
      readiness_.loaded = *loaded;
      return true;
    } else {
      return fail(Code::malformed, "the model's process broke its protocol");
    }
  }
  return false;
}

// The engine ended without a word: of the file, as far as anybody can tell.
Task<Error> Process::why_it_died() {
  const auto status = co_await child_->wait_exit(kExitStatusTimeout);
  Error error{Code::malformed, "the engine died of the model", {}};
  if (status && status->signal != 0) {
    error.message += " (signal " + std::to_string(status->signal) + ")";
  } else if (status && status->code == sandbox::control::kExitUnlocked) {
    error = {Code::unavailable, "a worker process could not lock itself down", {}};
  } else if (!status) {
    error = {Code::unavailable, "the worker program was lost", {}};
  }
  co_return error;
}

Task<Result<void>> Process::load(sandbox::FileDescriptor model, EngineOptions options, bool inspect,
                                 InferenceWorker::Progress progress) {
  const auto self = shared_from_this();
  struct stat status{};
  if (::fstat(model.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    co_return fail(Code::malformed, "the model is not a regular file");
  }
  const Load load{static_cast<std::uint64_t>(status.st_size), inspect, options};
  const Bytes message = encode(load);
  const int file = model.get();
  const auto sent = co_await child_->send(message, {}, std::span(&file, 1));
  if (!sent) co_return fail(sent.error());
  model.reset();
  Bytes info;
  for (;;) {
    const auto received = co_await child_->receive(buffer_);
    if (!received && received.error().code == Code::cancelled) co_return fail(received.error());
    if (!received || *received == 0) {
      Error error = co_await why_it_died();
      co_return fail(std::move(error));
    }
    PHASE_CO_TRY(const bool ready,
                 take_loading(ByteView(buffer_).first(*received), info, progress));
    if (ready) co_return Result<void>{};
  }
}

// --- serving

void Process::serve() {
  asio::co_spawn(
      executor_, [self = shared_from_this()]() -> Task<void> { co_await self->read_loop(); },
      asio::detached);
}

Task<void> Process::read_loop() {
  for (std::size_t packets = 1; !ended_; packets++) {
    // A process that always has something to say must not keep the loop from those it says it to.
    if (packets % kPacketsInTurn == 0) co_await asio::post(executor_, asio::use_awaitable);
    const auto received = co_await child_->receive(buffer_);
    if (!received || *received == 0) {
      if (ended_) co_return;
      const std::string why = co_await why_it_is_gone();
      lose(why);
      co_return;
    }
    const auto taken = take(ByteView(buffer_).first(*received));
    if (!taken) break;
  }
  lose(kGone);
}

// What to tell those whose requests it had.
Task<std::string> Process::why_it_is_gone() {
  const auto status = co_await child_->wait_exit(kExitStatusTimeout);
  std::string why(kGone);
  if (status && status->signal == SIGXCPU) {
    why += ": a template, a grammar or a tokenizer took more than " +
           std::to_string(readiness_.loaded.options.request_cpu_seconds) + " s of processor time";
  } else if (status && status->signal != 0) {
    why += " (signal " + std::to_string(status->signal) + ")";
  }
  co_return why;
}

void Process::close() {
  lose(kGone);
}

void Process::lose(std::string_view why) {
  if (std::exchange(ended_, true)) return;
  child_->kill();
  const auto requests = std::exchange(requests_, {});
  for (const auto& [id, request] : requests) {
    end(*request, request->stopped.value_or(worker_lost()), 0, std::string(why));
  }
}

Result<void> Process::take(ByteView packet) {
  PHASE_TRY(const std::vector<FromChild> records, decode_from_child(packet));
  for (const FromChild& record : records) {
    if (const auto* output = std::get_if<Output>(&record)) {
      PHASE_TRY_VOID(take_output(*output));
    } else if (const auto* moved = std::get_if<Moved>(&record)) {
      take_moved(*moved);
    } else if (const auto* ended = std::get_if<Ended>(&record)) {
      take_ended(*ended);
    } else {
      return fail(Code::protocol, "a model's process broke its protocol");
    }
  }
  return {};
}

Result<void> Process::take_output(const Output& output) {
  const auto found = requests_.find(output.id);
  if (found == requests_.end()) return {};
  Request& request = *found->second;
  request.unread_bytes += output.data.size();
  if (request.unread_bytes > kUnreadBytesMax) {
    return fail(Code::protocol, "a model's process does not stop talking");
  }
  auto* last =
      request.events.empty() ? nullptr : std::get_if<job::OutputPiece>(&request.events.back());
  const bool behind = request.events.size() >= kPiecesApartMax;
  if (behind && last != nullptr && last->stream == output.stream &&
      last->data.size() < kRecordDataMax) {
    last->data.insert(last->data.end(), output.data.begin(), output.data.end());
  } else {
    request.events.emplace_back(job::OutputPiece{output.stream, to_bytes(output.data)});
  }
  if (request.unread_bytes > kUnreadPauseBytes && !std::exchange(request.paused, true)) {
    tell(request.id, Word::pause);
  }
  request.event.notify();
  return {};
}

void Process::take_moved(const Moved& moved) {
  const auto found = requests_.find(moved.id);
  if (found == requests_.end()) return;
  Request& request = *found->second;
  if (!std::exchange(load_told_, true)) {
    request.events.emplace_back(
        InferenceProgress{std::string(stage_name(Stage::load)), readiness_.loaded.load_ns, 0});
  }
  // A process that counts without end would fill the parent: a request moves a few times.
  constexpr std::size_t kEventsMax = 4096;
  if (request.events.size() > kEventsMax) return;
  request.events.emplace_back(
      InferenceProgress{std::string(stage_name(moved.stage)), moved.done, moved.total});
  request.event.notify();
}

void Process::take_ended(const Ended& ended) {
  const auto found = requests_.find(ended.id);
  if (found == requests_.end()) return;
  const auto request = found->second;
  requests_.erase(found);
  const bool of_itself = ended.end != End::cancelled || !request->stopped;
  end(*request, of_itself ? completion_of(ended.end) : *request->stopped, ended.cpu_us,
      ended.message);
}

void Process::end(Request& request, Completion completion, std::uint64_t cpu_us,
                  std::string message) {
  if (std::exchange(request.ended, true)) return;
  prompt_bytes_ -= std::exchange(request.prompt_bytes, 0);
  request.patience.cancel();
  InferenceEnd last;
  last.completion = std::move(completion);
  last.message = std::move(message);
  const auto wall = std::chrono::steady_clock::now() - request.begin;
  last.claimed.wall_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(wall).count());
  if (cpu_us > 0) last.claimed.cpu_us = cpu_us;
  last.claimed.memory_bytes_peak = readiness_.loaded.memory_bytes;
  last.claimed.started_unix_ms = request.begin_unix_ms;
  last.claimed.finished_unix_ms = unix_ms_now();
  last.claimed.runtime = runtime_;
  request.events.emplace_back(std::move(last));
  request.event.notify();
}

void Process::tell(std::uint32_t id, Word word) {
  const Bytes message = encode(Tell{id, word});
  const auto sent = child_->try_send(message);
  if (!sent || *sent) return;
  // No room now: behind the prompts that wait for it.
  asio::co_spawn(
      executor_, [child = child_, message]() -> Task<void> { (void)co_await child->send(message); },
      asio::detached);
}

Task<Result<void>> Process::send_request(const Begin& begin, Bytes prompt) {
  const auto self = shared_from_this();
  PHASE_CO_TRY(const Bytes message, encode(begin));
  PHASE_CO_TRY_VOID(co_await child_->send(message));
  const Bytes head = prompt_head(begin.id);
  for (ByteView rest = prompt; !rest.empty();) {
    const ByteView piece = rest.first(std::min(rest.size(), kRecordDataMax));
    PHASE_CO_TRY_VOID(co_await child_->send(head, piece));
    rest = rest.subspan(piece.size());
    if (!requests_.contains(begin.id)) break;  // stopped meanwhile
  }
  co_return Result<void>{};
}

Task<Result<std::shared_ptr<Request>>> Process::begin(InferenceRequest asked) {
  const auto self = shared_from_this();
  if (ended_) co_return fail(Code::unavailable, std::string(kGone));
  const std::size_t sequences = readiness_.loaded.options.sequences;
  if (requests_.size() >= sequences + kInferenceQueueMax ||
      prompt_bytes_ + asked.prompt.size() > kPromptBytesWaitingMax) {
    co_return fail(Code::busy, "too many requests wait for the model");
  }
  Begin begin;
  begin.id = id_next_++;
  begin.job = std::move(asked.job);
  begin.caller = std::move(asked.caller);
  begin.prompt_bytes = asked.prompt.size();
  const auto request = std::make_shared<Request>(executor_);
  request->id = begin.id;
  request->prompt_bytes = asked.prompt.size();
  request->begin_unix_ms = unix_ms_now();
  prompt_bytes_ += request->prompt_bytes;
  requests_.emplace(begin.id, request);
  const auto sent = co_await send_request(begin, std::move(asked.prompt));
  if (!sent) {
    requests_.erase(begin.id);
    prompt_bytes_ -= std::exchange(request->prompt_bytes, 0);
    if (sent.error().code != Code::connection_closed) {
      tell(begin.id, Word::cancel);
      co_return fail(sent.error());
    }
    co_return fail(Code::unavailable, std::string(kGone));
  }
  co_return request;
}

Task<Result<InferenceEvent>> Process::next(std::shared_ptr<Request> request) {
  const auto self = shared_from_this();
  if (request->over) co_return fail(Code::internal, "nothing follows the end of a request");
  while (request->events.empty()) {
    const bool there = co_await request->event.wait();
    if (!there) co_return fail(Code::cancelled, "waiting for an answer was cancelled");
  }
  InferenceEvent event = std::move(request->events.front());
  request->events.pop_front();
  if (const auto* piece = std::get_if<job::OutputPiece>(&event)) {
    request->unread_bytes -= piece->data.size();
    if (request->unread_bytes < kUnreadResumeBytes && request->paused && !request->ended) {
      request->paused = false;
      tell(request->id, Word::resume);
    }
  }
  request->over = std::holds_alternative<InferenceEnd>(event);
  co_return event;
}

void Process::stop(const std::shared_ptr<Request>& request, Completion completion) {
  if (request->ended || request->stopped) return;
  request->stopped = std::move(completion);
  tell(request->id, Word::cancel);
  request->patience.expires_after(kStopTimeout);
  request->patience.async_wait(
      [weak = weak_from_this(), request](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (!error && self && !request->ended) self->lose(kGone);
      });
}

void Process::drop(const std::shared_ptr<Request>& request) {
  if (request->ended) return;
  stop(request, {CompletionKind::cancelled, 0, ""});
}

}  // namespace phase::worker::inference
