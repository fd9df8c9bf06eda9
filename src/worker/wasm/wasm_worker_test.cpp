// The real thing: worker program, locked-down children, cache. What hostile modules do is in
// tests/hostile.
#include "worker/wasm/wasm_worker.h"

#include <algorithm>

#include <boost/asio/detached.hpp>
#include <signal.h>
#include <sodium.h>

#include "tests/hostile/worker_fixture.h"

namespace phase::worker {
namespace {

namespace fs = std::filesystem;
using receipt::Completion;
using receipt::CompletionKind;

class WasmWorkerTest : public WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    start();
  }
  Bytes senses() const { return read_file(PHASE_BINARY_DIR "/examples/senses.wasm"); }
  // A run that waits for stdin.
  std::unique_ptr<provider::Execution> start_hello() {
    const Bytes module = hello();
    const job::WasmJob job = job_for(module);
    EXPECT_TRUE(wait(worker_->prepare(job, module)));
    auto execution = wait(worker_->start(job));
    EXPECT_TRUE(execution) << execution.error().text();
    return execution ? *std::move(execution) : nullptr;
  }
  Completion end_of(provider::Execution& execution) {
    auto outcome = wait(follow(execution));
    EXPECT_TRUE(outcome);
    return outcome ? outcome->exit.completion : Completion{};
  }
  // The one cache file there is.
  fs::path cache_entry() {
    worker_->modules().finish_writing();
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(options_.cache_folder)) found.push_back(entry);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? fs::path() : found.front();
  }
};

TEST_F(WasmWorkerTest, RunsHello) {
  expect_hello_runs();
}

TEST_F(WasmWorkerTest, ProfilesAreCompiledApart) {
  expect_hello_runs();
  job::WasmJob job = job_for(hello());
  job.profile = job::Profile::det_1;
  EXPECT_FALSE(worker_->holds_module(job));
  const auto outcome = run(hello(), job, "abc");
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->exit.completion, (Completion{CompletionKind::exited, 0, {}}));
  EXPECT_EQ(outcome->exit.claimed.fuel, 322U);  // the reference interpreter's, on every machine
  EXPECT_TRUE(worker_->holds_module(job));
}

TEST_F(WasmWorkerTest, SaysWhatItIs) {
  EXPECT_EQ(worker_->runtime().substr(0, 9), "wasmtime-");
  EXPECT_TRUE(std::ranges::is_sorted(worker_->isolation()));
  const auto outcome = run(hello(), job_for(hello()), "x");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->exit.isolation, worker_->isolation());
  EXPECT_EQ(outcome->exit.claimed.runtime, worker_->runtime());
  EXPECT_GT(outcome->exit.claimed.fuel.value_or(0), 0U);
  EXPECT_GE(outcome->exit.claimed.memory_bytes_peak.value_or(0), 65536U);

  options_.isolation = sandbox::Isolation::none;
  start();
  EXPECT_EQ(worker_->isolation(), std::vector<std::string>{"none"});
  EXPECT_EQ(worker_->warnings().size(), 1U);
  expect_hello_runs();
}

// What a guest senses is the job's, not the machine's; twice the same.
TEST_F(WasmWorkerTest, TheWorldIsTheJobs) {
  job::WasmJob job = job_for(senses());
  job.args = {"one", "two words"};
  job.env = {{"B", "2"}, {"A", "1"}};
  job.clock_start_ns = 1'234'567'890ULL * 1'000'000'000;
  job.random_seed.fill(9);
  std::array<unsigned char, 16> random{};
  const std::array<unsigned char, crypto_stream_chacha20_NONCEBYTES> nonce{};
  crypto_stream_chacha20(random.data(), random.size(), nonce.data(), job.random_seed.data());
  for (int i = 0; i < 2; i++) {
    const auto outcome = run(senses(), job);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->out,
              "arg module\narg one\narg two words\nenv A=1\nenv B=2\nseconds 1234567890\nrandom " +
                  to_hex(random) + "\nopen fails\n");
    EXPECT_EQ(outcome->err, "done\n");
    EXPECT_EQ(outcome->exit.completion, (Completion{CompletionKind::exited, 3, ""}));
  }
}

