// The real thing end to end: worker program, locked-down children, cache.
#include "worker/wasm/wasm_worker.h"

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

namespace phase::worker {
namespace {

namespace fs = std::filesystem;

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Outcome {
  std::string out, err;
  provider::WorkerExit exit;
};

class WasmWorkerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("phase-worker-test-" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    start();
  }
  void TearDown() override {
    worker_.reset();
    context_.poll();
    fs::remove_all(folder_);
  }
  WasmWorker::Options options() const {
    WasmWorker::Options options;
    options.worker_path = PHASE_BINARY_DIR "/bin/phase-worker";
    options.cache_folder = folder_ / "cache";
    options.cache_key.fill(7);
    return options;
  }
  void start() {
    auto worker = WasmWorker::start(context_.get_executor(), options());
    ASSERT_TRUE(worker) << worker.error().text();
    worker_ = *std::move(worker);
  }
  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (future.wait_for(0s) != std::future_status::ready) context_.run_one();
    return future.get();
  }
  Task<Result<Outcome>> run(job::WasmJob job, std::string input) {
    PHASE_CO_TRY(auto execution, co_await worker_->start(job));
    PHASE_CO_TRY_VOID(co_await execution->write_stdin(as_bytes(input)));
    execution->close_stdin();
    Outcome outcome;
    for (;;) {
      PHASE_CO_TRY(auto event, co_await execution->next());
      if (auto* piece = std::get_if<job::OutputPiece>(&event)) {
        (piece->stream == job::OutputStream::out ? outcome.out : outcome.err) +=
            as_text(piece->data);
      } else {
        outcome.exit = std::get<provider::WorkerExit>(event);
        co_return outcome;
      }
    }
  }

  fs::path folder_;
  asio::io_context context_;
  std::unique_ptr<WasmWorker> worker_;
};

TEST_F(WasmWorkerTest, RunsHello) {
  const Bytes module = read_file(PHASE_BINARY_DIR "/examples/hello.wasm");
  job::WasmJob job;
  job.module = job::reference(module);
  const auto prepared = wait(worker_->prepare(job.module, module));
  ASSERT_TRUE(prepared) << prepared.error().text();
  const auto outcome = wait(run(job, "Hello, World"));
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->out, "dlroW ,olleH");
  EXPECT_EQ(outcome->err, "");
  EXPECT_EQ(outcome->exit.completion, receipt::Completion{});
}

}  // namespace
}  // namespace phase::worker
