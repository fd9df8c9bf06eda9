// The coordinator over nodes in memory, in virtual time.
#include "vcp/coordinator/coordinator.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "tests/simulation/fleet_fixture.h"
#include "vcp/coordinator/inputs.h"
#include "vcp/coordinator/quorum.h"
#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

class CoordinatorTest : public FleetTest {
 protected:
  NodeView node(const NodeName& name) {
    Result<NodeView> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> { out = co_await coordinator_->node(name); });
    EXPECT_TRUE(out) << out.error().text();
    return out.value_or(NodeView{});
  }
  double reputation(const NodeName& name) {
    return node(name).health.reputation.value.value_or(-1);
  }
  void change(const NodeName& name, Fleet::NodeChange change) {
    play([&]() -> Task<void> {
      const auto changed = co_await coordinator_->change_node(name, change, "owner");
      EXPECT_TRUE(changed) << changed.error().text();
    });
  }
};

std::size_t count(const TaskView& task, RunState state) {
  return static_cast<std::size_t>(
      std::ranges::count_if(task.runs, [&](const RunView& run) { return run.state == state; }));
}

TEST_F(CoordinatorTest, ATaskRunsIsPaidAndTheRestGoesBack) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a");
  const Credits before = balance("user:owner");
  const auto submitted = submit();
  ASSERT_TRUE(submitted) << submitted.error().text();
  EXPECT_EQ(balance("user:owner"), before - submitted->spec.bid);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_NE(done.result_json.find(sha256(as_bytes(R"({"number":7})")).hex()), std::string::npos);
  EXPECT_EQ(done.paid, kRunCredits) << "one claim of fuel moves no credit";
  EXPECT_EQ(balance("node:a"), kRunCredits);
  EXPECT_EQ(balance("user:owner"), before - kRunCredits);
  EXPECT_EQ(done.refunded + done.paid, done.spec.bid);
}

TEST_F(CoordinatorTest, AModuleGoesWhenNoTaskNeedsItAnyMore) {
  CoordinatorOptions options;
  options.modules_kept = std::chrono::hours(24);
  options.modules_swept_every = std::chrono::hours(1);
  options.node_tick = std::chrono::minutes(1);
  open(options);
  add_node("a");
  coordinator_->sink().gone("a", GoneReason::closed, {});
  const auto waits = submit();  // for its node to come back
  ASSERT_TRUE(waits) << waits.error().text();
  const Sha256 name = waits->spec.work.job.module.sha256;
  pass(std::chrono::hours(50));
  ASSERT_FALSE(is_final(task(waits->spec.id).state)) << task(waits->spec.id).reason;
  EXPECT_TRUE(modules_.holds(name));
  open(options);  // it begins anew, and sweeps at once
  pass(std::chrono::hours(2));
  EXPECT_TRUE(modules_.holds(name));
  play([&]() -> Task<void> {
    const auto cancelled = co_await coordinator_->cancel(waits->spec.id, "owner");
    EXPECT_TRUE(cancelled);
  });
  pass(std::chrono::hours(2));
  EXPECT_FALSE(modules_.holds(name));
}

TEST_F(CoordinatorTest, AQuorumOfThreeFindsTheLiarAndSlashesItsBond) {
  open();
  add_node("a");
  add_node("b");
  add_node("liar", Manner::lies);
  const auto submitted = submit(3);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(count(done, RunState::verified), 2U);
  EXPECT_EQ(count(done, RunState::refuted), 1U);
  EXPECT_EQ(own_.started, 1U) << "the coordinator ran it itself before anybody was slashed";
  EXPECT_EQ(balance("bond:liar"), 0U);
  EXPECT_EQ(balance("treasury"), 100U);
  EXPECT_EQ(balance("node:liar"), 0U);
  EXPECT_EQ(balance("node:a"), kRunCredits + 2) << "its fuel counts: the coordinator measured it";
  EXPECT_LT(reputation("liar"), 0.5) << "less than a node that nothing is known of";
  EXPECT_GT(reputation("a"), reputation("liar"));
  // Without its bond it is given nothing.
  EXPECT_FALSE(coordinator_->stats().total_nodes != 3);
  const auto next = submit(1);
  ASSERT_TRUE(next);
  EXPECT_NE(outcome(next->spec.id).runs.at(0).node, "liar");
}

