// Goal: whatever a module does, the job ends within its limits, says which one, and the next honest
// job runs. Method: the real worker; a table of modules and of the completion each must come to.
// Times are never asserted: a run that does not end fails by the test's own timeout.
#include <functional>

#include <boost/asio/detached.hpp>

#include "tests/hostile/modules.h"
#include "tests/hostile/worker_fixture.h"

namespace phase::hostile {
namespace {

using receipt::Completion;
using receipt::CompletionKind;
using worker::Outcome;

// Enough for every module that ends by itself to do so, on a busy machine under sanitizers.
constexpr Duration kPatience = 60s;
// For those that only the wall ends.
constexpr Duration kWall = 300ms;

struct Case {
  std::string name;
  std::string_view module;
  Completion completion;
  std::function<void(job::WasmJob&)> change = [](job::WasmJob&) {};
  std::function<void(const Outcome&)> check = [](const Outcome&) {};
  Duration wall = kPatience;
  std::optional<std::string> input = "";
};

std::vector<Case> cases() {
  const auto fuel = [](std::uint64_t units) {
    return [units](job::WasmJob& job) { job.limits.fuel = units; };
  };
  std::vector<Case> out;
  out.push_back(
      {"endless loop", kEndlessLoop, {CompletionKind::limited, 0, "fuel"}, fuel(50'000'000)});
  out.push_back({"endless start function",
                 kEndlessStart,
                 {CompletionKind::limited, 0, "fuel"},
                 fuel(50'000'000)});
  out.push_back({"memory bomb",
                 kMemoryBomb,
                 {CompletionKind::exited, 0, ""},
                 [](job::WasmJob& job) { job.limits.memory_bytes = 32_MiB; },
                 [](const Outcome& outcome) {
                   // One page from the start, 511 grown, and not one more.
                   EXPECT_EQ(outcome.out.size(), 511U);
                   EXPECT_EQ(outcome.exit.claimed.memory_bytes_peak, 32_MiB);
                 }});
  out.push_back({"memory above the limit from the start",
                 kMemoryFromStart,
                 {CompletionKind::limited, 0, "memory"}});
  out.push_back({"table bomb", kTableBomb, {CompletionKind::exited, 9, ""}});
  out.push_back({"table above the limit from the start",
                 kTableFromStart,
                 {CompletionKind::limited, 0, "table"}});
  out.push_back({"recursion", kRecursion, {CompletionKind::trapped, 0, "stack_overflow"}});
  out.push_back({"output flood",
                 kOutputFlood,
                 {CompletionKind::limited, 0, "output"},
                 [](job::WasmJob& job) { job.limits.output_bytes = 1'000'001; },
                 [](const Outcome& outcome) {
                   EXPECT_EQ(outcome.out.size() + outcome.err.size(), 1'000'001U);
                   EXPECT_EQ(outcome.out.size(), 500'001U);
                 }});
  out.push_back({"huge memory.fill",
                 kMemoryFill,
                 {CompletionKind::limited, 0, "wall"},
                 [](job::WasmJob&) {},
                 [](const Outcome&) {},
                 kWall});
  out.push_back({"blocked stdin",
                 kBlockedStdin,
                 {CompletionKind::limited, 0, "wall"},
                 [](job::WasmJob&) {},
                 [](const Outcome&) {},
                 kWall,
                 std::nullopt});
  out.push_back({"endless sleep",
                 kSleeper,
                 {CompletionKind::limited, 0, "wall"},
                 [](job::WasmJob&) {},
                 [](const Outcome&) {},
                 kWall});
  out.push_back({"reactor", kReactor, {CompletionKind::exited, 5, ""}, [](job::WasmJob& job) {
                   job.entry = "work";
                 }});
  // 21 is EFAULT: the call failed, the guest went on.
  out.push_back({"bad pointers", kBadPointers, {CompletionKind::exited, 21, ""}});
  out.push_back({"missing entry",
                 kEndlessLoop,
                 {CompletionKind::invalid, 0, "entry_missing"},
                 [](job::WasmJob& job) { job.entry = "main"; }});
  out.push_back({"entry that is no function",
                 kMemoryBomb,
                 {CompletionKind::invalid, 0, "entry_type"},
                 [](job::WasmJob& job) { job.entry = "memory"; }});
  return out;
}

class Hostile : public worker::WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    start();
  }
};

TEST_F(Hostile, ModulesEndAsTheTableSays) {
  for (const Case& item : cases()) {
    SCOPED_TRACE(item.name);
    const Bytes module = from_wat(item.module);
    job::WasmJob job = job_for(module);
    item.change(job);
    const auto outcome = run(module, job, item.input, item.wall);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->exit.completion.kind, item.completion.kind)
        << outcome->exit.completion.reason;
    EXPECT_EQ(outcome->exit.completion.reason, item.completion.reason);
    EXPECT_EQ(outcome->exit.completion.exit_code, item.completion.exit_code);
    item.check(*outcome);
    expect_hello_runs();
    EXPECT_EQ(worker_->executions_running(), 0U);
  }
}

