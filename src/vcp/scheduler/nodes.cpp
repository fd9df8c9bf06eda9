// Nodes: who could run a task, and which of them does.
#include <algorithm>

#include "base/check.h"
#include "vcp/scheduler/records_internal.h"

namespace phase::vcp {
namespace {

/// Weighted picks that are tried before all nodes are looked at.
constexpr int kPicksMax = 8;
constexpr std::uint64_t kFarAway = 1'000'000'000;  // latency of a node that was never measured, us

std::string at_least(std::string_view what, std::uint64_t amount, std::string_view unit) {
  return std::string(what) + " of at least " + std::to_string(amount) + " " + std::string(unit);
}

/// What hardware cannot change; then what was measured.
std::string lacking_machine(const PlaceableNode& node, const Need& need) {
  const Requirements& wants = need.requirements;
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
  }
  Node& node = *nodes_[found->second];
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
  const std::uint32_t spare = node.places() - node.running;
  const std::uint64_t weight = (1ULL + node.facts.health_permille) * 64 * spare / node.places();
  weights_.set(node.index, static_cast<std::uint32_t>(std::max<std::uint64_t>(1, weight)));
  if (strategy_ == Strategy::least_loaded || strategy_ == Strategy::latency_aware) {
    node.key = order_key(node);
    node.ordered = order_.insert({node.key, node.index}).second;
  }
}

void Scheduler::set_strategy(Strategy strategy) {
  strategy_ = strategy;
  for (const auto& [name, index] : by_name_) refresh(*nodes_[index]);
}

Result<void> Scheduler::admit(const Need& need) const {
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
  if (have >= wanted) return {};
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

bool Scheduler::fits(const Node& node, const Waiting& task) const {
  return lacking_machine(node.facts, task.need).empty() &&
         lacking_measured(node.facts, task.need).empty();
}

bool Scheduler::untried(const Node& node, const Waiting& task) const {
  return !holds(task.failed_on, node.facts.name);
}

bool Scheduler::eligible(const Node& node, const Waiting& task, bool again) const {
  return node.free() && !holds(task.engaged, node.facts.name) && (again || untried(node, task)) &&
         fits(node, task);
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
  // Few fit: one pass, each kept with the probability its weight has in the sum so far.
  std::optional<std::size_t> chosen;
  std::uint64_t sum = 0;
  for (const auto& [name, index] : by_name_) {
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