TEST_F(CoordinatorTest, NobodyShowsOutputBeforeAllHaveCommitted) {
  open();
  add_node("a");
  add_node("b");
  add_node("slow", Manner::slow);
  const auto submitted = submit(3);
  ASSERT_TRUE(submitted);
  pass(50s);
  EXPECT_TRUE(fleet_.revealed.empty());
  EXPECT_EQ(count(task(submitted->spec.id), RunState::committed), 2U);
  outcome(submitted->spec.id);
  EXPECT_EQ(fleet_.revealed.size(), 3U);
}

TEST_F(CoordinatorTest, AMajorityOfLiarsIsFoundOutByTheSecondLook) {
  open();
  add_node("a");
  add_node("l1", Manner::lies);
  add_node("l2", Manner::lies);
  add_node("b");
  const auto submitted = submit(3);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  // Two honest nodes exist; whether the liars were asked is chance, that no lie is taken is not.
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(count(done, RunState::verified), 2U);
  EXPECT_NE(done.result_json.find(sha256(as_bytes(R"({"number":7})")).hex()), std::string::npos);
}

TEST_F(CoordinatorTest, AModuleThatIsNotDeterministicSlashesNobody) {
  open();
  own_.manners["coordinator"] = Manner::random;
  add_node("a", Manner::random);
  add_node("b", Manner::random);
  const auto submitted = submit(2);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::failed);
  EXPECT_NE(done.reason.find("not deterministic"), std::string::npos) << done.reason;
  EXPECT_EQ(balance("treasury"), 0U);
  EXPECT_EQ(done.refunded, done.spec.bid);
}

TEST_F(CoordinatorTest, AnAuditFindsTheLieOfOneNode) {
  CoordinatorOptions options;
  options.audit_permille = 1'000;
  open(options);
  add_node("honest");
  coordinator_->sink().gone("honest", GoneReason::closed, {});
  add_node("liar", Manner::lies);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  pass(5s);
  EXPECT_EQ(balance("bond:liar"), 0U);
  come("honest");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(done.runs.back().node, "honest");
  EXPECT_EQ(balance("node:honest"), kRunCredits + 2) << "its fuel was measured here";
  EXPECT_EQ(balance("node:liar"), 0U);
}

TEST_F(CoordinatorTest, AQuorumThatCannotBeHadAnyMoreEndsWithItsReason) {
  open();
  add_node("a");
  add_node("l1", Manner::lies);
  add_node("l2", Manner::lies);
  const auto submitted = submit(3);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::failed);
  EXPECT_NE(done.reason.find("every node"), std::string::npos) << done.reason;
  EXPECT_GT(balance("node:a"), 0U) << "its work was right";
  EXPECT_EQ(balance("treasury"), 200U);
  EXPECT_EQ(done.paid + done.refunded, done.spec.bid);
}

TEST_F(CoordinatorTest, WithoutAnAuditOneNodeIsBelieved) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("liar", Manner::lies);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  EXPECT_EQ(outcome(submitted->spec.id).state, TaskState::completed);
  EXPECT_EQ(own_.started, 0U);
}

TEST_F(CoordinatorTest, AFailedRunGoesElsewhere) {
  open();
  add_node("bad", Manner::fails);
  add_node("forger", Manner::forges);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  pass(5s);
  add_node("good");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_GE(count(done, RunState::failed), 1U);
  EXPECT_EQ(balance("node:forger"), 0U);
}

TEST_F(CoordinatorTest, WhatNobodyCanDoIsGivenUpWithAReason) {
  open();
  add_node("bad", Manner::fails);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::failed);
  EXPECT_NE(done.reason.find("the connection broke"), std::string::npos) << done.reason;
  EXPECT_EQ(done.refunded, done.spec.bid);
  EXPECT_TRUE(done.result_json.empty()) << "no result that no node produced";
}