// Goal: what a guest does not read is not collected for it.
// Method: a guest that never reads, and more input than a socket holds: the writer stays suspended
// until the run ends.
TEST_F(Hostile, StdinWaitsForTheGuest) {
  const Bytes module = from_wat(kEndlessLoop);
  const job::WasmJob job = job_for(module);
  ASSERT_TRUE(wait(worker_->prepare(job, module)));
  auto started = wait(worker_->start(job));
  ASSERT_TRUE(started);
  const std::shared_ptr<provider::Execution> execution = *std::move(started);
  bool written = false;
  asio::co_spawn(
      context_,
      [execution, &written]() -> Task<void> {
        const Bytes flood(16_MiB);
        EXPECT_TRUE(co_await execution->write_stdin(flood));
        written = true;
      },
      asio::detached);
  pass(100ms);
  EXPECT_FALSE(written);
  execution->close_stdin();  // does not wait
  execution->kill({CompletionKind::cancelled, 0, ""});
  const auto outcome = wait(follow(*execution));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->exit.completion.kind, CompletionKind::cancelled);
  while (!written) context_.run_one();
}

// What cannot be compiled is refused before anything runs, with the reason as the first word
// (provider/worker.h).
TEST_F(Hostile, ModulesThatCannotRunAreRefused) {
  const Bytes good = hello();
  Bytes truncated(good.begin(), good.end() - 20);
  struct Refusal {
    std::string name;
    Bytes module;
    std::string word;
  };
  const std::vector<Refusal> table = {
      {"malformed bytes", to_bytes("\x7f\x45LF is not a module"), "module_malformed"},
      {"no bytes", {}, "module_malformed"},
      {"a truncated module", truncated, "module_malformed"},
      {"undefined import", from_wat(kUndefinedImport), "import_undefined"},
      {"import with another type", from_wat(kWrongImportType), "import_undefined"},
      {"two memories", from_wat("(module (memory 1) (memory 1))"), "module_malformed"},
      {"two tables", from_wat("(module (table 1 funcref) (table 1 funcref))"), "module_malformed"},
      {"shared memory", from_wat("(module (memory 1 2 shared))"), "module_malformed"},
      {"64-bit memory", from_wat("(module (memory i64 1))"), "module_malformed"},
      {"relaxed SIMD",
       from_wat("(module (func (param v128 v128) (result v128)"
                " (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))"),
       "module_malformed"},
      {"text format", to_bytes("(module)"), "module_malformed"},
  };
  for (const Refusal& item : table) {
    SCOPED_TRACE(item.name);
    const auto prepared = wait(worker_->prepare(job_for(item.module), item.module));
    ASSERT_FALSE(prepared);
    EXPECT_EQ(prepared.error().code, Code::malformed) << prepared.error().text();
    EXPECT_EQ(prepared.error().message.substr(0, item.word.size() + 1), item.word + ":")
        << prepared.error().message;
    expect_hello_runs();
  }
}

TEST_F(Hostile, CompileBombsEndAtEachOfTheirLimits) {
  const Bytes bomb = compile_bomb(40, 200'000);
  struct Limit {
    std::string name;
    std::function<void(worker::CompileLimits&)> change;
    Code code;
  };
  const std::vector<Limit> table = {
      {"wall", [](auto& limits) { limits.wall = 200ms; }, Code::timed_out},
      {"memory", [](auto& limits) { limits.memory_bytes = 48_MiB; }, Code::too_large},
      {"size", [](auto& limits) { limits.compiled_bytes = 64_KiB; }, Code::too_large},
  };
  for (const Limit& item : table) {
    SCOPED_TRACE(item.name);
    options_.compile = {};
    options_.compile.wall = kPatience;
    item.change(options_.compile);
    start();
    const Bytes module = item.name == "size" ? compile_bomb(4, 10'000) : bomb;
    const auto prepared = wait(worker_->prepare(job_for(module), module));
    ASSERT_FALSE(prepared);
    EXPECT_EQ(prepared.error().code, item.code) << prepared.error().text();
    EXPECT_EQ(prepared.error().message.substr(0, 8), "compile:") << prepared.error().message;
    expect_hello_runs();
  }
}

}  // namespace
}  // namespace phase::hostile
