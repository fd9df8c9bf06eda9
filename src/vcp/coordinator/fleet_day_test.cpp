// A fleet over a virtual day: churn, partitions, liars. Every run of it with one seed is the same.
//   PHASE_FLEET_NODES, PHASE_FLEET_MINUTES, PHASE_FLEET_SEED: how many nodes, how long, which day.
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "tests/simulation/fleet_fixture.h"

namespace phase::vcp {
namespace {

constexpr Duration kTick = 30s;
constexpr std::uint64_t kOwners = 20;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class FleetDay : public FleetTest {
 protected:
  FleetDay() { stage_.random = simulation::SimRandom(number_from("PHASE_FLEET_SEED", 1)); }

  std::uint64_t choose(std::uint64_t bound) { return stage_.random.below(bound); }

  static NodeName name_of(std::uint64_t number) { return "n" + std::to_string(number); }
  static UserId owner_of(std::uint64_t number) { return "u" + std::to_string(number % kOwners); }

  void found(std::uint64_t nodes) {
    CoordinatorOptions options;
    options.health.heartbeat = kTick;
    options.node_tick = 60s;
    options.series_every = 600s;
    options.grant = 1'000'000'000;
    options.scheduler.tasks_max = kTasksMax;
    open(options);
    for (std::uint64_t i = 0; i < kOwners; ++i) grant(owner_of(i));
    for (std::uint64_t i = 0; i < nodes; ++i) {
      add_node(name_of(i), manner(), owner_of(i));
      online_.push_back(true);
    }
  }

  Manner manner() {
    const std::uint64_t dice = choose(100);
    if (dice < 3) return Manner::lies;
    if (dice < 6) return Manner::fails;
    if (dice < 8) return Manner::slow;
    if (dice < 9) return Manner::silent;
    if (dice < 10) return Manner::forges;
    return Manner::honest;
  }

  void leave(std::uint64_t i) {
    online_[i] = false;
    fleet_.cut.insert(name_of(i));
    coordinator_->sink().gone(name_of(i), GoneReason::silent, {});
  }
  void come_back(std::uint64_t i) {
    online_[i] = true;
    fleet_.cut.erase(name_of(i));
    come(name_of(i));
  }

  void heartbeats() {
    SessionSink& sink = coordinator_->sink();
    ++beat_;
    for (std::uint64_t i = 0; i < online_.size(); ++i) {
      if (!online_[i]) {
        if (choose(10) == 0) come_back(i);
        continue;
      }
      if (choose(400) == 0) {
        leave(i);
        continue;
      }
      const NodeName name = name_of(i);
      Telemetry said;
      said.cpu_millipercent = choose(100'000);
      said.memory_millipercent = 40'000;
      said.temperature_millicelsius = static_cast<std::int64_t>(40'000 + choose(47'000));
      sink.telemetry(name, said);
      sink.latency(name, std::chrono::milliseconds(1 + choose(60)));
      if (beat_ % 40 == i % 40) sink.bandwidth(name, {400'000, 300'000});
    }
  }

  void partition() {
    const std::uint64_t from = choose(online_.size());
    for (std::uint64_t i = 0; i < online_.size() / 5; ++i) {
      const std::uint64_t which = (from + i) % online_.size();
      if (online_[which]) leave(which);
    }
  }

  void submit_some(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto quorum = static_cast<std::uint32_t>(1 + choose(5));
      const auto made = submit(quorum, owner_of(choose(kOwners)), 5 + choose(120));
      if (made) {
        quorums_[made->spec.id] = quorum;
      } else {
        ++refused_;
      }
    }
    most_tasks_ = std::max(most_tasks_, under_way());
  }

  std::uint64_t under_way() const {
    const ClusterStats stats = coordinator_->stats();
    return stats.pending_tasks + stats.running_tasks;
  }

  void check_end() {
    std::map<TaskState, std::size_t> ends;
    const std::string right = sha256(as_bytes(kInputs)).hex();
    for (const auto& [id, quorum] : quorums_) {
      const auto found = journal_.all_tasks().find(id);
      ASSERT_NE(found, journal_.all_tasks().end()) << "an accepted task is lost";
      const TaskRow& row = found->second;
      ASSERT_TRUE(is_final(row.state)) << id << " is not final";
      ++ends[row.state];
      ASSERT_EQ(row.paid + row.refunded, row.spec.bid) << id;
      if (row.state != TaskState::completed) {
        ASSERT_FALSE(row.reason.empty()) << id << " ended without a reason";
        ASSERT_TRUE(row.result_json.empty());
      } else if (quorum > 1) {
        ASSERT_NE(row.result_json.find(right), std::string::npos) << "a lie was taken: " << id;
      }
    }
    Book book;
    std::set<std::pair<std::string, std::string>> paid;
    for (const Entry& entry : journal_.ledger()) {
      ASSERT_TRUE(book.take(entry));
      if (entry.transfer.kind != TransferKind::pay) continue;
      ASSERT_TRUE(paid.insert({entry.transfer.reference, entry.transfer.to}).second)
          << "paid twice: " << entry.transfer.reference;
    }
    ASSERT_EQ(book.sum(), book.granted());
    ASSERT_EQ(book.head(), final_head());
    EXPECT_LE(most_tasks_, kTasksMax);
    std::cout << quorums_.size() << " tasks: " << ends[TaskState::completed] << " completed, "
              << ends[TaskState::failed] << " failed; " << refused_ << " refused at admission; "
              << fleet_.started << " runs, " << own_.started << " second looks, " << book.sequence()
              << " ledger entries, at most " << most_tasks_ << " tasks at once\n";
    EXPECT_GT(ends[TaskState::completed], quorums_.size() / 2);
    EXPECT_GT(own_.started, 0U) << "no liar was met: the day proves little";
  }
  Sha256 final_head() const { return journal_.ledger().back().hash; }

  static constexpr std::size_t kTasksMax = 20'000;
  static constexpr std::string_view kInputs = R"({"number":7})";
  std::vector<bool> online_;
  std::map<TaskId, std::uint32_t> quorums_;
  std::uint64_t beat_ = 0, refused_ = 0, most_tasks_ = 0;
};

TEST_F(FleetDay, EveryTaskEndsOnceAndNoLieIsTaken) {
  const std::uint64_t nodes = number_from("PHASE_FLEET_NODES", 200);
  const std::uint64_t minutes = number_from("PHASE_FLEET_MINUTES", 90);
  found(nodes);
  for (std::uint64_t minute = 0; minute < minutes; ++minute) {
    if (minute % 60 == 30) partition();
    for (int half = 0; half < 2; ++half) {
      heartbeats();
      submit_some(1 + choose(std::max<std::uint64_t>(1, nodes / 100)));
      pass(kTick);
    }
    ASSERT_FALSE(HasFailure()) << "minute " << minute;
  }
  // Nobody submits any more: all comes to its end.
  for (int left = 0; left < 400 && under_way() > 0; ++left) {
    heartbeats();
    pass(kTick);
  }
  check_end();
}

}  // namespace
}  // namespace phase::vcp
