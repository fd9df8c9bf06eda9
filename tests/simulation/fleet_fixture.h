// fleet_fixture.h — nodes in memory for tests: they answer after a virtual time, honestly or not.
#pragma once

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/event.h"
#include "protocol/provider/provider.h"
#include "tests/simulation/stage.h"
#include "vcp/coordinator/coordinator.h"
#include "vcp/coordinator/module_files.h"
#include "vcp/state/memory_journal.h"

namespace phase::vcp {

enum class Manner : std::uint8_t {
  honest,
  lies,    ///< another output, well signed
  fails,   ///< the connection breaks
  forges,  ///< its receipts are refused
  silent,  ///< never answers
  slow,    ///< honest, a hundred times slower
  random,  ///< another output each time
};

/// Runs jobs as the output SHA-256(stdin), after a second.
class MemoryFleet final : public Runner {
 public:
  explicit MemoryFleet(Clock& clock, asio::any_io_executor executor)
      : clock_(clock), executor_(std::move(executor)) {}

  [[nodiscard]] Task<Result<RunResult>> run(RunOrder order, RunWatch& watch,
                                            requester::CancelToken& cancel,
                                            requester::RevealGate& gate) override {
    ++started;
    const Manner manner = manners[order.node];
    const NodeName node = order.node;
    const bool commit = order.commit_first;
    const std::shared_ptr<const Spec> spec = order.spec;
    if (commit && spec->work.job.limits.output_bytes > provider::kHeldOutputBytesMax) {
      co_return fail(Code::busy, "declined: it may write more than a node holds back");
    }
    watch.accepted("0123");
    Event wake(executor_);
    Alarm alarm(clock_, executor_);
    bool timed = false;
    if (manner != Manner::silent) {
      const Duration takes = manner == Manner::slow ? 100s : 1s;
      alarm.set(clock_.now() + takes, [&] {
        timed = true;
        wake.notify();
      });
    }
    cancel.on_request([&wake] { wake.notify(); });
    while (!timed && !cancel.requested()) static_cast<void>(co_await wake.wait());
    if (manner == Manner::fails || cut.contains(node)) {
      co_return fail(Code::connection_closed, "the connection broke");
    }
    if (cancel.requested()) co_return fail(Code::cancelled, "cancelled");
    if (commit) {
      watch.committed();
      gate.on_open([&wake] { wake.notify(); });
      while (!gate.opened() && !cancel.requested()) static_cast<void>(co_await wake.wait());
      gate.on_open(nullptr);
      if (cancel.requested()) co_return fail(Code::cancelled, "cancelled");
      revealed.push_back(node);
    }
    cancel.on_request(nullptr);
    co_return result(*spec, node, manner);
  }

  std::map<NodeName, Manner> manners;
  std::set<NodeName> cut;  ///< what runs there is lost
  std::size_t started = 0;
  std::vector<NodeName> revealed;

