// Providers of the mesh beside, and instead of, nodes of the fleet.
#include "vcp/coordinator/peers.h"

#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "tests/simulation/fleet_fixture.h"

namespace phase::vcp {
namespace {

class PeersTest : public FleetTest {
 protected:
  PeersTest() {
    log_ = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(lines_, true));
    options_.peers_max = 4;
    options_.audit_permille = 0;
    open(options_);
    grant("owner");
  }
  /// A provider of the mesh answers; its name as a node.
  NodeName add_peer(const std::string& who, Manner manner = Manner::honest) {
    const identity::PublicKey key = key_of(who);
    fleet_.manners[peer_name(key)] = manner;
    const PeerOffer offer{key, "", 8, 16'000ULL * 1024 * 1024, 4, 5ms};
    coordinator_->peers().peer_seen(offer);
    return peer_name(key);
  }
  Result<TaskView> submit_to_all(std::uint32_t quorum = 1) {
    Submission wanted = submission(quorum);
    wanted.requirements.allow_peers = true;
    return submit(wanted);
  }
  static std::size_t placed_on(const TaskView& task, const NodeName& node) {
    return static_cast<std::size_t>(
        std::ranges::count_if(task.runs, [&](const RunView& run) { return run.node == node; }));
  }
  NodeView node(const NodeName& name) {
    Result<NodeView> out = fail(Code::internal, "not asked");
    play([&]() -> Task<void> { out = co_await coordinator_->node(name); });
    EXPECT_TRUE(out) << out.error().text();
    return out.value_or(NodeView{});
  }
  Result<NodeView> change(const NodeName& name, Fleet::NodeChange how) {
    Result<NodeView> out = fail(Code::internal, "not asked");
    play(
        [&]() -> Task<void> { out = co_await coordinator_->change_node(name, how, std::nullopt); });
    return out;
  }

  std::ostringstream lines_;
  CoordinatorOptions options_;
};

TEST_F(PeersTest, APeersResultCountsOnceTheCoordinatorHasRunItItself) {
  const NodeName peer = add_peer("p");
  const Credits before = balance("user:owner");
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted) << submitted.error().text();
  EXPECT_LT(balance("user:owner"), before) << "held in escrow meanwhile";
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(placed_on(done, peer), 1U);
  EXPECT_EQ(own_.started, 1U) << "a stranger is not taken at its word";
  EXPECT_EQ(done.paid, 0U);
  EXPECT_EQ(done.refunded, done.spec.bid);
  EXPECT_EQ(balance("user:owner"), before) << "what a peer would have been paid goes back";
  EXPECT_EQ(balance("node:" + peer), 0U);
  EXPECT_EQ(node(peer).completed, 1U);
}

TEST_F(PeersTest, ALiarIsFoundOutNamedAndNotAskedAgain) {
  const NodeName liar = add_peer("liar", Manner::lies);
  const double before = node(liar).health.reputation.score;
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted);
  pass(10s);
  const TaskView waits = task(submitted->spec.id);
  EXPECT_FALSE(is_final(waits.state)) << "there is nobody else yet";
  EXPECT_TRUE(waits.result_json.empty());
  ASSERT_EQ(waits.runs.size(), 1U);
  EXPECT_EQ(waits.runs.at(0).state, RunState::refuted);
  const NodeView seen = node(liar);
  EXPECT_EQ(seen.status, "rejected");
  EXPECT_EQ(seen.disputes, 1U);
  EXPECT_LT(seen.health.reputation.score, before);
  const std::string who = identity::PeerId::from(key_of("liar")).text();
  EXPECT_NE(lines_.str().find(who + ") is not asked again"), std::string::npos) << lines_.str();

  EXPECT_EQ(submit_to_all().error().code, Code::unavailable);
  add_peer("liar");
  EXPECT_EQ(submit_to_all().error().code, Code::unavailable) << "it comes back in vain";
  const NodeName honest = add_peer("honest");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(placed_on(done, honest), 1U);
  EXPECT_EQ(done.refunded, done.spec.bid);
  EXPECT_EQ(own_.started, 2U) << "twice for the liar; the truth is known then";
}

