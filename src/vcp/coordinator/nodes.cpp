// Nodes: registered, changed, seen by placement and by people.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <locale>
#include <sstream>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

bool is_name(std::string_view text, std::size_t bytes_max) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return !text.empty() && text.size() <= bytes_max && std::ranges::all_of(text, fits);
}

TermView term_view(const HealthTerm& term, std::string unit) {
  TermView out;
  out.value = term.value;
  out.unit = std::move(unit);
  out.score = term.score;
  out.evidence = evidence_text(term.evidence);
  if (term.age) {
    out.age_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(*term.age).count());
  }
  return out;
}

template <typename Value>
std::optional<double> thousandths(const std::optional<Value>& value) {
  if (!value) return std::nullopt;
  return static_cast<double>(*value) / 1000.0;
}

}  // namespace

std::string reputation_text(const Reputation& reputation) {
  char text[160];
  std::snprintf(text, sizeof text, "%.17g %.17g %.17g %" PRIu64, reputation.successes,
                reputation.failures, reputation.disputes, reputation.at.unix_ms);
  return text;
}

Reputation reputation_of(const std::string& text) {
  Reputation out;
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  in >> out.successes >> out.failures >> out.disputes >> out.at.unix_ms;
  return in ? out : Reputation{};
}

void Coordinator::State::keep(FleetNode& node, Batch& batch) {
  if (node.peer) return;
  node.row.record = reputation_text(node.health.reputation());
  batch.nodes.push_back(node.row);
}

FleetNode* Coordinator::State::find_node(const NodeName& name) {
  const auto found = nodes.find(name);
  return found == nodes.end() ? nullptr : found->second.get();
}

Result<Entry> Coordinator::State::take_credits(Transfer transfer) {
  auto entry = book.apply(std::move(transfer), world.clock.now_utc());
  if (entry) return entry;
  Error error = std::move(entry).error();
  if (error.code == Code::busy) error.code = Code::rejected;  // waiting does not help
  error.hint = "GET /api/v1/credits shows what there is";
  return fail(std::move(error));
}

Result<std::string> Coordinator::State::add_node(NodeRegistration registration,
                                                 const UserId& owner) {
  if (!is_name(registration.name, kNodeNameBytesMax)) {
    return fail(Code::invalid_argument, "a node id has 1 to 64 of a-z, A-Z, 0-9, - and _");
  }
  FleetNode* known = find_node(registration.name);
  const bool again = known != nullptr && !known->peer && known->row.owner == owner &&
                     (known->row.removed || !known->row.key);
  if (known != nullptr && !again) {
    return fail(Code::already_exists, "node " + registration.name + " is registered already",
                "choose another node id, or remove that node first");
  }
  Batch batch;
  const std::string bond = bond_account(registration.name);
  if (options.bond > book.balance(bond)) {
    PHASE_TRY(Entry entry, take_credits({TransferKind::bond, user_account(owner), bond,
                                         options.bond - book.balance(bond), registration.name}));
    batch.entries.push_back(std::move(entry));
  }
  if (known == nullptr) {
    auto made = std::make_unique<FleetNode>(options.health);
    known = made.get();
    nodes.emplace(registration.name, std::move(made));
  }
  const std::string token = "jt_" + to_hex(world.random.array<24>());
  NodeRow row;
  row.name = registration.name;
  row.owner = owner;
  row.region = registration.region;
  row.type = registration.type;
  row.bandwidth_mbps = registration.bandwidth_mbps;
  row.cpu_cores = known->cores = registration.cpu_cores;
  row.memory_mb = known->memory_mb = registration.memory_mb;
  row.gpu = known->gpu = registration.gpu;
  row.observability_port = registration.observability_port;
  row.join_token_hash = sha256(as_bytes(token));
  row.registered = row.last_seen = world.clock.now_utc();
  row.disputes = known->row.disputes;  // a name does not shed what it did
  row.completed = known->row.completed;
  row.failed = known->row.failed;
  known->row = row;
  batch.nodes.push_back(std::move(row));
  append(std::move(batch));
  refresh(*known);
  tell_node(*known);
  return token;
}