TEST_F(CoordinatorTest, ASilentNodeLosesItsLease) {
  open();
  add_node("silent", Manner::silent);
  const auto submitted = submit(1, "owner", 10);
  ASSERT_TRUE(submitted);
  pass(5s);
  add_node("good");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(done.runs.at(0).reason, "no result within its lease");
}

TEST_F(CoordinatorTest, AStragglerIsHedged) {
  open();
  add_node("fast");
  for (int i = 0; i < 3; ++i) {
    const auto one = submit(1);
    ASSERT_TRUE(one);
    outcome(one->spec.id);
  }
  add_node("slow", Manner::slow);
  ASSERT_TRUE(coordinator_->set_strategy("round-robin"));
  bool hedged = false;
  for (int i = 0; i < 4 && !hedged; ++i) {
    const auto one = submit(1);
    ASSERT_TRUE(one);
    const TaskView done = outcome(one->spec.id);
    EXPECT_EQ(done.state, TaskState::completed);
    hedged = done.runs.size() == 2;
    EXPECT_EQ(count(done, RunState::superseded), hedged ? 1U : 0U);
    EXPECT_EQ(fleet_.cancelled, hedged ? 1U : 0U) << "who is late need not go on";
    EXPECT_LE(done.paid, kRunCredits + 2);
  }
  EXPECT_TRUE(hedged);
}

TEST_F(CoordinatorTest, TasksThatWereUnderWayBeginAnewAfterARestart) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a", Manner::slow);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  pass(2s);
  open(options);
  come("a");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(done.runs.size(), 2U);
  EXPECT_EQ(balance("node:a"), kRunCredits);
  Book book;
  for (const Entry& entry : journal_.ledger()) ASSERT_TRUE(book.take(entry));
  EXPECT_EQ(book.sum(), book.granted());
}

TEST_F(CoordinatorTest, RefusesWhatCannotBe) {
  open();
  EXPECT_EQ(submit(1).error().code, Code::unavailable) << "no node";
  add_node("a");
  EXPECT_EQ(submit(2).error().code, Code::unavailable) << "not so many nodes";
  EXPECT_EQ(submit(1, "poor").error().code, Code::rejected) << "no credits";
  play([&]() -> Task<void> {
    Submission submission;
    submission.type = TaskType::zk_proof;
    submission.inputs_json = "{}";
    const auto out = co_await coordinator_->submit(submission, "owner");
    EXPECT_EQ(out.error().code, Code::unsupported);
    EXPECT_NE(out.error().message.find("not available yet"), std::string::npos);
  });
}

