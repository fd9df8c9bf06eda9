#include "tests/simulation/memory_worker.h"

#include <algorithm>
#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"

namespace phase::simulation {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

/// Shared by the handle the provider holds and the guest's coroutine.
struct Guest {
  Guest(Clock& c, const asio::any_io_executor& executor)
      : clock(c),
        stdin_ready(executor),
        stdin_room(executor),
        output_ready(executor),
        output_room(executor) {}

  void kill(Completion how) {
    if (exit) return;
    end(std::move(how));
  }
  void end(Completion how) {
    exit = std::move(how);
    for (Event* event : {&stdin_ready, &stdin_room, &output_ready, &output_room}) event->notify();
  }

  Clock& clock;
  std::deque<Bytes> input;
  std::size_t input_bytes = 0;
  bool input_ended = false;
  std::deque<job::OutputPiece> output;
  std::size_t output_bytes = 0;
  std::optional<Completion> exit;
  Event stdin_ready, stdin_room, output_ready, output_room;
};

using Shared = std::shared_ptr<Guest>;

/// Empty at the end of stdin, or when killed.
Task<Bytes> read(Shared guest) {
  while (guest->input.empty() && !guest->input_ended && !guest->exit) {
    const bool woken = co_await guest->stdin_ready.wait();
    if (!woken) break;
  }
  if (guest->exit || guest->input.empty()) co_return Bytes{};
  Bytes piece = std::move(guest->input.front());
  guest->input.pop_front();
  guest->input_bytes -= piece.size();
  guest->stdin_room.notify();
  co_return piece;
}

/// False when killed meanwhile.
Task<bool> write(Shared guest, job::OutputStream stream, Bytes data) {
  while (guest->output_bytes >= kGuestBufferBytes && !guest->exit) {
    const bool woken = co_await guest->output_room.wait();
    if (!woken) co_return false;
  }
  if (guest->exit) co_return false;
  guest->output_bytes += data.size();
  job::OutputPiece piece;
  piece.stream = stream;
  piece.data = std::move(data);
  guest->output.push_back(std::move(piece));
  guest->output_ready.notify();
  co_return true;
}

Task<void> write_many(Shared guest, std::size_t total) {
  constexpr std::size_t kPieceBytes = 10'000;
  std::size_t written = 0;
  while (written < total) {
    const std::size_t n = std::min(kPieceBytes, total - written);
    Bytes piece(n, static_cast<std::uint8_t>(written / kPieceBytes));
    const auto stream =
        (written / kPieceBytes) % 5 == 4 ? job::OutputStream::err : job::OutputStream::out;
    const bool alive = co_await write(guest, stream, std::move(piece));
    if (!alive) co_return;
    written += n;
  }
}

Task<void> live(Shared guest, std::string behaviour, std::uint64_t number) {
  Completion how;
  if (behaviour == "reverse") {
    Bytes all;
    while (true) {
      const Bytes piece = co_await read(guest);
      if (piece.empty()) break;
      all.insert(all.end(), piece.begin(), piece.end());
    }
    std::ranges::reverse(all);
    if (!all.empty()) co_await write(guest, job::OutputStream::out, std::move(all));
  } else if (behaviour == "echo") {
    while (true) {
      Bytes piece = co_await read(guest);
      if (piece.empty()) break;
      const bool alive = co_await write(guest, job::OutputStream::out, std::move(piece));
      if (!alive) break;
    }
  } else if (behaviour == "flood" || behaviour == "vanish") {
    co_await write_many(guest, number);
    if (behaviour == "vanish") how = {CompletionKind::failed, 0, "worker_lost"};
  } else if (behaviour == "exit") {
    how.exit_code = static_cast<std::int64_t>(number);
  } else if (behaviour == "sleep") {
    static_cast<void>(co_await guest->clock.sleep_for(std::chrono::milliseconds(number)));
  } else {  // spin
    while (!guest->exit) {
      const bool woken = co_await guest->stdin_ready.wait();
      if (!woken) break;
    }
  }
  if (!guest->exit) guest->end(std::move(how));
}

class MemoryExecution final : public provider::Execution {
 public:
  MemoryExecution(Shared guest, std::shared_ptr<std::size_t> running)
      : guest_(std::move(guest)), running_(std::move(running)) {
    ++*running_;
  }
  ~MemoryExecution() override {
    guest_->kill({CompletionKind::failed, 0, "worker_lost"});
    --*running_;
  }

