// scheduler.h — which node runs what: the one writer of all placements of a coordinator.
//
// In memory, deterministic for one seed, no clock of its own: whoever owns it says what happened
// and when, and asks what to do now (`decide`). It knows needs, places and times, not results:
// those are judged elsewhere. Not for more than one thread.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "vcp/scheduler/weights.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// How one of several nodes that would do is chosen.
enum class Strategy : std::uint8_t {
  weighted,      ///< at random, weighted by health and free places
  round_robin,   ///< the next by name after the last one
  least_loaded,  ///< the smallest share of places taken
  latency_aware  ///< the shortest measured round trip, to the millisecond; then the least loaded
};
[[nodiscard]] std::string_view strategy_name(Strategy strategy) noexcept;
/// "weighted", "round-robin", "least-loaded", "latency-aware"; nothing for another word.
[[nodiscard]] std::optional<Strategy> strategy_of(std::string_view name) noexcept;

/// A node as far as placement is concerned.
struct PlaceableNode {
  NodeName name;
  bool available = false;  ///< online, not cordoned nor draining, breakers closed
  bool probing = false;    ///< a breaker is half open: one run at a time
  std::string region, type;
  std::uint32_t cpu_cores = 0;
  std::uint64_t memory_mb = 0;
  bool gpu = false;
  bool peer = false;  ///< of the mesh, not of the fleet: for tasks that allow it only
  std::uint32_t health_permille = 0;
  std::uint64_t bandwidth_kbps = 0;         ///< measured; 0: unknown
  std::optional<std::uint64_t> latency_us;  ///< measured; absent: unknown
  std::uint32_t slots = 1;                  ///< runs at once
};

struct Need {
  Requirements requirements;
  std::string node_type;  ///< "compute"; empty: any. A node of type "any" fits everything.
  bool alone = false;     ///< no other such run on its node
  Duration waits{0};      ///< a run may wait so long before it begins; its lease is longer by that
};

using RunId = std::uint64_t;

// ── What `decide` answers ────────────────────────────────────────────────────────────────────────

struct Place {
  RunId run = 0;
  TaskId task;
  NodeName node;
  std::uint32_t attempt = 1;  ///< counts the runs of this task
};
/// The lease of a run ended without news; say `run_failed` and stop it.
struct Expire {
  RunId run = 0;
};
/// A task that cannot be done any more: say `remove`, with this reason.
struct GiveUp {
  TaskId task;
  std::string reason;
};
using Decision = std::variant<Place, Expire, GiveUp>;

/// Kinds of needs whose possible nodes are remembered.
inline constexpr std::size_t kCandidateClassesMax = 256;

struct SchedulerLimits {
  std::size_t nodes_max = 20'000;
  std::size_t tasks_max = 100'000;  ///< not final yet; above it a submission is told to come back
  std::uint32_t retries_max = 5;    ///< failed runs of one task beyond which it is given up
  Duration backoff_first = 100ms;   ///< after a failed run; doubled each time
  Duration backoff_max = 10s;
  Duration lease_slack = 60s;         ///< beyond the longest a run may take, until it is given up
  std::size_t decisions_max = 4'096;  ///< of one call
  std::size_t looks_per_class = 64;   ///< tasks of equal needs looked at before the class waits
};

class Scheduler {
 public:
  /// `random` is borrowed.
  Scheduler(Random& random, SchedulerLimits limits, Strategy strategy);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void set_strategy(Strategy strategy);
  [[nodiscard]] Strategy strategy() const noexcept { return strategy_; }

  // ── Nodes ──
  /// A new node, or new facts about one. Errors: Code::busy at nodes_max.
  [[nodiscard]] Result<void> put_node(PlaceableNode facts);
  /// Its runs stay; they end by `run_failed`.
  void remove_node(const NodeName& name);
  [[nodiscard]] std::size_t nodes() const noexcept { return by_name_.size(); }
  [[nodiscard]] std::uint32_t running_on(const NodeName& name) const;

  // ── Tasks ──
  /// Whether the nodes there are could ever do it, busy or not. Errors: Code::unavailable naming
  /// the resource that is missing and how many nodes have it.
  [[nodiscard]] Result<void> admit(const Need& need);
  /// From now on `requirements.min_nodes` different nodes are found for it.
  /// Errors: Code::busy at tasks_max; Code::already_exists.
  [[nodiscard]] Result<void> add(const TaskId& task, Need need, Instant now,
                                 std::optional<Instant> deadline);
  /// A run that was placed in an earlier life goes on. Nothing when the node is not there, or the
  /// task wants none. Whether the node has a place for it is not asked.
  [[nodiscard]] std::optional<RunId> adopt(const TaskId& task, const NodeName& node, Instant now);
  /// Ends a task whatever its state; returns the runs that were live, which are over now.
  std::vector<RunId> remove(const TaskId& task);
  [[nodiscard]] std::size_t tasks() const noexcept { return tasks_.size(); }
  /// Why a task waits for a node, for people; empty when it does not.
  [[nodiscard]] std::string waiting_for(const TaskId& task) const;