TEST_F(WasmWorkerTest, LargeInputComesBackReversed) {
  std::string input(3'000'000, ' ');
  for (std::size_t i = 0; i < input.size(); i++)
    input[i] = static_cast<char>('a' + i % 26 + i / 100'000 % 5);
  const auto outcome = run(hello(), job_for(hello()), input);
  ASSERT_TRUE(outcome) << outcome.error().text();
  std::ranges::reverse(input);
  EXPECT_TRUE(outcome->out == input);
}

// A guest that ends before its input does: the rest is dropped, the writer let go.
TEST_F(WasmWorkerTest, InputBeyondTheEndIsDropped) {
  std::shared_ptr<provider::Execution> execution = start_hello();
  ASSERT_TRUE(execution);
  bool written = false;
  asio::co_spawn(
      context_,
      [execution, &written]() -> Task<void> {
        const Bytes flood(256_MiB);
        EXPECT_TRUE(co_await execution->write_stdin(flood));
        written = true;
      },
      asio::detached);
  const auto outcome = wait(follow(*execution));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->exit.completion, (Completion{CompletionKind::exited, 1, ""}));
  EXPECT_EQ(outcome->err, "hello: the input does not fit in memory\n");
  while (!written) context_.run_one();
  EXPECT_TRUE(wait(execution->write_stdin(as_bytes("late"))));
}

TEST_F(WasmWorkerTest, KillEndsWithTheReasonGiven) {
  auto execution = start_hello();
  ASSERT_TRUE(execution);
  execution->kill({CompletionKind::cancelled, 0, ""});
  execution->kill({CompletionKind::limited, 0, "wall"});  // the first reason stays
  EXPECT_EQ(end_of(*execution), (Completion{CompletionKind::cancelled, 0, ""}));
  const auto after = wait(execution->next());
  EXPECT_FALSE(after);
}

TEST_F(WasmWorkerTest, HasALimitOfItsOwn) {
  options_.executions_max = 2;
  start();
  auto first = start_hello(), second = start_hello();
  ASSERT_TRUE(first && second);
  const auto third = wait(worker_->start(job_for(hello())));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::busy);
  first.reset();  // destroying a run ends it
  EXPECT_EQ(worker_->executions_running(), 1U);
  expect_hello_runs();
  second->kill({CompletionKind::cancelled, 0, ""});
  end_of(*second);
  EXPECT_EQ(worker_->executions_running(), 0U);
}

TEST_F(WasmWorkerTest, RunsSideBySide) {
  const Bytes module = hello();
  ASSERT_TRUE(wait(worker_->prepare(job_for(module), module)));
  constexpr std::size_t kRuns = 4;
  std::vector<std::future<Result<Outcome>>> futures;
  for (std::size_t i = 0; i < kRuns; i++) {
    futures.push_back(asio::co_spawn(
        context_, run_task(module, job_for(module), std::string(i + 1, 'x') + "y", std::nullopt),
        asio::use_future));
  }
  for (std::size_t i = 0; i < kRuns; i++) {
    context_.restart();
    while (futures[i].wait_for(0s) != std::future_status::ready) context_.run_one();
    const auto outcome = futures[i].get();
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->out, "y" + std::string(i + 1, 'x'));
  }
}

TEST_F(WasmWorkerTest, WantsThePreparedModule) {
  const auto started = wait(worker_->start(job_for(hello())));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::not_found);
  EXPECT_FALSE(worker_->holds_module(job_for(hello())));
}

