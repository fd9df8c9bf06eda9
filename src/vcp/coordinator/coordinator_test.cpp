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

std::size_t count(const TaskView& task, RunState state) {
  return static_cast<std::size_t>(
      std::ranges::count_if(task.runs, [&](const RunView& run) { return run.state == state; }));
}

TEST_F(FleetTest, ATaskRunsIsPaidAndTheRestGoesBack) {
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

TEST_F(FleetTest, AQuorumOfThreeFindsTheLiarAndSlashesItsBond) {
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
  // Without its bond it is given nothing.
  EXPECT_FALSE(coordinator_->stats().total_nodes != 3);
  const auto next = submit(1);
  ASSERT_TRUE(next);
  EXPECT_NE(outcome(next->spec.id).runs.at(0).node, "liar");
}

TEST_F(FleetTest, NobodyShowsOutputBeforeAllHaveCommitted) {
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

TEST_F(FleetTest, AMajorityOfLiarsIsFoundOutByTheSecondLook) {
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

TEST_F(FleetTest, AModuleThatIsNotDeterministicSlashesNobody) {
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

TEST_F(FleetTest, AnAuditFindsTheLieOfOneNode) {
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

TEST_F(FleetTest, AQuorumThatCannotBeHadAnyMoreEndsWithItsReason) {
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

TEST_F(FleetTest, WithoutAnAuditOneNodeIsBelieved) {
  CoordinatorOptions options;
  options.audit_permille = 0;
  open(options);
  add_node("liar", Manner::lies);
  const auto submitted = submit(1);
  ASSERT_TRUE(submitted);
  EXPECT_EQ(outcome(submitted->spec.id).state, TaskState::completed);
  EXPECT_EQ(own_.started, 0U);
}

TEST_F(FleetTest, AFailedRunGoesElsewhere) {
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

TEST_F(FleetTest, WhatNobodyCanDoIsGivenUpWithAReason) {
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

TEST_F(FleetTest, ASilentNodeLosesItsLease) {
  open();
  add_node("silent", Manner::silent);
  const auto submitted = submit(1, "owner", 10);
  ASSERT_TRUE(submitted);
  pass(5s);
  add_node("good");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
}

TEST_F(FleetTest, AStragglerIsHedged) {
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
    EXPECT_LE(done.paid, kRunCredits + 2);
  }
  EXPECT_TRUE(hedged);
}

TEST_F(FleetTest, TasksThatWereUnderWayBeginAnewAfterARestart) {
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

TEST_F(FleetTest, RefusesWhatCannotBe) {
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

TEST_F(FleetTest, AJoinNeedsTheTokenOnceAndThenTheKey) {
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
}

TEST_F(FleetTest, CancelEndsATaskAndGivesItsBidBack) {
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

TEST_F(FleetTest, ACordonedNodeGetsNothingAndADrainedOneGivesItsRunsUp) {
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
}

TEST_F(FleetTest, ANodesActivityIsItsJoinsLossesAndBreakersNewestFirst) {
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

TEST_F(FleetTest, EventsAreNumberedAndWaitable) {
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
  std::vector<std::string> booked;
  for (const FleetEvent& event : coordinator_->events_after(before)) {
    EXPECT_EQ(event.id, ++last);
    completed = completed || event.json.find("\"completed\"") != std::string::npos;
    if (event.name != "ledger") continue;
    EXPECT_EQ(event.owner, submitted->spec.owner);
    booked.push_back(event.json.find("\"escrow\"") != std::string::npos   ? "escrow"
                     : event.json.find("\"refund\"") != std::string::npos ? "refund"
                                                                          : event.json);
  }
  EXPECT_TRUE(completed);
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