TEST_F(PeersTest, ALiarThatWasForgottenIsStillNotAsked) {
  add_peer("liar", Manner::lies);
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted);
  pass(10s);
  for (const char* who : {"a", "b", "c", "d"}) add_peer(who);  // its place is taken
  EXPECT_EQ(coordinator_->stats().total_nodes, 4U);
  coordinator_->peers().peer_gone(key_of("a"), "no answer");
  add_peer("liar", Manner::lies);
  EXPECT_EQ(coordinator_->peers().peers_online().size(), 3U);
}

TEST_F(PeersTest, WhoseReceiptsAreRefusedIsNotAskedAgain) {
  const NodeName forger = add_peer("forger", Manner::forges);
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted);
  add_peer("honest");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(node(forger).status, "rejected");
}

TEST_F(PeersTest, WithoutLeaveNoTaskGoesToAPeer) {
  const NodeName peer = add_peer("p");
  const auto refused = submit();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(refused.error().message.find("requirements.allow_peers"), std::string::npos)
      << refused.error().message;
  add_node("a");
  for (int i = 0; i < 8; ++i) {
    const auto submitted = submit();
    ASSERT_TRUE(submitted);
    EXPECT_EQ(placed_on(outcome(submitted->spec.id), peer), 0U);
  }
}

TEST_F(PeersTest, AQuorumOfPeersAloneIsRunHereToo) {
  add_peer("p");
  add_peer("q");
  const auto submitted = submit_to_all(2);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(own_.started, 1U);
  EXPECT_EQ(done.paid, 0U);
}

TEST_F(PeersTest, PeersWhoLieTogetherAreNotBelieved) {
  const NodeName one = add_peer("p", Manner::lies_together);
  const NodeName other = add_peer("q", Manner::lies_together);
  const auto submitted = submit_to_all(2);
  ASSERT_TRUE(submitted);
  pass(10s);
  const TaskView waits = task(submitted->spec.id);
  EXPECT_FALSE(is_final(waits.state));
  EXPECT_TRUE(waits.result_json.empty());
  EXPECT_EQ(node(one).status, "rejected");
  EXPECT_EQ(node(other).status, "rejected");
}

TEST_F(PeersTest, ANodeWithABondVouchesForWhatAPeerSaysToo) {
  add_node("a");
  const NodeName peer = add_peer("p");
  const auto submitted = submit_to_all(2);
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(own_.started, 0U);
  EXPECT_EQ(balance("node:" + peer), 0U);
  EXPECT_EQ(balance("node:a"), kRunCredits) << "what the peer said of its fuel moves nothing";
  EXPECT_EQ(done.paid, kRunCredits);
  EXPECT_EQ(done.refunded, done.spec.bid - kRunCredits);
}

TEST_F(PeersTest, AResultThatCannotBeCheckedDoesNotCount) {
  add_peer("p");
  own_.manners["coordinator"] = Manner::fails;
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted);
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::failed);
  EXPECT_NE(done.reason.find("only peers vouch for it"), std::string::npos) << done.reason;
  EXPECT_EQ(done.refunded, done.spec.bid);
}

