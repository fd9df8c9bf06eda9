// Tasks of connect_only and their sessions, in virtual time.
#include <algorithm>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/simulation/fleet_fixture.h"
#include "vcp/coordinator/inputs.h"

namespace phase::vcp {
namespace {

constexpr std::uint64_t kSeconds = 600;

class ConnectTest : public FleetTest {
 protected:
  void add_gate(const NodeName& name) { add_node(name, Manner::honest, "owner", "open_internet"); }
  static Submission wish(std::uint64_t seconds = kSeconds,
                         const std::string& egress = "metered_general_egress") {
    Submission out;
    out.type = TaskType::connect_only;
    out.inputs_json = R"({"duration_seconds":)" + std::to_string(seconds) +
                      R"(,"bandwidth_limit_mbps":10,"egress_profile":")" + egress +
                      R"(","destination_policy_id":"docs"})";
    out.requirements.max_execution_seconds = kTaskSecondsMax;
    return out;
  }
  TaskId submitted(const Submission& wanted = wish(), const UserId& owner = "asker") {
    const auto made = submit(wanted, owner);
    EXPECT_TRUE(made) << made.error().text();
    return made ? made->spec.id : TaskId{};
  }
  Result<StartedSession> start(const TaskId& task, const UserId& by = "asker") {
    Result<StartedSession> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> {
      out = co_await coordinator_->start_session(task, Tunnel::mtls, by);
    });
    return out;
  }
  ConnectSession started(const TaskId& task) {
    const auto out = start(task);
    EXPECT_TRUE(out) << out.error().text();
    return out ? out->view.session : ConnectSession{};
  }
  Result<SessionView> ask(const std::string& id, Fleet::SessionAsk what = Fleet::SessionAsk::look,
                          const UserId& by = "asker") {
    Result<SessionView> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> { out = co_await coordinator_->ask_session(id, what, by); });
    return out;
  }
  ConnectSession seen(const std::string& id) {
    const auto out = ask(id);
    EXPECT_TRUE(out) << out.error().text();
    return out ? out->session : ConnectSession{};
  }
  std::vector<GatewaySession> at_gateway(const NodeName& node, const std::string& address = {}) {
    std::vector<GatewaySession> out;
    play([&]() -> Task<void> {
      const auto found = co_await coordinator_->gateway_sessions(node, "owner", address);
      EXPECT_TRUE(found);
      if (found) out = *found;
    });
    return out;
  }
  Result<DestinationPolicy> allow(std::vector<std::string> rules, const UserId& owner = "asker") {
    Result<DestinationPolicy> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> {
      DestinationPolicy policy{owner, "docs", std::move(rules), {}};
      out = co_await coordinator_->put_policy(std::move(policy));
    });
    return out;
  }
  Code remove_policy() {
    Code out = Code::internal;
    play([&]() -> Task<void> {
      const auto gone = co_await coordinator_->remove_policy("docs", "asker");
      out = gone ? Code::cancelled : gone.error().code;  // a code that a refusal never has
    });
    return out;
  }
  /// Time goes by, and its client and all nodes say that they are there.
  void live(const std::string& session, Duration time) {
    for (Duration gone{0}; gone < time; gone += 10s) {
      pass(10s);
      beat();
      EXPECT_TRUE(ask(session, Fleet::SessionAsk::heartbeat));
    }
  }
  void drain(const NodeName& name) {
    play([&]() -> Task<void> {
      const auto drained =
          co_await coordinator_->change_node(name, Fleet::NodeChange::drain, "owner");
      EXPECT_TRUE(drained);
    });
  }
};