Result<FleetNode*> Coordinator::State::owned(const NodeName& name,
                                             const std::optional<UserId>& by) {
  FleetNode* node = find_node(name);
  if (node == nullptr || node->row.removed || (by && node->row.owner != *by)) {
    return fail(Code::not_found, "no node " + name);
  }
  return node;
}

Result<void> Coordinator::State::change(FleetNode& node, NodeChange change) {
  if (node.peer) return change_peer(node, change);
  Batch batch;
  NodeRow& row = node.row;
  std::optional<ByeReason> bye;
  switch (change) {
    case NodeChange::remove: {
      row.removed = true;
      row.key.reset();
      const Credits bond = book.balance(bond_account(row.name));
      if (bond > 0) {
        PHASE_TRY(Entry entry, book.apply({TransferKind::unbond, bond_account(row.name),
                                           user_account(row.owner), bond, row.name},
                                          world.clock.now_utc()));
        batch.entries.push_back(std::move(entry));
      }
      bye = ByeReason::removed;
      break;
    }
    case NodeChange::reject:
      row.rejected = true;
      bye = ByeReason::rejected;
      break;
    case NodeChange::cordon:
    case NodeChange::drain:
      row.cordoned = true;
      break;
    case NodeChange::uncordon: {
      const Credits bond = book.balance(bond_account(row.name));
      if (bond < options.bond) {
        PHASE_TRY(Entry entry,
                  take_credits({TransferKind::bond, user_account(row.owner), bond_account(row.name),
                                options.bond - bond, row.name}));
        batch.entries.push_back(std::move(entry));
      }
      row.cordoned = false;
      break;
    }
  }
  batch.nodes.push_back(row);
  append(std::move(batch));
  if (change == NodeChange::drain) give_up_runs(node);
  refresh(node);
  tell_node(node);
  if (bye && dismiss) dismiss(row.name, *bye);
  if (bye) sweep_connections();
  pump();
  return {};
}

/// What runs there is placed elsewhere; what was done is not lost, only done again.
void Coordinator::State::give_up_runs(FleetNode& node) {
  const std::set<RunId> live = node.runs;
  for (const RunId id : live) {
    const auto found = runs.find(id);
    if (found == runs.end() || found->second->result) continue;
    found->second->cancel.request();
    fail_run(*found->second, "its node was drained", RunEnd::no_fault);
  }
}

/// By an administrator: nobody owns a peer.
Result<void> Coordinator::State::change_peer(FleetNode& node, NodeChange change) {
  switch (change) {
    case NodeChange::remove:
      return fail(Code::invalid_argument, node.row.name + " is a peer that nobody registered",
                  "reject it, and it is not asked again");
    case NodeChange::reject:
      dismiss_peer(node, "rejected by an administrator");
      break;
    case NodeChange::cordon:
    case NodeChange::drain:
      node.row.cordoned = true;
      break;
    case NodeChange::uncordon:
      node.row.cordoned = false;
      break;
  }
  if (change == NodeChange::drain) give_up_runs(node);
  refresh(node);
  tell_node(node);
  pump();
  return {};
}

bool Coordinator::State::placeable(FleetNode& node) {
  return node.online && !node.suspect && !node.draining && !node.row.cordoned &&
         !node.row.rejected && !node.row.removed &&
         node.health.leave(world.clock.now()) != Leave::none &&
         (node.peer || book.balance(bond_account(node.row.name)) >= options.bond);
}

void Coordinator::State::note(FleetNode& node, std::string event, std::string detail, TaskId task,
                              std::string session) const {
  node.activity.push_front({world.clock.now_utc(), std::move(event), std::move(detail),
                            std::move(task), std::move(session)});
  if (node.activity.size() > kActivityKept) node.activity.pop_back();
}

