#include "vcp/scheduler/scheduler.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/check.h"

namespace phase::vcp {
namespace {

/// xorshift: enough for choices, the same for one seed.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed * 2 + 1) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) {
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      byte = static_cast<std::uint8_t>(state_ >> 24);
    }
  }

 private:
  std::uint64_t state_;
};

constexpr Instant kStart{1'000'000'000};

PlaceableNode node(std::string name, std::uint32_t health = 500, std::uint32_t slots = 4) {
  PlaceableNode out;
  out.name = std::move(name);
  out.available = true;
  out.region = "eu";
  out.type = "compute";
  out.cpu_cores = 8;
  out.memory_mb = 16'000;
  out.health_permille = health;
  out.bandwidth_kbps = 100'000;
  out.latency_us = 5'000;
  out.slots = slots;
  return out;
}

Need need(std::uint32_t quorum = 1) {
  Need out;
  out.node_type = "compute";
  out.requirements.min_nodes = quorum;
  return out;
}

class SchedulerTest : public testing::Test {
 protected:
  void put(PlaceableNode facts) { ASSERT_TRUE(scheduler_.put_node(std::move(facts))); }
  void add(const TaskId& id, Need wants = need()) {
    ASSERT_TRUE(scheduler_.add(id, std::move(wants), now_, std::nullopt));
  }
  std::vector<Place> places() {
    std::vector<Place> out;
    for (auto& decision : scheduler_.decide(now_)) {
      if (auto* place = std::get_if<Place>(&decision)) {
        out.push_back(*place);
      } else {
        others_.push_back(decision);
      }
    }
    return out;
  }
  Instant now_ = kStart;
  SeededRandom random_{7};
  Scheduler scheduler_{random_, {}, Strategy::weighted};
  std::vector<Decision> others_;
};

TEST_F(SchedulerTest, AQuorumRunsOnDifferentNodes) {
  for (const char* name : {"a", "b", "c"}) put(node(name));
  add("t", need(3));
  const auto placed = places();
  ASSERT_EQ(placed.size(), 3U);
  std::set<NodeName> names;
  for (const auto& place : placed) names.insert(place.node);
  EXPECT_EQ(names.size(), 3U);
  EXPECT_TRUE(places().empty()) << "it has all it wants";
}

TEST_F(SchedulerTest, ATaskWaitsForPlacesAndSaysSo) {
  put(node("a", 500, 1));
  add("t");
  add("u");
  const auto first = places();
  ASSERT_EQ(first.size(), 1U);
  const TaskId other = first[0].task == "t" ? "u" : "t";
  scheduler_.run_finished(first[0].run);
  const auto second = places();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].task, other);
}

