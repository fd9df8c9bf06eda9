// Nodes: who could run a task, and which of them does.
#include <algorithm>

#include "base/check.h"
#include "vcp/scheduler/records_internal.h"

namespace phase::vcp {
namespace {

/// Weighted picks that are tried, first among all nodes, then among those that could do it, before
/// each of these is looked at.
constexpr int kPicksMax = 8, kCandidatePicksMax = 64;
/// Of a whole and idle node.
constexpr std::uint64_t kWeightMax = 1'001 * 64;
constexpr std::uint64_t kFarAway = 1'000'000'000;  // latency of a node that was never measured, us

std::string at_least(std::string_view what, std::uint64_t amount, std::string_view unit) {
  return std::string(what) + " of at least " + std::to_string(amount) + " " + std::string(unit);
}

/// What hardware cannot change; then what was measured.
std::string lacking_machine(const PlaceableNode& node, const Need& need) {
  const Requirements& wants = need.requirements;
  if (node.peer && !wants.allow_peers) {
    return "a place in the fleet: they are peers, which the task does not allow "
           "(requirements.allow_peers)";
  }
  if (!need.node_type.empty() && node.type != need.node_type && node.type != "any") {
    return "type " + need.node_type;
  }
  if (!wants.region.empty() && node.region != wants.region) return "region " + wants.region;
  if (wants.gpu && !node.gpu) return "a GPU";
  if (node.cpu_cores < wants.cpu_cores) {
    return std::to_string(wants.cpu_cores) + " processor cores";
  }
  if (node.memory_mb < wants.memory_mb) return at_least("memory", wants.memory_mb, "MB");
  return {};
}

std::string lacking_measured(const PlaceableNode& node, const Need& need) {
  const Requirements& wants = need.requirements;
  if (node.health_permille < wants.health_min_permille) {
    return "health of at least " + std::to_string(wants.health_min_permille / 10) + " %";
  }
  if (node.bandwidth_kbps < wants.bandwidth_kbps_min) {
    return at_least("measured bandwidth", wants.bandwidth_kbps_min / 1000, "Mbps");
  }
  if (wants.latency_us_max != 0 && (!node.latency_us || *node.latency_us > wants.latency_us_max)) {
    return "a measured round trip of at most " + std::to_string(wants.latency_us_max / 1000) +
           " ms";
  }
  return {};
}

bool same_machine(const PlaceableNode& one, const PlaceableNode& other) {
  return one.region == other.region && one.type == other.type && one.gpu == other.gpu &&
         one.peer == other.peer && one.cpu_cores == other.cpu_cores &&
         one.memory_mb == other.memory_mb;
}

/// By health and free places.
std::uint32_t weight_of(const PlaceableNode& facts, std::uint32_t running, std::uint32_t places) {
  const std::uint64_t health = std::min(1'000U, facts.health_permille);
  const std::uint64_t weight = (1 + health) * 64 * (places - running) / places;
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, weight));
}

bool holds(const std::vector<NodeName>& names, const NodeName& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::string lacking(const PlaceableNode& node, const Need& need) {
  auto machine = lacking_machine(node, need);
  return machine.empty() ? lacking_measured(node, need) : machine;
}

Result<void> Scheduler::put_node(PlaceableNode facts) {
  auto found = by_name_.find(facts.name);
  if (found == by_name_.end()) {
    if (by_name_.size() >= limits_.nodes_max) {
      return fail(Code::busy, "the coordinator has as many nodes as it takes: " +
                                  std::to_string(limits_.nodes_max));
    }
    const std::size_t index = free_indexes_.back();
    free_indexes_.pop_back();
    nodes_[index] = std::make_unique<Node>();
    nodes_[index]->index = index;
    found = by_name_.emplace(facts.name, index).first;
    ++machines_;
  }
  Node& node = *nodes_[found->second];
  if (!same_machine(node.facts, facts)) ++machines_;
  node.facts = std::move(facts);
  refresh(node);
  return {};
}

void Scheduler::remove_node(const NodeName& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return;
  Node& node = *nodes_[found->second];
  node.facts.available = false;
  refresh(node);
  nodes_[found->second].reset();
  free_indexes_.push_back(found->second);
  by_name_.erase(found);
  ++machines_;
}

std::uint32_t Scheduler::running_on(const NodeName& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? 0 : nodes_[found->second]->running;
}

std::uint64_t Scheduler::order_key(const Node& node) const {
  const std::uint64_t load = node.running * 1'000ULL / std::max(1U, node.places());
  if (strategy_ == Strategy::least_loaded) return load;
  return node.facts.latency_us.value_or(kFarAway) / 1'000 * 1'024 + load;
}

/// After anything that placement looks at has changed.
void Scheduler::refresh(Node& node) {
  if (node.ordered) {
    order_.erase({node.key, node.index});
    node.ordered = false;
  }
  if (!node.free()) {
    weights_.set(node.index, 0);
    return;
  }
  weights_.set(node.index, weight_of(node.facts, node.running, node.places()));
  if (strategy_ == Strategy::least_loaded || strategy_ == Strategy::latency_aware) {
    node.key = order_key(node);
    node.ordered = order_.insert({node.key, node.index}).second;
  }
  for (auto& [key, of] : classes_) {
    const bool taken = of.need.alone && node.holds_alone;
    if (of.stuck && !taken && fits(node, of.need)) of.stuck = false;
  }
}

void Scheduler::set_strategy(Strategy strategy) {
  strategy_ = strategy;
  for (const auto& [name, index] : by_name_) refresh(*nodes_[index]);
}

Result<void> Scheduler::admit(const Need& need) {
  if (candidates(class_key(need), need).size() >= need.requirements.min_nodes) return {};
  std::size_t have = 0;
  std::map<std::string, std::size_t> missing;
  for (const auto& [name, index] : by_name_) {
    auto lacks = lacking_machine(nodes_[index]->facts, need);
    if (lacks.empty()) {
      ++have;
    } else {
      ++missing[std::move(lacks)];
    }
  }
  const std::size_t wanted = need.requirements.min_nodes;
  std::string message = "the task needs " + std::to_string(wanted) + " node(s) and " +
                        std::to_string(have) + " of " + std::to_string(by_name_.size()) +
                        " could run it";
  const auto most =
      std::ranges::max_element(missing, {}, [](const auto& entry) { return entry.second; });
  if (most != missing.end()) {
    message += "; " + std::to_string(most->second) + " lack " + most->first;
  }
  return fail(Code::unavailable, std::move(message),
              "register nodes that have it, or lower the task's requirements");
}

bool Scheduler::fits(const Node& node, const Need& need) {
  return lacking_machine(node.facts, need).empty() && lacking_measured(node.facts, need).empty();
}

const std::vector<std::size_t>& Scheduler::candidates(const std::string& key, const Need& need) {
  auto found = candidates_.find(key);
  if (found == candidates_.end()) {
    if (candidates_.size() >= kCandidateClassesMax) candidates_.clear();
    found = candidates_.try_emplace(key).first;
  }
  Candidates& out = found->second;
  if (out.machines == machines_) return out.nodes;
  out.machines = machines_;
  out.nodes.clear();
  for (const auto& [name, index] : by_name_) {
    if (lacking_machine(nodes_[index]->facts, need).empty()) out.nodes.push_back(index);
  }
  return out.nodes;
}

/// It needs another node for its quorum, and runs on, ran on, or was refuted on all that could.
bool Scheduler::nobody_left(const Waiting& task) {
  if (task.engaged.empty()) return false;  // nodes that could may register again
  if (task.finished + task.live.size() >= task.need.requirements.min_nodes) return false;
  const std::vector<std::size_t>& possible = candidates(task.class_key, task.need);
  return possible.size() <= task.engaged.size() &&
         std::ranges::all_of(possible, [&](std::size_t index) {
           return holds(task.engaged, nodes_[index]->facts.name);
         });
}

bool Scheduler::untried(const Node& node, const Waiting& task) const {
  return !holds(task.failed_on, node.facts.name);
}

bool Scheduler::eligible(const Node& node, const Waiting& task, bool again) const {
  return node.free() && !(task.need.alone && node.holds_alone) &&
         !holds(task.engaged, node.facts.name) && (again || untried(node, task)) &&
         fits(node, task.need);
}

std::optional<std::size_t> Scheduler::choose(const Waiting& task, bool again) {
  switch (strategy_) {
    case Strategy::weighted:
      return choose_weighted(task, again);
    case Strategy::round_robin:
      return choose_next(task, again);
    case Strategy::least_loaded:
    case Strategy::latency_aware:
      return choose_ordered(task, again);
  }
  return std::nullopt;
}

std::optional<std::size_t> Scheduler::choose_weighted(const Waiting& task, bool again) {
  for (int pick = 0; pick < kPicksMax && weights_.total() != 0; ++pick) {
    const std::size_t index = weights_.find(random_.below(weights_.total()));
    if (eligible(*nodes_[index], task, again)) return index;
  }
  const std::vector<std::size_t>& possible = candidates(task.class_key, task.need);
  for (int pick = 0; pick < kCandidatePicksMax && !possible.empty(); ++pick) {
    const std::size_t index = possible[random_.below(possible.size())];
    const Node& node = *nodes_[index];
    if (!eligible(node, task, again)) continue;
    if (random_.below(kWeightMax) < weight_of(node.facts, node.running, node.places())) {
      return index;
    }
  }
  // Few are free: one pass, each kept with the probability its weight has in the sum so far.
  std::optional<std::size_t> chosen;
  std::uint64_t sum = 0;
  for (const std::size_t index : possible) {
    const Node& node = *nodes_[index];
    if (!eligible(node, task, again)) continue;
    const std::uint64_t weight = 1ULL + node.facts.health_permille;
    sum += weight;
    if (random_.below(sum) < weight) chosen = index;
  }
  return chosen;
}

std::optional<std::size_t> Scheduler::choose_next(const Waiting& task, bool again) {
  auto at = by_name_.upper_bound(last_chosen_);
  for (std::size_t looked = 0; looked < by_name_.size(); ++looked, ++at) {
    if (at == by_name_.end()) at = by_name_.begin();
    if (eligible(*nodes_[at->second], task, again)) {
      last_chosen_ = at->first;
      return at->second;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> Scheduler::choose_ordered(const Waiting& task, bool again) const {
  for (const auto& [key, index] : order_) {
    if (eligible(*nodes_[index], task, again)) return index;
  }
  return std::nullopt;
}

}  // namespace phase::vcp