void Coordinator::State::note_breakers(FleetNode& node) const {
  const auto reports = node.health.breakers(world.clock.now());
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].state == node.breakers[i]) continue;
    node.breakers[i] = reports[i].state;
    note(node, "breaker_" + std::string(breaker_state_name(reports[i].state)),
         std::string(reports[i].name) + ": " + reports[i].detail);
  }
}

void Coordinator::State::refresh(FleetNode& node) {
  note_breakers(node);
  // A peer that is gone may never come again: no task is admitted for its sake.
  if (node.row.removed || node.row.rejected || (node.peer && !node.online)) {
    scheduler.remove_node(node.row.name);
    return;
  }
  const Instant now = world.clock.now();
  const HealthScore score = node.health.score(now, world.clock.now_utc());
  PlaceableNode facts;
  facts.name = node.row.name;
  facts.available = placeable(node);
  facts.probing = node.health.leave(now) == Leave::one;
  facts.region = node.row.region;
  facts.type = node.row.type;
  facts.cpu_cores = node.cores;
  facts.memory_mb = node.memory_mb;
  facts.gpu = node.gpu;
  facts.peer = node.peer;
  facts.health_permille = static_cast<std::uint32_t>(score.total * 1000);
  if (score.bandwidth.value) {
    facts.bandwidth_kbps = static_cast<std::uint64_t>(*score.bandwidth.value * 1000);
  }
  if (score.latency.value) {
    facts.latency_us = static_cast<std::uint64_t>(*score.latency.value * 1000);
  }
  facts.slots = std::clamp(node.slots, 1U, options.runs_per_node_max);
  const auto put = scheduler.put_node(std::move(facts));
  if (!put) world.log.warn("node {} cannot be placed on: {}", node.row.name, put.error().text());
}

NodeView Coordinator::State::view(FleetNode& node) {
  const NodeRow& row = node.row;
  const Instant now = world.clock.now();
  NodeView out;
  out.registration = {row.name,   row.region,     row.type, row.bandwidth_mbps,
                      node.cores, node.memory_mb, node.gpu, row.observability_port};
  out.owner = row.owner;
  out.status = row.rejected ? "rejected" : node.online ? "online" : "offline";
  out.cordoned = row.cordoned;
  out.draining = node.draining;
  if (row.key) out.public_key = row.key->hex();
  out.registered = row.registered;
  out.last_seen = node.online ? world.clock.now_utc() : row.last_seen;
  const HealthScore score = node.health.score(now, world.clock.now_utc());
  NodeHealthView& health = out.health;
  health.score = score.total * 100;
  health.bandwidth = term_view(score.bandwidth, "Mbps");
  health.latency = term_view(score.latency, "ms");
  health.compute = term_view(score.compute, "% in use");
  health.reputation = term_view(score.reputation, "");
  for (const BreakerReport& report : node.health.breakers(now)) {
    health.breakers.push_back(
        {std::string(report.name), std::string(breaker_state_name(report.state)), report.detail});
  }
  if (const Telemetry* said = node.health.telemetry(now)) {
    health.cpu_percent = thousandths(said->cpu_millipercent);
    health.memory_percent = thousandths(said->memory_millipercent);
    health.temperature_c = thousandths(said->temperature_millicelsius);
    health.power_watts = thousandths(said->power_milliwatts);
    health.gpu_percent = thousandths(said->gpu_millipercent);
    health.energy_joules = thousandths(said->energy_millijoules);
  }
  std::set<TaskId> running;
  for (const RunId id : node.runs) {
    const auto found = runs.find(id);
    if (found != runs.end() && !found->second->result) running.insert(found->second->row.task);
    const ConnectSession* session = session_on(id);
    if (session != nullptr && internet_active(*session)) out.internet_active = true;
  }
  out.tasks.assign(running.begin(), running.end());
  out.completed = row.completed;
  out.failed = row.failed;
  out.disputes = row.disputes;
  out.bond = book.balance(bond_account(row.name));
  out.earned = book.balance(node_account(row.name));
  return out;
}

}  // namespace phase::vcp