TEST_F(SchedulerTest, EveryRequirementIsHonoured) {
  put(node("plain"));
  struct Case {
    const char* name;
    void (*ask)(Requirements&);
    void (*have)(PlaceableNode&);
  };
  const Case cases[] = {
      {"gpu", [](Requirements& r) { r.gpu = true; }, [](PlaceableNode& n) { n.gpu = true; }},
      {"cores", [](Requirements& r) { r.cpu_cores = 9; },
       [](PlaceableNode& n) { n.cpu_cores = 9; }},
      {"memory", [](Requirements& r) { r.memory_mb = 16'001; },
       [](PlaceableNode& n) { n.memory_mb = 16'001; }},
      {"region", [](Requirements& r) { r.region = "us"; },
       [](PlaceableNode& n) { n.region = "us"; }},
      {"health", [](Requirements& r) { r.health_min_permille = 501; },
       [](PlaceableNode& n) { n.health_permille = 501; }},
      {"bandwidth", [](Requirements& r) { r.bandwidth_kbps_min = 100'001; },
       [](PlaceableNode& n) { n.bandwidth_kbps = 100'001; }},
      {"latency", [](Requirements& r) { r.latency_us_max = 4'999; },
       [](PlaceableNode& n) { n.latency_us = 4'999; }},
  };
  for (const Case& c : cases) {
    Need wants = need();
    c.ask(wants.requirements);
    add(c.name, wants);
    EXPECT_TRUE(places().empty()) << c.name;
    PlaceableNode has = node(std::string("with-") + c.name);
    c.have(has);
    put(has);
    const auto placed = places();
    ASSERT_EQ(placed.size(), 1U) << c.name;
    EXPECT_EQ(placed[0].node, has.name);
    scheduler_.remove(c.name);
    scheduler_.remove_node(has.name);
  }
}

TEST_F(SchedulerTest, ANodeOfAnotherTypeIsNotAsked) {
  PlaceableNode other = node("gateway");
  other.type = "gateway";
  put(other);
  add("t");
  EXPECT_TRUE(places().empty());
  PlaceableNode any = node("any");
  any.type = "any";
  put(any);
  const auto placed = places();
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].node, "any");
}

TEST_F(SchedulerTest, AnUnknownLatencyIsNotAShortOne) {
  PlaceableNode unknown = node("unknown");
  unknown.latency_us.reset();
  put(unknown);
  Need wants = need();
  wants.requirements.latency_us_max = 1'000'000;
  add("t", wants);
  EXPECT_TRUE(places().empty());
}

TEST_F(SchedulerTest, PeersAreForTasksThatAllowThem) {
  PlaceableNode peer = node("peer");
  peer.peer = true;
  peer.type = "any";
  put(peer);
  const auto refused = scheduler_.admit(need());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(refused.error().message.find("requirements.allow_peers"), std::string::npos)
      << refused.error().message;
  Need wants = need();
  wants.requirements.allow_peers = true;
  EXPECT_TRUE(scheduler_.admit(wants));
  add("of the fleet");
  add("of all", wants);
  const auto placed = places();
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].task, "of all");
}

TEST_F(SchedulerTest, AdmissionNamesWhatIsMissing) {
  put(node("a"));
  put(node("b"));
  Need wants = need();
  wants.requirements.gpu = true;
  const auto refused = scheduler_.admit(wants);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(refused.error().message.find("2 lack a GPU"), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(scheduler_.admit(need(3)));
  EXPECT_TRUE(scheduler_.admit(need(2)));
  PlaceableNode away = node("a");
  away.available = false;
  put(away);
  EXPECT_TRUE(scheduler_.admit(need(2))) << "a node that is away now may come back";
}

TEST_F(SchedulerTest, AFailedRunGoesElsewhereAfterAPause) {
  put(node("a"));
  put(node("b"));
  add("t");
  const auto first = places();
  ASSERT_EQ(first.size(), 1U);
  scheduler_.run_failed(first[0].run, now_, "connection_lost");
  EXPECT_TRUE(places().empty());
  EXPECT_NE(scheduler_.waiting_for("t").find("connection_lost"), std::string::npos);
  ASSERT_TRUE(scheduler_.next_due());
  now_ = *scheduler_.next_due();
  const auto second = places();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].node, first[0].node);
  EXPECT_EQ(second[0].attempt, 2U);
}

TEST_F(SchedulerTest, TheOnlyNodeIsTriedAgainAndThenTheTaskIsGivenUp) {
  put(node("a"));
  add("t");
  std::size_t runs = 0;
  for (int step = 0; step < 100 && others_.empty(); ++step) {
    for (const auto& place : places()) {
      ++runs;
      scheduler_.run_failed(place.run, now_, "broken");
    }
    if (const auto due = scheduler_.next_due()) now_ = *due;
  }
  ASSERT_EQ(others_.size(), 1U);
  const auto* given_up = std::get_if<GiveUp>(&others_[0]);
  ASSERT_NE(given_up, nullptr);
  EXPECT_EQ(runs, 6U) << "the first one and retries_max more";
  EXPECT_NE(given_up->reason.find("broken"), std::string::npos);
}

TEST_F(SchedulerTest, ALeaseEndsAndADeadlinePasses) {
  put(node("a"));
  PlaceableNode away = node("b");
  away.available = false;
  put(away);
  add("t");
  ASSERT_TRUE(scheduler_.add("late", need(2), now_, now_ + 5s));
  const auto placed = places();
  ASSERT_EQ(placed.size(), 2U);
  now_ = now_ + 5s;
  EXPECT_TRUE(places().empty());
  ASSERT_EQ(others_.size(), 1U);
  EXPECT_EQ(std::get<GiveUp>(others_[0]).reason, "deadline passed");
  scheduler_.remove("late");
  now_ = now_ + 200s;
  EXPECT_TRUE(places().empty());
  ASSERT_EQ(others_.size(), 2U);
  EXPECT_NE(std::get_if<Expire>(&others_[1]), nullptr);
}

TEST_F(SchedulerTest, AStragglerGetsOneHedge) {
  put(node("a"));
  put(node("b"));
  put(node("c"));
  add("t");
  const auto first = places();
  ASSERT_EQ(first.size(), 1U);
  scheduler_.hedge_at(first[0].run, now_ + 2s);
  now_ = now_ + 2s;
  const auto hedge = places();
  ASSERT_EQ(hedge.size(), 1U);
  EXPECT_NE(hedge[0].node, first[0].node);
  scheduler_.hedge_at(hedge[0].run, now_ + 1s);
  now_ = now_ + 1s;
  EXPECT_TRUE(places().empty()) << "one is enough";
  EXPECT_EQ(scheduler_.remove("t").size(), 2U);
  EXPECT_EQ(scheduler_.running_on("a") + scheduler_.running_on("b") + scheduler_.running_on("c"),
            0U);
}

TEST_F(SchedulerTest, ARefutedResultIsReplacedByAnotherNode) {
  for (const char* name : {"a", "b", "c", "d"}) put(node(name));
  add("t", need(3));
  std::set<NodeName> used;
  for (const auto& place : places()) {
    used.insert(place.node);
    scheduler_.run_finished(place.run);
  }
  scheduler_.discount("t", now_, "refuted");
  const auto more = places();
  ASSERT_EQ(more.size(), 1U);
  EXPECT_FALSE(used.contains(more[0].node));
}

TEST_F(SchedulerTest, TasksThatCannotRunDoNotKeepOthersWaiting) {
  put(node("a"));
  Need impossible = need();
  impossible.requirements.health_min_permille = 999;
  for (int i = 0; i < 50; ++i) add("blocked-" + std::to_string(i), impossible);
  add("t");
  const auto placed = places();
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].task, "t");
}

TEST_F(SchedulerTest, TasksThatNeedAnotherNodeDoNotKeepTheirKindWaiting) {
  put(node("a", 500, 100));
  put(node("b", 500, 1));
  put(node("full", 500, 1));
  PlaceableNode full = node("full", 500, 1);
  full.available = false;
  put(full);
  // Each has a and b, or waits for what it has not asked: b is taken by the first of them.
  for (int i = 0; i < 20; ++i) add("pair-" + std::to_string(i), need(2));
  places();
  add("t");
  std::set<TaskId> placed;
  for (const auto& place : places()) placed.insert(place.task);
  EXPECT_TRUE(placed.contains("t"));
}

TEST_F(SchedulerTest, ATaskThatHasAskedEveryNodeIsGivenUp) {
  for (const char* name : {"a", "b", "c"}) put(node(name));
  add("t", need(3));
  for (const auto& place : places()) scheduler_.run_finished(place.run);
  scheduler_.discount("t", now_, "a result was refuted");
  EXPECT_TRUE(places().empty());
  ASSERT_EQ(others_.size(), 1U);
  const auto* over = std::get_if<GiveUp>(&others_[0]);
  ASSERT_NE(over, nullptr);
  EXPECT_NE(over->reason.find("every node"), std::string::npos);
  EXPECT_NE(over->reason.find("refuted"), std::string::npos);
  scheduler_.remove("t");
}

TEST_F(SchedulerTest, ATaskWaitsForANodeThatIsAway) {
  for (const char* name : {"a", "b"}) put(node(name));
  PlaceableNode away = node("c");
  away.available = false;
  put(away);
  add("t", need(3));
  EXPECT_EQ(places().size(), 2U);
  EXPECT_TRUE(others_.empty()) << "it may come back";
  put(node("c"));
  EXPECT_EQ(places().size(), 1U);
}

TEST_F(SchedulerTest, RoundRobinTakesEachInTurn) {
  scheduler_.set_strategy(Strategy::round_robin);
  for (const char* name : {"a", "b", "c"}) put(node(name, 500, 50));
  std::string order;
  for (int i = 0; i < 7; ++i) {
    add("t" + std::to_string(i));
    for (const auto& place : places()) order += place.node;
  }
  EXPECT_EQ(order, "abcabca");
}

TEST_F(SchedulerTest, LeastLoadedAndLatencyAware) {
  put(node("busy", 500, 2));
  put(node("wide", 500, 10));
  scheduler_.set_strategy(Strategy::least_loaded);
  std::map<NodeName, int> count;
  for (int i = 0; i < 6; ++i) {
    add("t" + std::to_string(i));
    for (const auto& place : places()) ++count[place.node];
  }
  EXPECT_EQ(count["wide"], 5);
  EXPECT_EQ(count["busy"], 1);
  PlaceableNode near = node("near");
  near.latency_us = 1'000;
  put(near);
  scheduler_.set_strategy(Strategy::latency_aware);
  add("u");
  const auto placed = places();
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].node, "near");
}

