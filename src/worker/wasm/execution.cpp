#include "worker/wasm/execution.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <signal.h>

#include "worker/wasm/message.h"

namespace phase::worker {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

std::uint64_t unix_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// Shared with coroutines, so that an execution can be destroyed while one of them is suspended.
struct Run {
  explicit Run(ExecutionSetup setup_) : setup(std::move(setup_)) {}

  ExecutionSetup setup;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::uint64_t begin_unix_ms = unix_ms_now();
  Bytes buffer = Bytes(sandbox::kMessageBytesMax);
  std::optional<job::OutputPiece> next_piece;  // read while joining, belongs to the next event
  std::optional<RunReport> report;
  std::optional<Completion> killed;
  std::uint64_t output_bytes = 0;
  bool lost = false;  // the child's socket ended, or what it said was wrong
  bool over = false;  // WorkerExit was handed out
  bool stdin_closed = false;

  // Takes one message. Errors: the child broke the rules.
  Result<void> take(ByteView message, job::OutputPiece& piece);
  // Waits for something, then joins what is there. True: `piece` holds output.
  Task<bool> collect(job::OutputPiece& piece);
  void end(Completion completion);
  Task<provider::WorkerExit> finish();
};

// The first reason to end stays.
void Run::end(Completion completion) {
  if (!killed) killed = std::move(completion);
  setup.child->kill();
}

Result<void> Run::take(ByteView message, job::OutputPiece& piece) {
  PHASE_TRY(const FromChild decoded, decode_from_child(message));
  if (const auto* output = std::get_if<Output>(&decoded)) {
    // The child stops at the limit by itself; this is for one that does not.
    const std::uint64_t left = setup.output_bytes_max - output_bytes;
    const ByteView data = output->data.first(std::min<std::uint64_t>(output->data.size(), left));
    output_bytes += data.size();
    if (data.size() < output->data.size()) end({CompletionKind::limited, 0, "output"});
    if (data.empty()) return {};
    if (piece.data.empty()) piece.stream = output->stream;
    if (piece.stream == output->stream) {
      piece.data.insert(piece.data.end(), data.begin(), data.end());
    } else {
      next_piece = job::OutputPiece{output->stream, to_bytes(data)};
    }
    return {};
  }
  if (const auto* said = std::get_if<RunReport>(&decoded)) {
    report = *said;
    return {};
  }
  return fail(Code::protocol, "a worker process broke its protocol");
}

Task<bool> Run::collect(job::OutputPiece& piece) {
  if (next_piece) piece = *std::exchange(next_piece, std::nullopt);
  for (std::size_t messages = 0; messages < kEventMessagesMax && !report && !lost; messages++) {
    if (piece.data.size() >= kEventBytesMax || next_piece) break;
    std::optional<std::size_t> got;
    if (piece.data.empty()) {
      const auto received = co_await setup.child->receive(buffer);
      lost = !received || *received == 0;
      if (!lost) got = *received;
    } else {
      const auto received = setup.child->try_receive(buffer);
      lost = !received || received->value_or(1) == 0;
      if (!lost) got = *received;
    }
    if (!got) break;
    if (!take(ByteView(buffer).first(*got), piece)) {
      lost = true;
      setup.child->kill();
    }
  }
  co_return !piece.data.empty();
}

Task<provider::WorkerExit> Run::finish() {
  provider::WorkerExit exit;
  if (killed) {
    exit.completion = *killed;
  } else if (report) {
    exit.completion = completion_of(*report);
  } else {
    exit.completion = {CompletionKind::failed, 0, "worker_lost"};
    const auto status = co_await setup.child->wait_exit(kExitStatusTimeout);
    // Only the processor-time limit sends this signal; every other death may have several causes.
    if (status && status->signal == SIGXCPU) exit.completion = {CompletionKind::limited, 0, "wall"};
  }
  over = true;
  setup.slot.reset();
  const auto wall = std::chrono::steady_clock::now() - begin;
  exit.claimed.wall_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(wall).count());
  exit.claimed.started_unix_ms = begin_unix_ms;
  exit.claimed.finished_unix_ms = unix_ms_now();
  exit.claimed.runtime = setup.runtime;
  if (report) {
    exit.claimed.cpu_us = report->cpu_us;
    exit.claimed.fuel = report->fuel_used;
    if (report->memory_bytes_peak > 0) exit.claimed.memory_bytes_peak = report->memory_bytes_peak;
  }
  exit.isolation = setup.isolation;
  co_return exit;
}

class WasmExecution final : public provider::Execution {
 public:
  WasmExecution(asio::any_io_executor executor, ExecutionSetup setup)
      : executor_(std::move(executor)), run_(std::make_shared<Run>(std::move(setup))) {}
  ~WasmExecution() override {
    run_->setup.child->kill();
    run_->setup.slot.reset();
  }

  Task<Result<void>> write_stdin(ByteView bytes) override;
  void close_stdin() override;
  Task<Result<provider::WorkerEvent>> next() override;
  void kill(Completion completion) override {
    if (!run_->over) run_->end(std::move(completion));
  }

 private:
  asio::any_io_executor executor_;
  std::shared_ptr<Run> run_;
};

Task<Result<void>> WasmExecution::write_stdin(ByteView bytes) {
  const auto run = run_;
  while (!bytes.empty() && !run->over && !run->killed && !run->stdin_closed) {
    const ByteView piece = bytes.first(std::min(bytes.size(), sandbox::kPieceBytesMax));
    const auto sent = co_await run->setup.child->send(ByteView(&kStdinPieceTag, 1), piece);
    if (!sent) {
      // A child that ended no longer reads: its end is told by next().
      if (sent.error().code == Code::connection_closed) break;
      co_return sent;
    }
    bytes = bytes.subspan(piece.size());
  }
  co_return Result<void>{};
}

void WasmExecution::close_stdin() {
  if (std::exchange(run_->stdin_closed, true)) return;
  const auto sent = run_->setup.child->try_send(encode_stdin_end());
  if (!sent || *sent) return;
  // No room now: behind what the guest has not read yet.
  asio::co_spawn(
      executor_,
      [child = run_->setup.child]() -> Task<void> {
        const Bytes end = encode_stdin_end();
        (void)co_await child->send(end);
      },
      asio::detached);
}

Task<Result<provider::WorkerEvent>> WasmExecution::next() {
  const auto run = run_;
  if (run->over) co_return fail(Code::internal, "nothing follows the end of a run");
  while (run->next_piece || (!run->report && !run->lost)) {
    job::OutputPiece piece;
    if (co_await run->collect(piece)) co_return provider::WorkerEvent{std::move(piece)};
  }
  provider::WorkerExit exit = co_await run->finish();
  co_return provider::WorkerEvent{std::move(exit)};
}

}  // namespace

std::unique_ptr<provider::Execution> make_execution(asio::any_io_executor executor,
                                                    ExecutionSetup setup) {
  return std::make_unique<WasmExecution>(std::move(executor), std::move(setup));
}

}  // namespace phase::worker