TEST_F(CoordinatorTest, AJoinNeedsTheTokenOnceAndThenTheKey) {
  open();
  add_node("a");
  play([&]() -> Task<void> {
    SessionSink& sink = coordinator_->sink();
    const auto again = co_await sink.join(hello_of("a"), key_of("a"));
    EXPECT_FALSE(again);
    const auto other = co_await sink.join(hello_of("a"), key_of("b"));
    EXPECT_TRUE(other && other->reason == RefusalReason::key_wrong);
    const auto unknown = co_await sink.join(hello_of("x"), key_of("a"));
    EXPECT_TRUE(unknown && unknown->reason == RefusalReason::unknown_node);
    NodeRegistration registration{"c", "eu", "compute", 100, 8, 16'000, false, {}};
    const auto made = co_await coordinator_->register_node(registration, "owner");
    EXPECT_TRUE(made);
    const auto without = co_await sink.join(hello_of("c"), key_of("c"));
    EXPECT_TRUE(without && without->reason == RefusalReason::token_needed);
    Hello hello = hello_of("c");
    hello.join_token = "jt_guess";
    const auto wrong = co_await sink.join(hello, key_of("c"));
    EXPECT_TRUE(wrong && wrong->reason == RefusalReason::token_wrong);
  });
  change("a", Fleet::NodeChange::reject);
  add_node("d");
  change("d", Fleet::NodeChange::remove);
  play([&]() -> Task<void> {
    SessionSink& sink = coordinator_->sink();
    const auto rejected = co_await sink.join(hello_of("a"), key_of("a"));
    EXPECT_TRUE(rejected && rejected->reason == RefusalReason::rejected);
    const auto removed = co_await sink.join(hello_of("d"), key_of("d"));
    EXPECT_TRUE(removed && removed->reason == RefusalReason::unknown_node);
  });
}

TEST_F(CoordinatorTest, CancelEndsATaskAndGivesItsBidBack) {
  open();
  add_node("a", Manner::slow);
  const Credits before = balance("user:owner");
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  play([&]() -> Task<void> {
    const auto no = co_await coordinator_->cancel(submitted->spec.id, "somebody");
    EXPECT_EQ(no.error().code, Code::not_found);
    const auto cancelled = co_await coordinator_->cancel(submitted->spec.id, "owner");
    EXPECT_TRUE(cancelled && cancelled->state == TaskState::cancelled);
  });
  EXPECT_EQ(coordinator_->stats().failed_tasks, 0U) << "who cancels did not fail";
  EXPECT_EQ(coordinator_->stats().total_tasks, 1U);
  EXPECT_EQ(balance("user:owner"), before);
}

TEST_F(CoordinatorTest, ATaskIsItsOwnersAlone) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a", Manner::slow);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  const TaskId id = submitted->spec.id;
  const auto hidden = [&] {
    play([&]() -> Task<void> {
      const auto seen = co_await coordinator_->task(id, "somebody");
      EXPECT_TRUE(!seen && seen.error().code == Code::not_found);
      const auto receipts = co_await coordinator_->receipts(id, "somebody");
      EXPECT_TRUE(!receipts && receipts.error().code == Code::not_found);
      const auto cancelled = co_await coordinator_->cancel(id, "somebody");
      EXPECT_TRUE(!cancelled && cancelled.error().code == Code::not_found);
      TaskFilter filter;
      filter.owner = "somebody";
      Page page;
      const auto listed = co_await coordinator_->tasks(std::move(filter), std::move(page));
      EXPECT_TRUE(listed && listed->items.empty());
    });
  };
  hidden();
  play([&]() -> Task<void> {
    const auto changed =
        co_await coordinator_->change_node("a", Fleet::NodeChange::remove, "somebody");
    EXPECT_TRUE(!changed && changed.error().code == Code::not_found);
  });
  EXPECT_EQ(outcome(id).state, TaskState::completed) << "a stranger cancelled nothing";
  hidden();
  play([&]() -> Task<void> {
    const auto receipts = co_await coordinator_->receipts(id, "owner");
    EXPECT_TRUE(receipts && receipts->size() == 1);
  });
}