TEST_F(SchedulerTest, WeightedFollowsHealthAndLeavesNobodyOut) {
  put(node("good", 900, 1'000'000));
  put(node("poor", 100, 1'000'000));
  std::map<NodeName, int> count;
  for (int i = 0; i < 2'000; ++i) {
    add("t" + std::to_string(i));
    for (const auto& place : places()) ++count[place.node];
  }
  EXPECT_GT(count["good"], 1'600);
  EXPECT_GT(count["poor"], 100);
}

TEST_F(SchedulerTest, ARunThatWantsToBeAloneIsTheOnlySuchOneOnItsNode) {
  put(node("a"));
  Need wants = need();
  wants.alone = true;
  add("t", wants);
  add("u", wants);
  add("plain");
  const auto placed = places();
  ASSERT_EQ(placed.size(), 2U) << "beside it there is room for others";
  const bool first = placed[0].task == "t" || placed[1].task == "t";
  const auto is_plain = [](const Place& place) { return place.task == "plain"; };
  EXPECT_EQ(std::ranges::count_if(placed, is_plain), 1);
  put(node("a", 600));
  EXPECT_TRUE(places().empty()) << "news of the node make no room";
  for (const Place& place : placed) {
    if (!is_plain(place)) scheduler_.run_finished(place.run);
  }
  const auto next = places();
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].task, first ? "u" : "t");
}