  // ── Runs ──
  /// Its result is there: the place is free, and it counts towards the quorum.
  void run_finished(RunId run);
  /// It came to nothing. Another place is found after a pause; not on this node as long as there
  /// are others.
  void run_failed(RunId run, Instant now, std::string reason);
  /// It is not needed any more; the place is free.
  void run_superseded(RunId run);
  /// A finished run that turned out wrong: it does not count any more, its node is not asked again.
  void discount(const TaskId& task, Instant now, std::string reason);
  /// One run more than the quorum is placed if `run` is still live at `at`, once per task.
  void hedge_at(RunId run, Instant at);

  /// What to do now. Call again while it returns decisions_max of them.
  [[nodiscard]] std::vector<Decision> decide(Instant now);
  /// When `decide` has something to do although nothing happens.
  [[nodiscard]] std::optional<Instant> next_due() const;

 private:
  struct Node;
  struct Waiting;
  struct Run;
  struct Class;
  struct Candidates;
  enum class TimerKind : std::uint8_t { ready, lease, deadline, hedge };
  struct Timer {
    TimerKind kind;
    RunId run;
    TaskId task;
  };
  using Timers = std::multimap<Instant, Timer>;

  // nodes.cpp
  void refresh(Node& node);
  [[nodiscard]] std::uint64_t order_key(const Node& node) const;
  [[nodiscard]] const std::vector<std::size_t>& candidates(const std::string& key,
                                                           const Need& need);
  [[nodiscard]] static bool fits(const Node& node, const Need& need);
  [[nodiscard]] bool nobody_left(const Waiting& task);
  [[nodiscard]] bool untried(const Node& node, const Waiting& task) const;
  [[nodiscard]] std::optional<std::size_t> choose(const Waiting& task, bool again);
  [[nodiscard]] std::optional<std::size_t> choose_weighted(const Waiting& task, bool again);
  [[nodiscard]] std::optional<std::size_t> choose_next(const Waiting& task, bool again);
  [[nodiscard]] std::optional<std::size_t> choose_ordered(const Waiting& task, bool again) const;
  [[nodiscard]] bool eligible(const Node& node, const Waiting& task, bool again) const;

  // scheduler.cpp
  [[nodiscard]] Waiting* find(const TaskId& task) const;
  void queue(Waiting& task);
  void unqueue(Waiting& task);
  [[nodiscard]] bool wants_more(const Waiting& task) const;
  /// Removes the run and frees its place; the task it belonged to, or null.
  Waiting* end_run(RunId run);
  void fire_timers(Instant now, std::vector<Decision>& out);
  void fire(const Timer& timer, std::vector<Decision>& out);
  [[nodiscard]] bool place_one(const std::string& key, Instant now, std::vector<Decision>& out);
  [[nodiscard]] bool place(Waiting& task, Instant now, std::vector<Decision>& out);
  RunId put_run(Waiting& task, Node& node, Instant now);

  Random& random_;
  const SchedulerLimits limits_;
  Strategy strategy_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by index; null: free
  std::vector<std::size_t> free_indexes_;
  std::map<NodeName, std::size_t, std::less<>> by_name_;
  WeightTree weights_;
  std::set<std::pair<std::uint64_t, std::size_t>> order_;  // of the strategies that have one
  NodeName last_chosen_;                                   // round-robin
  std::unordered_map<TaskId, std::unique_ptr<Waiting>> tasks_;
  std::map<std::string, Class, std::less<>> classes_;          // tasks that want a node, by need
  std::map<std::string, Candidates, std::less<>> candidates_;  // at most kCandidateClassesMax
  std::uint64_t machines_ = 1;  // counts changes of what nodes are, not of how they are
  std::unordered_map<RunId, Run> runs_;
  Timers timers_;
  RunId last_run_ = 0;
};

/// Names the first thing that `node` lacks for `need`, leaving aside whether it is free; empty when
/// it has all.
[[nodiscard]] std::string lacking(const PlaceableNode& node, const Need& need);
/// Equal for needs that the same nodes can meet.
[[nodiscard]] std::string class_key(const Need& need);

}  // namespace phase::vcp