TEST_F(CoordinatorTest, ADeadlineEndsATaskAlsoAfterARestart) {
  open();
  add_node("a", Manner::silent);
  Submission wants = submission();
  wants.requirements.deadline = UtcTime{stage_.clock.now_utc().unix_ms + 5'000};
  const auto soon = submit(wants);
  ASSERT_TRUE(soon);
  pass(4s);
  EXPECT_FALSE(is_final(task(soon->spec.id).state));
  pass(2s);
  EXPECT_EQ(task(soon->spec.id).reason, "deadline passed");
  wants.requirements.deadline = UtcTime{stage_.clock.now_utc().unix_ms + 20'000};
  const auto one = submit(wants), other = submit(wants);
  ASSERT_TRUE(one && other);
  pass(10s);
  EXPECT_FALSE(is_final(task(one->spec.id).state));
  open();
  come("a");
  pass(9s);
  EXPECT_FALSE(is_final(task(one->spec.id).state));
  pass(2s);
  for (const TaskId& id : {one->spec.id, other->spec.id}) {
    const TaskView late = task(id);
    EXPECT_EQ(late.state, TaskState::failed);
    EXPECT_EQ(late.reason, "deadline passed");
    EXPECT_EQ(late.refunded, late.spec.bid);
  }
  EXPECT_FALSE(submit(wants)) << "it has passed already";
}

TEST_F(CoordinatorTest, WithoutItsBondANodeGetsNothing) {
  CoordinatorOptions options;
  options.audit_permille = 1'000;
  open(options);
  add_node("liar", Manner::lies);
  ASSERT_TRUE(submit(1));
  pass(5s);
  ASSERT_EQ(balance("bond:liar"), 0U);
  const std::size_t before = fleet_.started;
  fleet_.manners["liar"] = Manner::honest;
  const auto next = submit(1);
  ASSERT_TRUE(next);
  pass(120s);
  EXPECT_EQ(fleet_.started, before);
  EXPECT_TRUE(task(next->spec.id).runs.empty());
  change("liar", Fleet::NodeChange::uncordon);
  EXPECT_EQ(balance("bond:liar"), options.bond);
  EXPECT_EQ(outcome(next->spec.id).state, TaskState::completed) << "with a new bond it may again";
}

TEST_F(CoordinatorTest, AHotNodeGetsNothingUntilItHasCooledDownAndThenOneRun) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a", Manner::slow);
  Telemetry said;
  said.temperature_millicelsius = 90'000;
  coordinator_->sink().telemetry("a", said);
  const auto one = submit(1), other = submit(1);
  ASSERT_TRUE(one && other);
  pass(60s);
  EXPECT_EQ(fleet_.started, 0U) << "its breaker is open";
  said.temperature_millicelsius = 60'000;
  coordinator_->sink().telemetry("a", said);
  pass(10s);
  EXPECT_EQ(fleet_.started, 1U) << "one run tells whether it is well";
  EXPECT_EQ(outcome(one->spec.id).state, TaskState::completed);
  EXPECT_EQ(outcome(other->spec.id).state, TaskState::completed);
}

TEST_F(CoordinatorTest, NodesAreAskedForWhatTheyHave) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("plain");
  NodeRegistration registration{"able", "us", "compute", 100, 8, 16'000, false, {}};
  play([&]() -> Task<void> {
    auto made = co_await coordinator_->register_node(registration, "owner");
    EXPECT_TRUE(made);
    Hello hello = hello_of("able");
    hello.join_token = made->join_token;
    const auto refused = co_await coordinator_->sink().join(hello, key_of("able"));
    EXPECT_FALSE(refused);
    hello.gpu = true;
    hello.cpu_cores = 16;
    hello.memory_bytes = 64'000ULL * 1024 * 1024;
    SessionSink& sink = coordinator_->sink();
    sink.joined("able", key_of("able"), hello);
    sink.latency("able", 1ms);
    sink.bandwidth("able", {900'000, 800'000});
  });
  ASSERT_TRUE(coordinator_->set_strategy("round-robin"));
  const std::vector<std::function<void(Requirements&)>> needs{
      [](Requirements& r) { r.gpu = true; },
      [](Requirements& r) { r.region = "us"; },
      [](Requirements& r) { r.cpu_cores = 9; },
      [](Requirements& r) { r.memory_mb = 16'001; },
      [](Requirements& r) { r.bandwidth_kbps_min = 500'001; },
      [](Requirements& r) { r.latency_us_max = 4'000; },
  };
  for (std::size_t i = 0; i < needs.size(); ++i) {
    for (int again = 0; again < 2; ++again) {
      Submission wants = submission();
      needs[i](wants.requirements);
      coordinator_->sink().latency("able", 1ms);
      coordinator_->sink().latency("plain", 5ms);
      const auto made = submit(wants);
      ASSERT_TRUE(made) << i << made.error().text();
      const TaskView done = outcome(made->spec.id);
      ASSERT_EQ(done.state, TaskState::completed) << i;
      EXPECT_EQ(done.runs.at(0).node, "able") << i;
    }
  }
}

TEST_F(CoordinatorTest, ATaskSubmittedAgainIsTheSameOne) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a");
  grant("other");
  Submission wants = submission();
  wants.id = "7d1c9a52-0000-8000-8000-000000000001";
  const Credits before = balance("user:owner");
  const auto first = submit(wants), second = submit(wants);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->spec.id, wants.id);
  EXPECT_EQ(balance("user:owner"), before - first->spec.bid) << "paid for once";
  const auto others = submit(wants, "other");
  EXPECT_TRUE(!others && others.error().code == Code::already_exists);
  EXPECT_EQ(outcome(wants.id).state, TaskState::completed);
  const auto late = submit(wants);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->state, TaskState::completed);
  EXPECT_EQ(fleet_.started, 1U);
}

TEST_F(CoordinatorTest, NothingIsAnsweredNorToldBeforeItIsDurable) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a");
  pass(1s);
  journal_.settles = 10s;
  const std::uint64_t before = coordinator_->last_event();
  const Instant began = stage_.clock.now();
  const auto told = [&](std::string_view name) {
    const auto events = coordinator_->events_after(before);
    return std::ranges::any_of(events, [&](const FleetEvent& one) { return one.name == name; });
  };
  bool answered = false;
  stage_.start([&]() -> Task<void> {
    Submission wants = submission();
    const auto made = co_await coordinator_->submit(std::move(wants), "owner");
    EXPECT_TRUE(made);
    answered = true;
  });
  pass(9s);
  EXPECT_FALSE(answered || told("task") || told("ledger"));
  pass(20s);
  EXPECT_TRUE(answered && told("task") && told("ledger"));
  EXPECT_GE(stage_.clock.now() - began, 10s);
}