TEST_F(PeersTest, AreShownWithWhatIsKnownOfThemOnly) {
  const NodeName peer = add_peer("p");
  EXPECT_TRUE(identity::PeerId::from(key_of("p")).text().ends_with(peer.substr(5)));
  EXPECT_EQ(peer.size(), 15U);
  const NodeView seen = node(peer);
  EXPECT_EQ(seen.status, "online");
  EXPECT_EQ(seen.owner, "");
  EXPECT_EQ(seen.bond, 0U);
  EXPECT_EQ(seen.registration.type, "any");
  EXPECT_EQ(seen.registration.region, "mesh");
  EXPECT_EQ(seen.health.latency.value, 5.0);
  EXPECT_FALSE(seen.health.bandwidth.value);
  EXPECT_FALSE(seen.health.compute.value);
  PeerSink& sink = coordinator_->peers();
  sink.peer_seen({key_of("q"), "no region\n", 1, 0, 0, {}});
  sink.peer_seen({key_of("r"), "eu", ~0ULL, ~0ULL, ~0ULL, {}});
  sink.peer_gone(key_of("p"), "no answer");
  EXPECT_EQ(node(peer_name(key_of("q"))).registration.region, "mesh");
  EXPECT_EQ(node(peer_name(key_of("r"))).registration.region, "eu");
  EXPECT_EQ(node(peer_name(key_of("r"))).registration.cpu_cores, kPeerCoresMax);
  EXPECT_EQ(node(peer_name(key_of("r"))).registration.memory_mb, kPeerMemoryMbMax);
  EXPECT_EQ(node(peer).status, "offline");
  EXPECT_EQ(sink.peers_online().size(), 2U);
}

TEST_F(PeersTest, ThereAreNoMoreThanTheLimitAndTheGoneMakeRoom) {
  for (const char* who : {"a", "b", "c", "d"}) add_peer(who);
  add_peer("e");
  EXPECT_EQ(coordinator_->stats().total_nodes, 4U);
  coordinator_->peers().peer_gone(key_of("b"), "no answer");
  EXPECT_EQ(node(add_peer("e")).status, "online");
  EXPECT_EQ(coordinator_->stats().total_nodes, 4U);
}

TEST_F(PeersTest, WithoutTheOptionNobodyIsTaken) {
  open({});
  add_peer("p");
  EXPECT_EQ(coordinator_->stats().total_nodes, 0U);
}

TEST_F(PeersTest, ANameDoesNotMakeAPeerANodeOfTheFleet) {
  const NodeName peer = add_peer("p");
  play([&]() -> Task<void> {
    const auto refused = co_await coordinator_->sink().join(hello_of(peer), key_of("p"));
    EXPECT_TRUE(refused && refused->reason == RefusalReason::unknown_node);
    NodeRegistration registration{peer, "eu", "compute", 100, 8, 16'000, false, {}};
    const auto taken = co_await coordinator_->register_node(registration, "owner");
    EXPECT_EQ(taken.error().code, Code::already_exists);
  });
  // And a peer does not take the place of a node that has its name.
  const NodeName name = peer_name(key_of("q"));
  add_node(name);
  add_peer("q");
  EXPECT_EQ(node(name).owner, "owner");
}

TEST_F(PeersTest, AnAdministratorMayCordonAndRejectThem) {
  const NodeName peer = add_peer("p");
  EXPECT_EQ(change(peer, Fleet::NodeChange::remove).error().code, Code::invalid_argument);
  EXPECT_TRUE(change(peer, Fleet::NodeChange::cordon));
  const auto waits = submit_to_all();
  ASSERT_TRUE(waits);
  pass(5s);
  EXPECT_EQ(task(waits->spec.id).state, TaskState::pending);
  EXPECT_TRUE(change(peer, Fleet::NodeChange::uncordon));
  EXPECT_EQ(outcome(waits->spec.id).state, TaskState::completed);
  EXPECT_TRUE(change(peer, Fleet::NodeChange::reject));
  add_peer("p");
  EXPECT_EQ(node(peer).status, "rejected");
}

TEST_F(PeersTest, AfterARestartTheyAreFoundAnew) {
  const NodeName peer = add_peer("p", Manner::slow);
  const auto submitted = submit_to_all();
  ASSERT_TRUE(submitted);
  pass(2s);
  open(options_);
  EXPECT_EQ(coordinator_->stats().total_nodes, 0U) << "no row of a peer is kept";
  add_peer("p");
  const TaskView done = outcome(submitted->spec.id);
  EXPECT_EQ(done.state, TaskState::completed) << done.reason;
  EXPECT_EQ(placed_on(done, peer), 2U);
}

}  // namespace
}  // namespace phase::vcp