TEST_F(ConnectTest, ASessionLivesOnItsNodeAndEndsItsTask) {
  open();
  add_gate("gate");
  const TaskId id = submitted();
  EXPECT_EQ(task(id).stage, "waiting for its session");
  EXPECT_EQ(task(id).state, TaskState::pending) << "nothing goes on yet";
  const auto made = start(id);
  ASSERT_TRUE(made) << made.error().text();
  const ConnectSession session = made->view.session;
  EXPECT_EQ(made->token.size(), 3 + 64U);
  EXPECT_EQ(session.token, sha256(as_bytes(made->token)));
  EXPECT_EQ(session.expires.unix_ms % 1'000, 0U);
  EXPECT_EQ(task(id).state, TaskState::running);
  EXPECT_EQ(task(id).runs.at(0).state, RunState::running);
  EXPECT_EQ(fleet_.started, 0U) << "no job is run";
  ASSERT_EQ(at_gateway("gate").size(), 1U);
  EXPECT_EQ(at_gateway("gate")[0].session.token, session.token);
  live(session.id, 60s);
  const auto stopped = ask(session.id, Fleet::SessionAsk::stop);
  ASSERT_TRUE(stopped) << stopped.error().text();
  EXPECT_EQ(stopped->session.state, SessionState::ended);
  EXPECT_TRUE(at_gateway("gate").empty());
  const TaskView done = task(id);
  EXPECT_EQ(done.state, TaskState::completed);
  EXPECT_EQ(done.runs.at(0).state, RunState::ended);
  EXPECT_EQ(done.runs.at(0).receipt_verified, std::nullopt);
  EXPECT_EQ(done.paid + done.refunded + done.escrowed, 0U);
  const auto result = boost::json::parse(done.result_json).as_object();
  EXPECT_EQ(result.at("connected_ms").to_number<std::uint64_t>(), 60'000U);
  EXPECT_EQ(result.at("reason").as_string(), "stopped by its requester");
  const auto activity = coordinator_->activity("gate");
  EXPECT_EQ(activity.at(0).event, "task_cleared");
  EXPECT_EQ(activity.at(1).event, "task_connected");
  EXPECT_EQ(activity.at(1).session, session.id);
  EXPECT_TRUE(ask(session.id, Fleet::SessionAsk::stop)) << "to stop twice is no error";
  std::string stages;
  for (const FleetEvent& event : coordinator_->events_after(0)) {
    if (event.name != "task") continue;
    EXPECT_EQ(event.owner, "asker");
    stages += boost::json::parse(event.json).at("stage").as_string().c_str() + std::string("; ");
  }
  EXPECT_EQ(stages, "waiting for nodes; waiting for its session; connected; done; ");
  EXPECT_EQ(ask(session.id, Fleet::SessionAsk::heartbeat).error().code, Code::already_exists);
  EXPECT_EQ(start(id).error().code, Code::already_exists) << "the task is over";
}

TEST_F(ConnectTest, ItExpiresAtItsTimeAndNotBefore) {
  open();
  add_gate("gate");
  const TaskId id = submitted(wish(100));
  const ConnectSession session = started(id);
  live(session.id, 90s);
  EXPECT_EQ(task(id).state, TaskState::running);
  pass(11s);
  EXPECT_EQ(task(id).state, TaskState::completed);
  const ConnectSession over = seen(session.id);
  EXPECT_EQ(over.state, SessionState::expired);
  EXPECT_EQ(over.ended, session.expires);
  EXPECT_EQ(over.reason, "its time was up");
}

TEST_F(ConnectTest, SilenceEndsIt) {
  open();
  add_gate("gate");
  const TaskId id = submitted();
  const ConnectSession session = started(id);
  live(session.id, 60s);
  EXPECT_TRUE(ask(session.id)->internet_active);
  pass(40s);
  EXPECT_FALSE(ask(session.id)->internet_active);
  EXPECT_EQ(ask(session.id)->session.state, SessionState::active);
  pass(100s);
  EXPECT_EQ(seen(session.id).state, SessionState::expired);
  EXPECT_EQ(seen(session.id).reason, "nothing was heard of its client for 120 s");
  EXPECT_EQ(task(id).state, TaskState::completed);
}

TEST_F(ConnectTest, ItsRequesterLearnsWhereTheGatewayIs) {
  open();
  add_gate("gate");
  const ConnectSession session = started(submitted());
  EXPECT_EQ(ask(session.id)->gateway_address, "");
  at_gateway("gate", "Gate.Example.org:7000");
  EXPECT_EQ(ask(session.id)->gateway_address, "gate.example.org:7000");
  at_gateway("gate");
  pass(29s);
  EXPECT_EQ(ask(session.id)->gateway_address, "gate.example.org:7000");
  pass(1s);
  EXPECT_EQ(ask(session.id)->gateway_address, "") << "it does not ask any more";
  play([&]() -> Task<void> {
    const auto wrong = co_await coordinator_->gateway_sessions("gate", "owner", "7000");
    EXPECT_EQ(wrong.error().code, Code::invalid_argument);
  });
}

TEST_F(ConnectTest, ANodeHasOneSessionAndTheNextTaskWaitsForIt) {
  open();
  add_gate("gate");
  const TaskId first = submitted(), second = submitted();
  const ConnectSession session = started(first);
  EXPECT_EQ(start(second).error().code, Code::unavailable);
  EXPECT_EQ(start(first).error().code, Code::already_exists);
  EXPECT_TRUE(ask(session.id, Fleet::SessionAsk::stop));
  EXPECT_TRUE(start(second));
}

TEST_F(ConnectTest, NobodyHasASessionOfAnother) {
  open();
  add_gate("gate");
  const TaskId id = submitted();
  EXPECT_EQ(start(id, "other").error().code, Code::not_found);
  const ConnectSession session = started(id);
  for (const auto what :
       {Fleet::SessionAsk::look, Fleet::SessionAsk::heartbeat, Fleet::SessionAsk::stop}) {
    EXPECT_EQ(ask(session.id, what, "other").error().code, Code::not_found);
  }
  play([&]() -> Task<void> {
    const auto found = co_await coordinator_->gateway_sessions("gate", "asker", {});
    EXPECT_EQ(found.error().code, Code::not_found) << "the node is not theirs";
  });
  EXPECT_EQ(seen(session.id).state, SessionState::active);
}

TEST_F(ConnectTest, ALostNodeIsReplacedWhileTimeIsLeft) {
  open();
  add_gate("a");
  const TaskId id = submitted(wish(100));
  const ConnectSession first = started(id);
  coordinator_->sink().gone("a", GoneReason::silent, {});
  pass(20s);
  EXPECT_EQ(seen(first.id).state, SessionState::active) << "it may come back";
  pass(20s);
  EXPECT_EQ(seen(first.id).state, SessionState::ended);
  EXPECT_EQ(seen(first.id).reason, "its node was lost");
  EXPECT_EQ(task(id).state, TaskState::pending);
  add_gate("b");
  pass(1s);
  const ConnectSession second = started(id);
  EXPECT_EQ(second.node, "b");
  EXPECT_NE(second.token, first.token);
  EXPECT_EQ(second.expires, first.expires) << "the task has so much time, whatever is lost";
  drain("b");
  EXPECT_EQ(seen(second.id).reason, "its node was drained");
  pass(60s);
  EXPECT_EQ(task(id).state, TaskState::failed);
  EXPECT_NE(task(id).reason.find("its node was drained"), std::string::npos) << task(id).reason;
  EXPECT_TRUE(task(id).result_json.empty());
}

TEST_F(ConnectTest, ANodeThatComesBackInTimeKeepsItsSession) {
  open();
  add_gate("a");
  const ConnectSession session = started(submitted());
  coordinator_->sink().gone("a", GoneReason::closed, {});
  pass(20s);
  EXPECT_FALSE(ask(session.id)->internet_active);
  come("a");
  live(session.id, 60s);
  EXPECT_EQ(seen(session.id).state, SessionState::active);
}

TEST_F(ConnectTest, ARestartKeepsSessionsAndPolicies) {
  CoordinatorOptions options;
  open(options);
  add_gate("gate");
  ASSERT_TRUE(allow({"Example.ORG", "*.example.net."}));
  const TaskId id = submitted(wish(kSeconds, "allowlist_domains"));
  const ConnectSession session = started(id);
  live(session.id, 60s);
  pass(100s);  // nobody listened meanwhile
  open(options);
  EXPECT_EQ(task(id).state, TaskState::running);
  EXPECT_EQ(task(id).stage, "connected");
  EXPECT_EQ(at_gateway("gate").at(0).rules,
            (std::vector<std::string>{"example.org", "*.example.net"}));
  pass(20s);
  come("gate");
  live(session.id, 60s);
  EXPECT_EQ(seen(session.id).token, session.token);
  EXPECT_TRUE(ask(session.id, Fleet::SessionAsk::stop));
  EXPECT_EQ(task(id).state, TaskState::completed);
  EXPECT_EQ(task(id).runs.size(), 1U);
  const TaskId next = submitted();
  EXPECT_EQ(started(next).node, "gate") << "its place is free";
}

TEST_F(ConnectTest, ARestartAfterItsEndCompletesIt) {
  open();
  add_gate("gate");
  const TaskId id = submitted(wish(100));
  const ConnectSession session = started(id);
  coordinator_.reset();
  pass(200s);
  open();
  pass(1s);
  EXPECT_EQ(seen(session.id).ended, session.expires);
  EXPECT_EQ(task(id).state, TaskState::completed);
}

TEST_F(ConnectTest, APlaceThatNobodyUsesIsGivenBack) {
  open();
  add_gate("gate");
  const TaskId id = submitted();
  pass(310s);
  EXPECT_EQ(task(id).state, TaskState::failed);
  EXPECT_EQ(task(id).reason, "no session was started within 300 s of its placement");
  EXPECT_EQ(task(id).runs.at(0).state, RunState::superseded);
}

TEST_F(ConnectTest, ACancelledTaskHasNoSession) {
  open();
  add_gate("gate");
  const TaskId id = submitted();
  const ConnectSession session = started(id);
  play([&]() -> Task<void> {
    const auto cancelled = co_await coordinator_->cancel(id, "asker");
    EXPECT_TRUE(cancelled && cancelled->state == TaskState::cancelled);
  });
  EXPECT_EQ(seen(session.id).state, SessionState::ended);
  EXPECT_TRUE(at_gateway("gate").empty());
}

TEST_F(ConnectTest, ARejectedNodeLosesItsSessionAtOnce) {
  open();
  add_gate("gate");
  const ConnectSession session = started(submitted());
  play([&]() -> Task<void> {
    const auto rejected =
        co_await coordinator_->change_node("gate", Fleet::NodeChange::reject, "owner");
    EXPECT_TRUE(rejected);
  });
  EXPECT_TRUE(at_gateway("gate").empty());
  EXPECT_EQ(seen(session.id).state, SessionState::ended);
}

TEST_F(ConnectTest, PoliciesAreCheckedKeptAndFollowed) {
  open();
  add_gate("gate");
  const auto without = submit(wish(kSeconds, "allowlist_domains"), "asker");
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, Code::invalid_argument);
  EXPECT_NE(without.error().hint.find("PUT /api/v1/destination-policies"), std::string::npos);
  for (const char* bad : {"", "127.1", "example.org:443", "*.192.0.2.1", "a b", "*."}) {
    EXPECT_EQ(allow({bad}).error().code, Code::invalid_argument) << bad;
  }
  EXPECT_EQ(allow({}).error().code, Code::invalid_argument);
  EXPECT_EQ(allow(std::vector<std::string>(257, "a.example")).error().code, Code::invalid_argument);
  ASSERT_TRUE(allow({"example.org"}, "other"));
  EXPECT_FALSE(submit(wish(kSeconds, "allowlist_domains"), "asker")) << "that is another's";
  ASSERT_TRUE(allow({"example.org"}));
  started(submitted(wish(kSeconds, "allowlist_domains")));
  EXPECT_EQ(remove_policy(), Code::already_exists);
  ASSERT_TRUE(allow({"example.net"}));
  EXPECT_EQ(at_gateway("gate").at(0).rules, std::vector<std::string>{"example.net"});
}

TEST_F(ConnectTest, RefusesWhatCannotBe) {
  open();
  EXPECT_EQ(submit(wish(), "asker").error().code, Code::unavailable) << "no node";
  add_node("plain");
  EXPECT_EQ(submit(wish(), "asker").error().code, Code::unavailable) << "not of that type";
  add_gate("gate");
  using Change = void (*)(Submission&);
  const Change changes[] = {
      [](Submission& s) { s.bid = 1; },
      [](Submission& s) { s.requirements.min_nodes = 2; },
      [](Submission& s) { s.requirements.gpu = true; },
      [](Submission& s) { s.requirements.allow_peers = true; },
      [](Submission& s) { s.requirements.max_execution_seconds = kSeconds - 1; },
      [](Submission& s) { s.module = Bytes{0, 0x61, 0x73, 0x6D, 1, 0, 0, 0}; },
      [](Submission& s) { s.inputs_json = "[]"; },
      [](Submission& s) { s.inputs_json.insert(1, R"("more":1,)"); },
      [](Submission& s) { s.inputs_json.insert(1, R"("session_id":"",)"); },
  };
  for (const Change change : changes) {
    Submission wanted = wish();
    change(wanted);
    const auto refused = submit(wanted, "asker");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_argument) << refused.error().text();
  }
  Submission formal = wish();
  formal.inputs_json.insert(1, R"("session_id":"sess_123","requester_id":"me",)");
  EXPECT_NE(started(submitted(formal)).id, "sess_123");
}

