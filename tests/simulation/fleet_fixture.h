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
  lies,           ///< another output, well signed
  fails,          ///< the connection breaks
  forges,         ///< its receipts are refused
  silent,         ///< never answers
  slow,           ///< honest, a hundred times slower
  lies_together,  ///< the same wrong output as all who lie so
  random,         ///< another output each time
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
    if (cancel.requested()) {
      ++cancelled;
      co_return fail(Code::cancelled, "cancelled");
    }
    if (commit) {
      watch.committed();
      gate.on_open([&wake] { wake.notify(); });
      while (!gate.opened() && !cancel.requested()) static_cast<void>(co_await wake.wait());
      gate.on_open(nullptr);
      if (cancel.requested()) co_return fail(Code::cancelled, "cancelled");
      revealed.push_back(node);
    }
    cancel.on_request(nullptr);
    RunResult done = result(*spec, node, manner);
    watch.output({job::OutputStream::out, done.out});
    co_return done;
  }

  std::map<NodeName, Manner> manners;
  std::set<NodeName> cut;  ///< what runs there is lost
  std::size_t started = 0, cancelled = 0;
  std::vector<NodeName> revealed;

 private:
  RunResult result(const Spec& spec, const NodeName& node, Manner manner) {
    std::string text = sha256(spec.work.stdin_bytes).hex();
    if (manner == Manner::lies) text = "a lie of " + node;
    if (manner == Manner::lies_together) text = "a lie";
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

/// In memory, and durable only after a while.
class SlowJournal final : public Journal {
 public:
  explicit SlowJournal(Clock& clock) : clock_(clock) {}
  [[nodiscard]] Task<Result<Loaded>> load() override { return in_.load(); }
  void append(Batch batch) override { in_.append(std::move(batch)); }
  [[nodiscard]] Task<Result<void>> settled() override {
    if (settles > Duration{0}) co_return co_await clock_.sleep_for(settles);
    co_return Result<void>{};
  }
  [[nodiscard]] std::size_t waiting() const override { return in_.waiting(); }
  [[nodiscard]] Task<Result<std::optional<TaskRow>>> task(TaskId id) override {
    return in_.task(std::move(id));
  }
  [[nodiscard]] Task<Result<std::vector<RunRow>>> runs(TaskId id) override {
    return in_.runs(std::move(id));
  }
  [[nodiscard]] Task<Result<TaskPage>> tasks(TaskQuery query) override {
    return in_.tasks(std::move(query));
  }
  [[nodiscard]] Task<Result<std::optional<ConnectSession>>> session(std::string id) override {
    return in_.session(std::move(id));
  }
  [[nodiscard]] Task<Result<std::vector<Entry>>> entries(std::string account,
                                                         std::uint64_t sequence,
                                                         std::size_t limit) override {
    return in_.entries(std::move(account), sequence, limit);
  }
  [[nodiscard]] const std::vector<Entry>& ledger() const noexcept { return in_.ledger(); }
  [[nodiscard]] const std::map<TaskId, TaskRow>& all_tasks() const noexcept {
    return in_.all_tasks();
  }
  [[nodiscard]] const std::map<TaskId, std::map<std::uint32_t, RunRow>>& all_runs() const noexcept {
    return in_.all_runs();
  }

  Duration settles{0};

 private:
  Clock& clock_;
  MemoryJournal in_;
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
  void add_node(const NodeName& name, Manner manner = Manner::honest, const UserId& owner = "owner",
                const std::string& type = "compute") {
    grant(owner);
    play([&]() -> Task<void> {
      NodeRegistration registration{name, "eu", type, 100, 8, 16'000, false, {}};
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
      if (!name.starts_with("peer-")) coordinator_->sink().telemetry(name, {});
    }
  }
  static Submission submission(std::uint32_t quorum = 1, std::uint64_t seconds = 60) {
    Submission out;
    out.module = Bytes{0, 0x61, 0x73, 0x6D, 1, 0, 0, 0};
    out.inputs_json = R"({"number":7})";
    out.requirements.min_nodes = quorum;
    out.requirements.max_execution_seconds = seconds;
    return out;
  }
  Result<TaskView> submit(const Submission& wanted, const UserId& owner = "owner") {
    Result<TaskView> out = fail(Code::internal, "not submitted");
    play([&]() -> Task<void> {
      Submission copy = wanted;
      out = co_await coordinator_->submit(std::move(copy), owner);
    });
    return out;
  }
  Result<TaskView> submit(std::uint32_t quorum = 1, const UserId& owner = "owner",
                          std::uint64_t seconds = 60) {
    return submit(submission(quorum, seconds), owner);
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
  SlowJournal journal_{stage_.clock};
  MemoryModules modules_;
  MemoryFleet fleet_{stage_.clock, stage_.context.get_executor()};
  MemoryFleet own_{stage_.clock, stage_.context.get_executor()};
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test");
  std::unique_ptr<Coordinator> coordinator_;
};

}  // namespace phase::vcp