TEST_F(SchedulerTest, ARunOfAnEarlierLifeGoesOnWhereItIs) {
  PlaceableNode away = node("a");
  away.available = false;
  put(away);
  put(node("b"));
  Need wants = need();
  wants.alone = true;
  wants.waits = 100s;
  add("t", wants);
  EXPECT_FALSE(scheduler_.adopt("t", "nowhere", now_));
  EXPECT_FALSE(scheduler_.adopt("nothing", "a", now_));
  const auto run = scheduler_.adopt("t", "a", now_);
  ASSERT_TRUE(run);
  EXPECT_FALSE(scheduler_.adopt("t", "b", now_)) << "it has its node";
  EXPECT_TRUE(places().empty());
  put(node("a"));
  add("u", wants);
  const auto placed = places();
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].node, "b");
  now_ = now_ + 60s + SchedulerLimits{}.lease_slack + 99s;
  EXPECT_TRUE(places().empty());
  EXPECT_TRUE(others_.empty());
  now_ = now_ + 1s;
  places();
  EXPECT_EQ(others_.size(), 2U) << "both leases end";
}

TEST_F(SchedulerTest, AProbingNodeRunsOneAtATime) {
  PlaceableNode facts = node("a");
  facts.probing = true;
  put(facts);
  add("t");
  add("u");
  EXPECT_EQ(places().size(), 1U);
}