TEST_F(ConnectTest, NobodyHoldsAllNodes) {
  CoordinatorOptions options;
  options.connect.tasks_of_owner_max = 2;
  open(options);
  add_gate("gate");
  const TaskId first = submitted();
  submitted();
  EXPECT_EQ(submit(wish(), "asker").error().code, Code::busy);
  EXPECT_TRUE(submit(wish(), "other"));
  EXPECT_TRUE(ask(started(first).id, Fleet::SessionAsk::stop));
  EXPECT_TRUE(submit(wish(), "asker"));
}

/// Whatever happens in whatever order: no node has two sessions, a live session is that of a task
/// that runs, and every task ends with a reason or a result.
RC_GTEST_FIXTURE_PROP(ConnectTest, ANodeHasAtMostOneSessionWhateverHappens, ()) {
  CoordinatorOptions options;
  options.node_tick = 60s;
  options.series_every = 600s;
  open(options);
  const std::vector<NodeName> gates = {"a", "b", "c"};
  for (const NodeName& name : gates) add_gate(name);
  std::vector<TaskId> tasks;
  std::set<NodeName> away;
  const int steps = *rc::gen::inRange(1, 40);
  for (int step = 0; step < steps; ++step) {
    const NodeName node = *rc::gen::elementOf(gates);
    switch (*rc::gen::inRange(0, 7)) {
      case 0:
        if (const auto made = submit(wish(*rc::gen::inRange(1, 200)), "asker")) {
          tasks.push_back(made->spec.id);
        }
        break;
      case 1:
        if (away.insert(node).second) coordinator_->sink().gone(node, GoneReason::silent, {});
        break;
      case 2:
        if (away.erase(node) == 1) come(node);
        break;
      case 3:
        open(options);
        away = {gates.begin(), gates.end()};
        break;
      case 4:
        pass(std::chrono::seconds(*rc::gen::inRange(1, 60)));
        break;
      default:
        if (tasks.empty()) break;
        const TaskId id = *rc::gen::elementOf(tasks);
        if (const auto made = start(id)) {
          RC_ASSERT(task(id).state == TaskState::running);
        }
        break;
    }
    std::map<std::string, NodeName> live;
    for (const NodeName& name : gates) {
      const auto sessions = at_gateway(name);
      RC_ASSERT(sessions.size() <= 1);
      for (const GatewaySession& one : sessions) {
        RC_ASSERT(live.emplace(one.session.id, name).second);
        RC_ASSERT(task(one.session.task).state == TaskState::running);
      }
    }
  }
  for (const NodeName& name : gates) come(name);
  pass(std::chrono::hours(2));
  for (const TaskId& id : tasks) {
    const TaskView done = task(id);
    RC_ASSERT(is_final(done.state));
    RC_ASSERT((done.state == TaskState::completed) != done.result_json.empty());
    RC_ASSERT((done.state == TaskState::completed) == done.reason.empty());
  }
}

}  // namespace
}  // namespace phase::vcp
