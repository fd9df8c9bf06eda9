#include "vcp/scheduler/scheduler.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "vcp/scheduler/records_internal.h"

namespace phase::vcp {
namespace {

constexpr std::array<std::string_view, 4> kStrategies = {"weighted", "round-robin", "least-loaded",
                                                         "latency-aware"};

}  // namespace

std::string class_key(const Need& need) {
  const Requirements& wants = need.requirements;
  std::string out = need.node_type + '\n' + wants.region + '\n';
  for (const std::uint64_t part :
       {std::uint64_t{wants.gpu}, std::uint64_t{wants.allow_peers}, std::uint64_t{need.alone},
        std::uint64_t{wants.health_min_permille}, wants.bandwidth_kbps_min, wants.latency_us_max,
        std::uint64_t{wants.cpu_cores}, wants.memory_mb}) {
    out += std::to_string(part) + ' ';
  }
  return out;
}

std::string_view strategy_name(Strategy strategy) noexcept {
  return kStrategies[static_cast<std::size_t>(strategy)];
}

std::optional<Strategy> strategy_of(std::string_view name) noexcept {
  const auto found = std::ranges::find(kStrategies, name);
  if (found == kStrategies.end()) return std::nullopt;
  return static_cast<Strategy>(found - kStrategies.begin());
}

Scheduler::Scheduler(Random& random, SchedulerLimits limits, Strategy strategy)
    : random_(random), limits_(limits), strategy_(strategy), weights_(limits.nodes_max) {
  nodes_.resize(limits.nodes_max);
  for (std::size_t index = limits.nodes_max; index > 0; --index) free_indexes_.push_back(index - 1);
}

Scheduler::~Scheduler() = default;

Scheduler::Waiting* Scheduler::find(const TaskId& task) const {
  const auto found = tasks_.find(task);
  return found == tasks_.end() ? nullptr : found->second.get();
}

bool Scheduler::wants_more(const Waiting& task) const {
  return !task.paused && task.finished + task.live.size() < task.wanted();
}

void Scheduler::queue(Waiting& task) {
  if (task.queued || !wants_more(task)) return;
  const auto [found, fresh] = classes_.try_emplace(task.class_key);
  Class& of = found->second;
  if (fresh) of.need = task.need;
  of.stuck = false;
  of.tasks.push_back(&task);
  task.where = std::prev(of.tasks.end());
  task.queued = true;
}

void Scheduler::unqueue(Waiting& task) {
  if (!task.queued) return;
  const auto found = classes_.find(task.class_key);
  PHASE_CHECK(found != classes_.end());
  found->second.tasks.erase(task.where);
  if (found->second.tasks.empty()) classes_.erase(found);
  task.queued = false;
}

Result<void> Scheduler::add(const TaskId& task, Need need, Instant now,
                            std::optional<Instant> deadline) {
  if (tasks_.size() >= limits_.tasks_max) {
    return fail(Code::busy,
                std::to_string(limits_.tasks_max) + " tasks are under way; no more are taken now",
                "submit again later");
  }
  auto made = std::make_unique<Waiting>();
  made->id = task;
  made->class_key = class_key(need);
  made->need = std::move(need);
  const auto [at, fresh] = tasks_.emplace(task, std::move(made));
  if (!fresh) return fail(Code::already_exists, "task " + task + " is here already");
  if (deadline) {
    at->second->deadline =
        timers_.emplace(std::max(*deadline, now), Timer{TimerKind::deadline, 0, task});
  }
  queue(*at->second);
  return {};
}

std::vector<RunId> Scheduler::remove(const TaskId& id) {
  Waiting* task = find(id);
  if (task == nullptr) return {};
  const std::vector<RunId> live = task->live;
  for (const RunId run : live) end_run(run);
  unqueue(*task);
  if (task->deadline) timers_.erase(*task->deadline);
  tasks_.erase(id);
  return live;
}

std::string Scheduler::waiting_for(const TaskId& id) const {
  const Waiting* task = find(id);
  if (task == nullptr || task->finished + task->live.size() >= task->wanted()) return {};
  if (task->paused) return "a pause after: " + task->last_failure;
  return task->waiting_for;
}

Scheduler::Waiting* Scheduler::end_run(RunId id) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return nullptr;
  const Run run = found->second;
  if (run.lease) timers_.erase(*run.lease);
  runs_.erase(found);
  std::erase(run.task->live, id);
  const auto at = by_name_.find(run.node);
  if (at != by_name_.end() && nodes_[at->second]->running > 0) {
    Node& node = *nodes_[at->second];
    --node.running;
    if (run.task->need.alone) node.holds_alone = false;
    refresh(node);
  }
  return run.task;
}

void Scheduler::run_finished(RunId run) {
  Waiting* task = end_run(run);
  if (task == nullptr) return;
  ++task->finished;
  if (!wants_more(*task)) unqueue(*task);
}

void Scheduler::run_superseded(RunId run) {
  end_run(run);
}

void Scheduler::run_failed(RunId id, Instant now, std::string reason) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return;
  const NodeName node = found->second.node;
  Waiting& task = *end_run(id);
  std::erase(task.engaged, node);
  if (std::ranges::find(task.failed_on, node) == task.failed_on.end()) {
    task.failed_on.push_back(node);
  }
  ++task.failures;
  task.last_failure = std::move(reason);
  Duration pause = limits_.backoff_max;
  if (task.failures < 16) {
    pause = std::min(pause, limits_.backoff_first * (1U << (task.failures - 1)));
  }
  unqueue(task);
  task.paused = true;
  timers_.emplace(now + pause, Timer{TimerKind::ready, 0, task.id});
}