 private:
  RunResult result(const Spec& spec, const NodeName& node, Manner manner) {
    std::string text = sha256(spec.work.stdin_bytes).hex();
    if (manner == Manner::lies) text = "a lie of " + node;
    if (manner == Manner::random) text = "dice of " + node + " " + std::to_string(++dice_);
    RunResult out;
    out.out = to_bytes(text);
    job::OutputChain chain;
    chain.append(job::OutputStream::out, out.out);
    out.output = chain.summary();
    out.fuel = 1'500'000'000;
    out.wall_ms = 1'000;
    out.receipt = {1};
    if (manner == Manner::forges) out.refused = "signature";
    return out;
  }
  Clock& clock_;
  asio::any_io_executor executor_;
  std::uint64_t dice_ = 0;
};

/// A coordinator in virtual time.
class FleetTest : public testing::Test {
 protected:
  ~FleetTest() override {
    coordinator_.reset();
    static_cast<void>(stage_.settle());
  }
  void open(CoordinatorOptions options = {}) {
    coordinator_.reset();
    play([&]() -> Task<void> {
      Coordinator::World world{stage_.clock,
                               stage_.random,
                               journal_,
                               modules_,
                               fleet_,
                               own_,
                               stage_.context.get_executor(),
                               *log_};
      auto opened = co_await Coordinator::open(world, options);
      EXPECT_TRUE(opened) << opened.error().text();
      if (opened) coordinator_ = *std::move(opened);
    });
  }
  template <typename F>
  void play(F body) {
    EXPECT_TRUE(stage_.play(std::move(body)));
  }
  /// Virtual time goes by.
  void pass(Duration time) {
    play([&]() -> Task<void> { static_cast<void>(co_await stage_.clock.sleep_for(time)); });
  }
  void grant(const UserId& user) {
    play([&]() -> Task<void> {
      const auto granted = co_await coordinator_->grant(user);
      EXPECT_TRUE(granted);
    });
  }
  /// Registers a node and lets it join.
  void add_node(const NodeName& name, Manner manner = Manner::honest,
                const UserId& owner = "owner") {
    grant(owner);
    play([&]() -> Task<void> {
      NodeRegistration registration{name, "eu", "compute", 100, 8, 16'000, false, {}};
      auto made = co_await coordinator_->register_node(registration, owner);
      EXPECT_TRUE(made) << made.error().text();
      if (!made) co_return;
      Hello hello = hello_of(name);
      hello.join_token = made->join_token;
      const auto refused = co_await coordinator_->sink().join(hello, key_of(name));
      EXPECT_FALSE(refused) << refused->text;
    });
    fleet_.manners[name] = manner;
    come(name);
  }
  static Hello hello_of(const NodeName& name) {
    Hello hello;
    hello.name = name;
    hello.region = "eu";
    hello.type = "compute";
    hello.cpu_cores = 8;
    hello.memory_bytes = 16'000ULL * 1024 * 1024;
    hello.jobs_max = 4;
    return hello;
  }
  static identity::PublicKey key_of(const NodeName& name) {
    return identity::PublicKey{sha256(as_bytes(name)).value};
  }
  void come(const NodeName& name) {
    SessionSink& sink = coordinator_->sink();
    sink.joined(name, key_of(name), hello_of(name));
    sink.latency(name, 5ms);
    sink.bandwidth(name, {500'000, 500'000});
  }
  /// All nodes are heard of.
  void beat() {
    for (const auto& [name, manner] : fleet_.manners) {
      coordinator_->sink().telemetry(name, {});
    }
  }
  Result<TaskView> submit(std::uint32_t quorum = 1, const UserId& owner = "owner",
                          std::uint64_t seconds = 60) {
    Result<TaskView> out = fail(Code::internal, "not submitted");
    play([&]() -> Task<void> {
      Submission submission;
      submission.module = Bytes{0, 0x61, 0x73, 0x6D, 1, 0, 0, 0};
      submission.inputs_json = R"({"number":7})";
      submission.requirements.min_nodes = quorum;
      submission.requirements.max_execution_seconds = seconds;
      out = co_await coordinator_->submit(std::move(submission), owner);
    });
    return out;
  }
  TaskView task(const TaskId& id) {
    Result<TaskView> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> { out = co_await coordinator_->task(id, std::nullopt); });
    EXPECT_TRUE(out) << out.error().text();
    return out ? *std::move(out) : TaskView{};
  }
  /// Waits until it is final.
  TaskView outcome(const TaskId& id) {
    for (int step = 0; step < 1'000; ++step) {
      TaskView seen = task(id);
      if (is_final(seen.state)) return seen;
      beat();
      pass(1s);
    }
    ADD_FAILURE() << "the task never ends";
    return {};
  }
  Credits balance(const std::string& account) {
    Result<Credits> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> { out = co_await coordinator_->balance(account); });
    return out.value_or(0);
  }

  simulation::Stage stage_;
  MemoryJournal journal_;
  MemoryModules modules_;
  MemoryFleet fleet_{stage_.clock, stage_.context.get_executor()};
  MemoryFleet own_{stage_.clock, stage_.context.get_executor()};
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test");
  std::unique_ptr<Coordinator> coordinator_;
};

}  // namespace phase::vcp