TEST_F(CoordinatorTest, AModuleIsOfFiftyMebibytesAtMost) {
  open();
  add_node("a");
  Bytes module{0, 0x61, 0x73, 0x6D, 1, 0, 0, 0};
  module.resize(job::kModuleBytesMax);
  play([&]() -> Task<void> {
    const auto kept = co_await coordinator_->keep_module(module, "owner");
    EXPECT_TRUE(kept);
    module.push_back(0);
    const auto larger = co_await coordinator_->keep_module(module, "owner");
    EXPECT_TRUE(!larger && larger.error().code == Code::too_large);
  });
  Submission wants = submission();
  wants.module = module;
  const auto refused = submit(wants);
  EXPECT_TRUE(!refused && refused.error().code == Code::too_large);
}

TEST_F(CoordinatorTest, ACordonedNodeGetsNothingAndADrainedOneGivesItsRunsUp) {
  open();
  add_node("a", Manner::slow);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  pass(2s);
  add_node("b");
  play([&]() -> Task<void> {
    const auto drained =
        co_await coordinator_->change_node("a", Fleet::NodeChange::drain, std::nullopt);
    EXPECT_TRUE(drained && drained->cordoned);
  });
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed);
  EXPECT_EQ(done.runs.back().node, "b");
  change("b", Fleet::NodeChange::cordon);
  const auto next = submit(1);
  ASSERT_TRUE(next);
  pass(60s);
  EXPECT_TRUE(task(next->spec.id).runs.empty());
  change("b", Fleet::NodeChange::uncordon);
  EXPECT_EQ(outcome(next->spec.id).state, TaskState::completed);
}

TEST_F(CoordinatorTest, ANodesActivityIsItsJoinsLossesAndBreakersNewestFirst) {
  open();
  add_node("a");
  SessionSink& sink = coordinator_->sink();
  play([&]() -> Task<void> {
    for (int i = 0; i < 3; ++i) sink.latency("a", 150ms);
    co_return;
  });
  play([&]() -> Task<void> {
    sink.gone("a", GoneReason::silent, "no word");
    co_return;
  });
  const auto events = coordinator_->activity("a");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events.at(0).event, "gone");
  EXPECT_EQ(events.at(0).detail, "silent: no word");
  EXPECT_EQ(events.at(1).event, "breaker_open");
  EXPECT_TRUE(events.at(1).detail.starts_with("latency: ")) << events.at(1).detail;
  EXPECT_EQ(events.at(2).event, "joined");
  EXPECT_GE(events.at(0).at, events.at(2).at);
  for (std::size_t i = 0; i < 2 * kActivityKept; ++i) {
    play([&]() -> Task<void> {
      sink.draining("a");
      co_return;
    });
  }
  EXPECT_EQ(coordinator_->activity("a").size(), kActivityKept);
  EXPECT_TRUE(coordinator_->activity("nobody").empty());
}

