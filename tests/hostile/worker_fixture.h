// worker_fixture.h — a real WasmWorker for tests: the worker program, a cache folder of its own, a
// loop.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "worker/wasm/wasm_worker.h"

namespace phase::worker {

inline Bytes read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// All that a run gave.
struct Outcome {
  std::string out, err;
  provider::WorkerExit exit;
};

class WorkerFixture : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("phase-worker-test-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    options_.worker_path = PHASE_BINARY_DIR "/bin/phase-worker";
    options_.cache_folder = folder_ / "cache";
    options_.cache_key.fill(7);
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  /// With `options_` as they are now.
  void start() {
    stop();
    auto worker = WasmWorker::start(context_.get_executor(), options_);
    ASSERT_TRUE(worker) << worker.error().text();
    worker_ = *std::move(worker);
  }
  void stop() {
    worker_.reset();
    context_.restart();
    context_.poll();
  }

  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (future.wait_for(0s) != std::future_status::ready) context_.run_one();
    return future.get();
  }
  void pass(Duration duration) {
    wait([](Duration d) -> Task<int> {
      asio::steady_timer timer(co_await asio::this_coro::executor, d);
      co_await timer.async_wait(asio::use_awaitable);
      co_return 0;
    }(duration));
  }

  static job::WasmJob job_for(const Bytes& module) {
    job::WasmJob job;
    job.module = job::reference(module);
    return job;
  }
  /// Prepares the module and runs it with `input` as stdin; without one, stdin stays open and
  /// silent.
  Result<Outcome> run(const Bytes& module, job::WasmJob job, std::optional<std::string> input = "",
                      std::optional<Duration> wall = {}) {
    return wait(run_task(module, std::move(job), std::move(input), wall));
  }
  Task<Result<Outcome>> run_task(const Bytes& module, job::WasmJob job,
                                 std::optional<std::string> input, std::optional<Duration> wall) {
    const job::Job asked = job;
    PHASE_CO_TRY_VOID(co_await worker_->prepare(asked, module));
    PHASE_CO_TRY(std::shared_ptr<provider::Execution> execution, co_await worker_->start(job));
    auto deadline = std::make_shared<asio::steady_timer>(context_);
    if (wall) {
      deadline->expires_after(*wall);
      deadline->async_wait([execution, deadline](const boost::system::error_code& error) {
        if (!error) execution->kill({receipt::CompletionKind::limited, 0, "wall"});
      });
    }
    if (input) {
      asio::co_spawn(
          context_,
          [execution, text = *std::move(input)]() -> Task<void> {
            (void)co_await execution->write_stdin(as_bytes(text));
            execution->close_stdin();
          },
          asio::detached);
    }
    auto outcome = co_await follow(*execution);
    deadline->cancel();
    co_return outcome;
  }
  static Task<Result<Outcome>> follow(provider::Execution& execution) {
    Outcome outcome;
    for (;;) {
      PHASE_CO_TRY(auto event, co_await execution.next());
      if (auto* piece = std::get_if<job::OutputPiece>(&event)) {
        auto& text = piece->stream == job::OutputStream::out ? outcome.out : outcome.err;
        text += as_text(piece->data);
      } else {
        outcome.exit = std::get<provider::WorkerExit>(event);
        co_return outcome;
      }
    }
  }

  Bytes hello() const { return read_file(PHASE_BINARY_DIR "/examples/hello.wasm"); }
  void expect_hello_runs() {
    const Bytes module = hello();
    const auto outcome = run(module, job_for(module), "Hello, World");
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->out, "dlroW ,olleH");
    EXPECT_EQ(outcome->exit.completion, receipt::Completion{});
  }

  std::filesystem::path folder_;
  WasmWorker::Options options_;
  asio::io_context context_;
  std::unique_ptr<WasmWorker> worker_;
};

}  // namespace phase::worker