TEST(WeightTreeTest, FindsEachIndexByItsShare) {
  WeightTree tree(10);
  tree.set(3, 2);
  tree.set(9, 1);
  tree.set(0, 4);
  EXPECT_EQ(tree.total(), 7U);
  std::string found;
  for (std::uint64_t at = 0; at < 7; ++at) found += std::to_string(tree.find(at));
  EXPECT_EQ(found, "0000339");
  tree.set(0, 0);
  EXPECT_EQ(tree.find(0), 3U);
}

/// Whatever happens in whatever order: no node over its places, no two runs of one task on one
/// node, no node without what the task needs, no more runs than the quorum and one hedge.
RC_GTEST_PROP(SchedulerProperty, PlacesAreNeverOverbookedNorShared, ()) {
  SeededRandom random(*rc::gen::inRange<std::uint64_t>(1, 1'000'000));
  Scheduler scheduler(random, {}, static_cast<Strategy>(*rc::gen::inRange(0, 4)));
  Instant now = kStart;
  std::map<RunId, Place> live;
  std::map<TaskId, std::uint32_t> quorum;
  std::map<NodeName, PlaceableNode> facts;
  int serial = 0;
  for (int step = 0; step < 150; ++step) {
    switch (random.below(7)) {
      case 0:
      case 1: {
        auto one = node("n" + std::to_string(random.below(6)),
                        static_cast<std::uint32_t>(random.below(1'001)),
                        static_cast<std::uint32_t>(1 + random.below(3)));
        one.available = random.below(4) != 0;
        one.gpu = random.below(2) == 0;
        facts[one.name] = one;
        RC_ASSERT(scheduler.put_node(one).has_value());
        break;
      }
      case 2:
      case 3: {
        Need wants = need(static_cast<std::uint32_t>(1 + random.below(3)));
        wants.requirements.gpu = random.below(3) == 0;
        const TaskId id = (wants.requirements.gpu ? "g" : "t") + std::to_string(++serial);
        quorum[id] = wants.requirements.min_nodes;
        RC_ASSERT(scheduler.add(id, wants, now, std::nullopt).has_value());
        break;
      }
      case 4:
        if (!live.empty()) {
          scheduler.run_finished(live.begin()->first);
          live.erase(live.begin());
        }
        break;
      case 5:
        if (!live.empty()) {
          scheduler.run_failed(live.rbegin()->first, now, "no");
          live.erase(std::prev(live.end()));
        }
        break;
      default:
        now = now + 1s;
    }
    for (const auto& decision : scheduler.decide(now)) {
      if (const auto* place = std::get_if<Place>(&decision)) {
        const PlaceableNode& on = facts.at(place->node);
        RC_ASSERT(on.available);
        RC_ASSERT(place->task[0] != 'g' || on.gpu);
        std::uint32_t running = 0;
        std::uint32_t of_task = 0;
        for (const auto& [run, other] : live) {
          running += other.node == place->node ? 1 : 0;
          of_task += other.task == place->task ? 1 : 0;
          RC_ASSERT(other.task != place->task || other.node != place->node);
        }
        RC_ASSERT(running < on.slots);
        RC_ASSERT(of_task < quorum.at(place->task));
        live[place->run] = *place;
      } else if (const auto* end = std::get_if<GiveUp>(&decision)) {
        for (const RunId run : scheduler.remove(end->task)) live.erase(run);
      }
    }
  }
}

}  // namespace
}  // namespace phase::vcp