// Goal: a process that dies under a run costs that run, says so, and nothing else.
TEST_F(WasmWorkerTest, ALostZygoteCostsItsRunsOnly) {
  auto execution = start_hello();
  ASSERT_TRUE(execution);
  ASSERT_EQ(::kill(worker_->zygote_pid(), SIGKILL), 0);
  EXPECT_EQ(end_of(*execution), (Completion{CompletionKind::failed, 0, "worker_lost"}));
  execution.reset();
  constexpr int kAttemptsMax = 400;
  // Until the loss is noticed, a child that is dying may still be handed a run; it is then told as
  // lost.
  const auto lost = [](const Result<Outcome>& outcome) {
    return !outcome || outcome->exit.completion.kind == CompletionKind::failed;
  };
  Result<Outcome> outcome = fail(Code::internal, "not tried");
  for (int i = 0; i < kAttemptsMax && lost(outcome); i++) {
    outcome = run(hello(), job_for(hello()), "ab");
    if (lost(outcome)) pass(50ms);
  }
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->out, "ba");
}

TEST_F(WasmWorkerTest, KeepsModulesAcrossRestarts) {
  expect_hello_runs();
  cache_entry();
  start();
  EXPECT_TRUE(worker_->holds_module(job_for(hello())));
  const auto started = wait(worker_->start(job_for(hello())));
  EXPECT_TRUE(started) << started.error().text();
}

// Goal: machine code that is not exactly what a compile child of ours sent is never run.
TEST_F(WasmWorkerTest, ChangedCacheEntriesAreCompiledAgain) {
  struct Change {
    std::string name;
    std::function<void(const fs::path&)> apply;
  };
  const std::vector<Change> table = {
      {"one bit",
       [](const fs::path& path) {
         std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(static_cast<std::streamoff>(fs::file_size(path) / 2));
         file.put('\x55');
       }},
      {"truncated", [](const fs::path& path) { fs::resize_file(path, fs::file_size(path) - 1); }},
      {"empty", [](const fs::path& path) { fs::resize_file(path, 0); }},
      {"another key", [this](const fs::path&) { options_.cache_key.fill(8); }},
      {"another module's entry",
       [this](const fs::path& path) {
         const Bytes other = senses();
         EXPECT_TRUE(wait(worker_->prepare(job_for(other), other)));
         worker_->modules().finish_writing();
         std::string name = path.filename().string();
         name.replace(0, 64, job::reference(other).sha256.hex());
         fs::rename(path.parent_path() / name, path);
       }},
  };
  for (const Change& change : table) {
    SCOPED_TRACE(change.name);
    expect_hello_runs();
    change.apply(cache_entry());
    start();  // nothing in memory
    EXPECT_FALSE(worker_->holds_module(job_for(hello())));
    const auto started = wait(worker_->start(job_for(hello())));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::not_found);
    expect_hello_runs();
    cache_entry();
    start();
    EXPECT_TRUE(worker_->holds_module(job_for(hello())));
  }
}

TEST_F(WasmWorkerTest, TheCacheHasBounds) {
  const Bytes first = senses();
  ASSERT_TRUE(wait(worker_->prepare(job_for(first), first)));
  options_.cache_disk_bytes_max = fs::file_size(cache_entry()) + 100;
  options_.cache_memory_bytes_max = 1;  // the newest stays all the same
  start();
  EXPECT_TRUE(worker_->holds_module(job_for(first)));
  expect_hello_runs();
  worker_->modules().finish_writing();
  std::uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(options_.cache_folder))
    total += entry.file_size();
  EXPECT_LE(total, options_.cache_disk_bytes_max);
  EXPECT_FALSE(worker_->holds_module(job_for(first)));
  EXPECT_TRUE(worker_->holds_module(job_for(hello())));
}

TEST_F(WasmWorkerTest, RefusesOptionsThatCannotWork) {
  options_.executions_max = 0;
  auto refused = WasmWorker::start(context_.get_executor(), options_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  options_.executions_max = 1;
  options_.worker_path = "/nonexistent/phase-worker";
  refused = WasmWorker::start(context_.get_executor(), options_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::not_found);
}

}  // namespace
}  // namespace phase::worker