  Task<Result<void>> write_stdin(ByteView bytes) override {
    const Shared guest = guest_;
    while (guest->input_bytes >= kGuestBufferBytes && !guest->exit) {
      const bool woken = co_await guest->stdin_room.wait();
      if (!woken) co_return fail(Code::cancelled, "writing stdin was cancelled");
    }
    if (!guest->exit && !bytes.empty()) {
      guest->input_bytes += bytes.size();
      guest->input.push_back(to_bytes(bytes));
      guest->stdin_ready.notify();
    }
    co_return Result<void>{};
  }
  void close_stdin() override {
    guest_->input_ended = true;
    guest_->stdin_ready.notify();
  }
  Task<Result<provider::WorkerEvent>> next() override {
    const Shared guest = guest_;
    while (guest->output.empty() && !guest->exit) {
      const bool woken = co_await guest->output_ready.wait();
      if (!woken) co_return fail(Code::internal, "waiting for the guest was cancelled");
    }
    if (!guest->output.empty()) {
      job::OutputPiece piece = std::move(guest->output.front());
      guest->output.pop_front();
      guest->output_bytes -= piece.data.size();
      guest->output_room.notify();
      co_return provider::WorkerEvent(std::move(piece));
    }
    provider::WorkerExit exit;
    exit.completion = *guest->exit;
    exit.isolation = {"none"};
    exit.claimed.runtime = "memory-1";
    co_return provider::WorkerEvent(std::move(exit));
  }
  void kill(Completion completion) override { guest_->kill(std::move(completion)); }

 private:
  Shared guest_;
  std::shared_ptr<std::size_t> running_;
};

}  // namespace

bool MemoryWorker::holds_module(const job::Job& job) const {
  return modules_.contains(job::module_of(job)->sha256);
}

Task<Result<void>> MemoryWorker::prepare(const job::Job& job, ByteView module) {
  const job::ArtifactRef ref = *job::module_of(job);
  ++prepared_;
  if (compile_time_ > Duration{0}) static_cast<void>(co_await clock_.sleep_for(compile_time_));
  const std::string text(as_text(module));
  static const std::set<std::string> kBehaviours{"reverse", "echo", "flood", "exit",
                                                 "sleep",   "spin", "vanish"};
  if (text.starts_with("bomb")) co_return fail(Code::too_large, "compile: too large to compile");
  if (!kBehaviours.contains(text.substr(0, text.find(' ')))) {
    co_return fail(Code::malformed, "module_malformed: not a behaviour: " + printable(text));
  }
  modules_.emplace(ref.sha256, text);
  co_return Result<void>{};
}

Result<void> MemoryWorker::takes(const job::Job& job) const {
  if (std::holds_alternative<job::WasmJob>(job)) return {};
  return fail(Code::unsupported, "this node runs wasm jobs");
}

Task<Result<std::unique_ptr<provider::Execution>>> MemoryWorker::start(const job::Job& job,
                                                                       const provider::Caller&) {
  const auto found = modules_.find(std::get<job::WasmJob>(job).module.sha256);
  if (found == modules_.end()) co_return fail(Code::not_found, "the module is not prepared");
  const std::string& text = found->second;
  const std::size_t space = text.find(' ');
  const std::uint64_t number = space == std::string::npos ? 0 : std::stoull(text.substr(space));
  const auto guest = std::make_shared<Guest>(clock_, executor_);
  std::unique_ptr<provider::Execution> handle = std::make_unique<MemoryExecution>(guest, running_);
  running_max_ = std::max(running_max_, *running_);
  asio::co_spawn(executor_, live(guest, text.substr(0, space), number), asio::detached);
  co_return handle;
}

}  // namespace phase::simulation