TEST_F(CoordinatorTest, EventsAreNumberedAndWaitable) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("a");
  pass(1s);  // what that told is out
  const std::uint64_t before = coordinator_->last_event();
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  outcome(submitted->spec.id);
  std::uint64_t last = before;
  bool completed = false;
  std::set<std::string> told;
  std::vector<std::string> booked;
  for (const FleetEvent& event : coordinator_->events_after(before)) {
    EXPECT_EQ(event.id, ++last);
    completed = completed || event.json.find("\"completed\"") != std::string::npos;
    EXPECT_EQ(event.owner, event.name == "node" ? UserId() : submitted->spec.owner) << event.name;
    told.insert(event.name);
    if (event.name != "ledger") continue;
    booked.push_back(event.json.find("\"escrow\"") != std::string::npos   ? "escrow"
                     : event.json.find("\"refund\"") != std::string::npos ? "refund"
                                                                          : event.json);
  }
  EXPECT_TRUE(completed);
  for (const char* name : {"task", "run", "output", "ledger"}) {
    EXPECT_TRUE(told.contains(name)) << name;
  }
  EXPECT_EQ(booked, (std::vector<std::string>{"escrow", "refund"}));
}

TEST(Quorum, LimitsAreComparedByTheirKindOnly) {
  job::OutputSummary one, other;
  one.length = 5;
  other.length = 6;
  EXPECT_EQ(answer_of({CompletionKind::limited, 0, "fuel"}, one),
            answer_of({CompletionKind::limited, 0, "memory"}, other));
  EXPECT_NE(answer_of({CompletionKind::exited, 0, ""}, one),
            answer_of({CompletionKind::exited, 1, ""}, one));
  EXPECT_NE(answer_of({CompletionKind::exited, 0, ""}, one),
            answer_of({CompletionKind::exited, 0, ""}, other));
}

TEST(ResultJson, IsJsonWhateverWasWritten) {
  for (const char* written :
       {"422180883e647913", "[1,{\"a\":-1e999}]", "nonsense", "{\"a\":1.5}"}) {
    RunResult result;
    result.out = to_bytes(written);
    boost::system::error_code error;
    const auto parsed = boost::json::parse(result_json(result, {"n1"}), error);
    ASSERT_FALSE(error) << written << " became what is no JSON";
    EXPECT_EQ(parsed.at("stdout").as_string(), written);
    EXPECT_EQ(parsed.at("value").is_object(), written[0] == '{') << written;
  }
}

TEST(WasmInputs, AreArgumentsOrStdin) {
  Work work;
  ASSERT_TRUE(take_wasm_inputs(R"({"args":["a","b"],"stdin":"x","limits":{"fuel":7}})", work));
  EXPECT_EQ(work.job.args, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(work.job.limits.fuel, 7U);
  EXPECT_EQ(as_text(work.stdin_bytes), "x");
  Work other;
  ASSERT_TRUE(take_wasm_inputs(R"({"number":1,"args":[]})", other));
  EXPECT_EQ(as_text(other.stdin_bytes), R"({"number":1,"args":[]})");
  for (const char* wrong :
       {R"({"args":[1]})", R"({"stdin":"a","stdin_base64":"YQ=="})", R"({"limits":{"fuel":0}})",
        R"({"limits":{"gas":1}})", R"({"stdin_base64":"?"})", "{"}) {
    Work bad;
    EXPECT_EQ(take_wasm_inputs(wrong, bad).error().code, Code::invalid_argument) << wrong;
  }
}

}  // namespace
}  // namespace phase::vcp