void Scheduler::discount(const TaskId& id, Instant now, std::string reason) {
  Waiting* task = find(id);
  if (task == nullptr || task->finished == 0) return;
  --task->finished;
  ++task->failures;
  task->last_failure = std::move(reason);
  if (task->failures > limits_.retries_max) {
    task->paused = true;  // `fire` gives it up
    timers_.emplace(now, Timer{TimerKind::ready, 0, task->id});
    return;
  }
  queue(*task);
}

void Scheduler::hedge_at(RunId run, Instant at) {
  if (runs_.contains(run)) timers_.emplace(at, Timer{TimerKind::hedge, run, {}});
}

void Scheduler::fire(const Timer& timer, std::vector<Decision>& out) {
  if (timer.kind == TimerKind::lease || timer.kind == TimerKind::hedge) {
    const auto found = runs_.find(timer.run);
    if (found == runs_.end()) return;
    if (timer.kind == TimerKind::lease) {
      found->second.lease.reset();
      out.emplace_back(Expire{timer.run});
      return;
    }
    Waiting& task = *found->second.task;
    if (task.hedges == 0) {
      task.hedges = 1;
      queue(task);
    }
    return;
  }
  Waiting* task = find(timer.task);
  if (task == nullptr) return;
  if (timer.kind == TimerKind::deadline) {
    task->deadline.reset();
    out.emplace_back(GiveUp{task->id, "deadline passed"});
    return;
  }
  if (task->failures > limits_.retries_max) {
    out.emplace_back(GiveUp{task->id, "no node could do it in " + std::to_string(task->attempts) +
                                          " attempts; the last one: " + task->last_failure});
    return;
  }
  task->paused = false;
  queue(*task);
}

void Scheduler::fire_timers(Instant now, std::vector<Decision>& out) {
  while (!timers_.empty() && timers_.begin()->first <= now && out.size() < limits_.decisions_max) {
    const Timer timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    fire(timer, out);
  }
}

bool Scheduler::place(Waiting& task, Instant now, std::vector<Decision>& out) {
  auto chosen = choose(task, false);
  if (!chosen && !task.failed_on.empty()) chosen = choose(task, true);
  if (!chosen) {
    task.waiting_for = "no node that is free has all it needs";
    if (nobody_left(task)) {
      unqueue(task);
      task.paused = true;  // until it is removed
      out.emplace_back(
          GiveUp{task.id, "every node that could run it was asked; " +
                              (task.last_failure.empty() ? "none is left" : task.last_failure)});
    }
    return false;
  }
  Node& node = *nodes_[*chosen];
  ++task.attempts;
  const RunId run = put_run(task, node, now);
  out.emplace_back(Place{run, task.id, node.facts.name, task.attempts});
  return true;
}

RunId Scheduler::put_run(Waiting& task, Node& node, Instant now) {
  const RunId run = ++last_run_;
  task.live.push_back(run);
  task.engaged.push_back(node.facts.name);
  ++node.running;
  node.holds_alone = node.holds_alone || task.need.alone;
  refresh(node);
  const auto longest = std::chrono::seconds(task.need.requirements.max_execution_seconds);
  const auto lease = timers_.emplace(now + task.need.waits + longest + limits_.lease_slack,
                                     Timer{TimerKind::lease, run, {}});
  runs_.emplace(run, Run{&task, node.facts.name, lease});
  if (!wants_more(task)) unqueue(task);
  return run;
}

std::optional<RunId> Scheduler::adopt(const TaskId& id, const NodeName& name, Instant now) {
  Waiting* task = find(id);
  const auto node = by_name_.find(name);
  if (task == nullptr || node == by_name_.end() || !wants_more(*task)) return std::nullopt;
  return put_run(*task, *nodes_[node->second], now);
}

/// One place for the first tasks of a class that can have one. Those that only wait for a node they
/// have not asked yet go behind the others, whom they would keep waiting.
bool Scheduler::place_one(const std::string& key, Instant now, std::vector<Decision>& out) {
  for (std::size_t looked = 0; looked < limits_.looks_per_class; ++looked) {
    const auto found = classes_.find(key);
    if (found == classes_.end()) return false;  // its last task was given up
    std::list<Waiting*>& tasks = found->second.tasks;
    Waiting& task = *tasks.front();
    if (place(task, now, out)) return true;
    if (task.queued && task.engaged.empty() && task.failed_on.empty()) {
      found->second.stuck = true;  // no free node fits the class, whoever asks
      return false;
    }
    if (task.queued) tasks.splice(tasks.end(), tasks, task.where);
  }
  return false;
}

std::vector<Decision> Scheduler::decide(Instant now) {
  std::vector<Decision> out;
  fire_timers(now, out);
  bool placed = true;
  while (placed && weights_.total() != 0) {
    placed = false;
    // Classes take turns, so that many tasks of one kind do not keep those of another waiting.
    std::vector<std::string> keys;
    keys.reserve(classes_.size());
    for (const auto& [key, of] : classes_) {
      if (!of.stuck) keys.push_back(key);
    }
    for (const std::string& key : keys) {
      if (out.size() >= limits_.decisions_max || weights_.total() == 0) return out;
      if (place_one(key, now, out)) placed = true;
    }
  }
  return out;
}

std::optional<Instant> Scheduler::next_due() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

}  // namespace phase::vcp
