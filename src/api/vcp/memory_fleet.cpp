#include "api/vcp/memory_fleet.h"

#include <algorithm>
#include <charconv>

namespace phase::vcp::api {
namespace {

constexpr Duration kStep = 2ms;
constexpr Credits kGrant = 1'000;

/// A page of what is listed; the cursor is how many were shown.
template <typename Item>
Result<PageOf<Item>> page_of(const std::vector<Item>& all, const Page& page) {
  std::size_t from = 0;
  if (!page.after.empty()) {
    const char* end = page.after.data() + page.after.size();
    const auto [at, error] = std::from_chars(page.after.data(), end, from);
    if (error != std::errc{} || at != end || from > all.size()) {
      return fail(Code::invalid_argument, "after: this is no cursor of ours");
    }
  }
  const std::size_t to = std::min(all.size(), from + page.limit);
  PageOf<Item> out;
  out.items.assign(all.begin() + static_cast<std::ptrdiff_t>(from),
                   all.begin() + static_cast<std::ptrdiff_t>(to));
  out.next = to < all.size() ? std::to_string(to) : std::string{};
  return out;
}

}  // namespace

void MemoryFleet::say(std::string name, const UserId& owner, const TaskId& task, std::string json) {
  events_.push_back({events_.size() + 1, std::move(name), owner, task, std::move(json)});
}

Result<TaskView*> MemoryFleet::find(const TaskId& id, const std::optional<UserId>& by) {
  for (TaskView& task : tasks_) {
    if (task.spec.id == id && (!by || *by == task.spec.owner)) {
      return &task;
    }
  }
  return fail(Code::not_found, "there is no such task");
}

void MemoryFleet::finish(const TaskId& id, std::string result_json) {
  TaskView& task = **find(id, std::nullopt);
  task.state = TaskState::completed;
  task.stage = "done";
  task.result_json = std::move(result_json);
  say("task", task.spec.owner, id, R"({"status":"completed"})");
}

void MemoryFleet::add_output(const TaskId& id, std::string json) {
  say("output", (*find(id, std::nullopt))->spec.owner, id, std::move(json));
}

Task<Result<Fleet::Registered>> MemoryFleet::register_node(NodeRegistration registration,
                                                           UserId owner) {
  for (const NodeView& node : nodes_) {
    if (node.registration.name == registration.name) {
      co_return fail(Code::already_exists, "this node is registered already");
    }
  }
  NodeView node;
  node.registration = std::move(registration);
  node.owner = std::move(owner);
  node.status = "offline";
  node.registered = node.last_seen = clock_.now_utc();
  node.health.bandwidth = {std::nullopt, "Mbps", 0, "unknown: not measured yet", std::nullopt};
  nodes_.push_back(node);
  say("node", {}, {}, R"({"node_id":")" + node.registration.name + R"("})");
  co_return Registered{std::move(node), "jt_" + random_.uuid()};
}

Task<Result<NodeView>> MemoryFleet::change_node(NodeName name, NodeChange change,
                                                std::optional<UserId> by) {
  for (NodeView& node : nodes_) {
    if (node.registration.name != name || (by && *by != node.owner)) continue;
    node.cordoned = change == NodeChange::cordon || change == NodeChange::drain ||
                    (node.cordoned && change != NodeChange::uncordon);
    node.draining = change == NodeChange::drain;
    node.status = change == NodeChange::reject ? "rejected" : node.status;
    NodeView out = node;
    if (change == NodeChange::remove) {
      std::erase_if(nodes_, [&name](const NodeView& one) { return one.registration.name == name; });
    }
    co_return out;
  }
  co_return fail(Code::not_found, "there is no such node");
}

Task<Result<NodeView>> MemoryFleet::node(NodeName name) {
  for (const NodeView& node : nodes_) {
    if (node.registration.name == name) co_return node;
  }
  co_return fail(Code::not_found, "there is no such node");
}

Task<Result<PageOf<NodeView>>> MemoryFleet::nodes(NodeFilter filter, Page page) {
  std::vector<NodeView> found;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    const NodeRegistration& said = node->registration;
    if ((filter.status.empty() || filter.status == node->status) &&
        (filter.region.empty() || filter.region == said.region) &&
        (filter.type.empty() || filter.type == said.type)) {
      found.push_back(*node);
    }
  }
  co_return page_of(found, page);
}

std::vector<NodeActivity> MemoryFleet::activity(const NodeName& name) const {
  for (const NodeView& node : nodes_) {
    if (node.registration.name != name) continue;
    return {{clock_.now_utc(), "gone", "said bye"}, {node.registered, "joined", {}}};
  }
  return {};
}

Task<Result<job::ArtifactRef>> MemoryFleet::keep_module(Bytes module, UserId) {
  co_return job::reference(module);
}

Task<Result<TaskView>> MemoryFleet::submit(Submission submission, UserId owner) {
  if (refusal) {
    co_return fail(*std::exchange(refusal, std::nullopt));
  }
  if (!submission.id.empty()) {
    const auto before = find(submission.id, owner);
    if (before) co_return **before;
  }
  ++submissions;
  TaskView task;
  task.spec.id = submission.id.empty() ? random_.uuid() : submission.id;
  task.spec.owner = owner;
  task.spec.type = submission.type;
  task.spec.requirements = submission.requirements;
  task.spec.submitted = task.updated = clock_.now_utc();
  task.stage = "waiting for nodes";
  task.reason = "no node is online";
  task.escrowed = submission.bid.value_or(10);
  last_submission = std::move(submission);
  last_owner = owner;
  tasks_.push_front(task);
  say("task", owner, task.spec.id, R"({"status":"pending"})");
  co_return task;
}

Task<Result<TaskView>> MemoryFleet::cancel(TaskId id, std::optional<UserId> by) {
  auto task = find(id, by);
  PHASE_CO_TRY_VOID(task);
  (*task)->state = TaskState::cancelled;
  say("task", (*task)->spec.owner, id, R"({"status":"cancelled"})");
  co_return **task;
}

Task<Result<TaskView>> MemoryFleet::task(TaskId id, std::optional<UserId> by) {
  auto task = find(id, by);
  PHASE_CO_TRY_VOID(task);
  co_return **task;
}

Task<Result<PageOf<TaskView>>> MemoryFleet::tasks(TaskFilter filter, Page page) {
  std::vector<TaskView> found;
  for (const TaskView& task : tasks_) {
    if ((!filter.owner || *filter.owner == task.spec.owner) &&
        (!filter.state || *filter.state == task.state) &&
        (!filter.type || *filter.type == task.spec.type)) {
      found.push_back(task);
    }
  }
  co_return page_of(found, page);
}

Task<Result<std::vector<RunReceipt>>> MemoryFleet::receipts(TaskId id, std::optional<UserId> by) {
  auto task = find(id, by);
  PHASE_CO_TRY_VOID(task);
  co_return std::vector<RunReceipt>{{"n1", to_bytes("manifest"), to_bytes("receipt"), "verified"}};
}

// ── Sessions ──

Task<Result<StartedSession>> MemoryFleet::start_session(TaskId id, Tunnel tunnel, UserId by) {
  auto task = find(id, by);
  PHASE_CO_TRY_VOID(task);
  StartedSession out;
  out.token = "cs_" + random_.letters_and_digits(64);
  ConnectSession& session = out.view.session;
  session.id = random_.uuid();
  session.task = std::move(id);
  session.node = "n-1";
  session.requester = std::move(by);
  session.tunnel = tunnel;
  session.token = sha256(as_bytes(out.token));
  session.created = session.heard = session.expires = clock_.now_utc();
  out.view.internet_active = true;
  sessions_.push_back(session);
  co_return out;
}

Task<Result<SessionView>> MemoryFleet::ask_session(std::string id, SessionAsk ask, UserId by) {
  for (ConnectSession& session : sessions_) {
    if (session.id != id || session.requester != by) continue;
    if (ask == SessionAsk::stop) {
      session.state = SessionState::ended;
      session.ended = clock_.now_utc();
      session.reason = "stopped";
    }
    SessionView out{session, session.state == SessionState::active, {}};
    co_return out;
  }
  co_return fail(Code::not_found, "there is no such session");
}

Task<Result<std::vector<GatewaySession>>> MemoryFleet::gateway_sessions(NodeName name,
                                                                        std::optional<UserId> by,
                                                                        std::string) {
  for (const NodeView& node : nodes_) {
    if (node.registration.name != name || (by && *by != node.owner)) continue;
    std::vector<GatewaySession> out;
    for (const ConnectSession& session : sessions_) out.push_back({session, {"example.org"}});
    co_return out;
  }
  co_return fail(Code::not_found, "there is no such node");
}

Task<Result<DestinationPolicy>> MemoryFleet::put_policy(DestinationPolicy policy) {
  std::erase_if(policies_, [&policy](const DestinationPolicy& one) {
    return one.owner == policy.owner && one.id == policy.id;
  });
  policy.updated = clock_.now_utc();
  policies_.push_back(policy);
  co_return policy;
}

Task<Result<DestinationPolicy>> MemoryFleet::policy(std::string id, UserId owner) {
  for (const DestinationPolicy& policy : policies_) {
    if (policy.owner == owner && policy.id == id) co_return policy;
  }
  co_return fail(Code::not_found, "there is no such policy");
}

Task<Result<DestinationPolicy>> MemoryFleet::remove_policy(std::string id, UserId owner) {
  for (auto at = policies_.begin(); at != policies_.end(); ++at) {
    if (at->owner != owner || at->id != id) continue;
    DestinationPolicy out = *at;
    policies_.erase(at);
    co_return out;
  }
  co_return fail(Code::not_found, "there is no such policy");
}

Task<Result<PageOf<DestinationPolicy>>> MemoryFleet::policies(UserId owner, Page page) {
  std::vector<DestinationPolicy> found;
  for (const DestinationPolicy& policy : policies_) {
    if (policy.owner == owner) found.push_back(policy);
  }
  co_return page_of(found, page);
}

ClusterStats MemoryFleet::stats() const {
  ClusterStats out;
  out.total_nodes = nodes_.size();
  out.total_tasks = tasks_.size();
  out.strategy = strategy_;
  return out;
}

std::vector<SeriesPoint> MemoryFleet::series() const {
  return {{clock_.now_utc(), nodes_.size(), 0, 0, 0, 0, 0, 0}};
}

MeshAddress MemoryFleet::mesh() const {
  return {"12D3KooWTest", {"/ip4/127.0.0.1/udp/4001/quic-v1"}};
}

Result<void> MemoryFleet::set_strategy(std::string_view name) {
  strategy_ = name;
  return {};
}

Task<Result<void>> MemoryFleet::grant(UserId user) {
  const std::string account = "user:" + user;
  if (!balances_.contains(account)) {
    balances_[account] = kGrant;
    entries_.push_back(
        {entries_.size() + 1, clock_.now_utc(), "grant", "mint", account, kGrant, "", "", ""});
  }
  co_return Result<void>{};
}

Task<Result<Credits>> MemoryFleet::balance(std::string account) {
  const auto found = balances_.find(account);
  co_return found == balances_.end() ? 0 : found->second;
}

Task<Result<PageOf<LedgerEntry>>> MemoryFleet::ledger(std::string account, Page page) {
  std::vector<LedgerEntry> found;
  for (const LedgerEntry& entry : entries_) {
    if (account.empty() || entry.from == account || entry.to == account) found.push_back(entry);
  }
  co_return page_of(found, page);
}

std::vector<FleetEvent> MemoryFleet::events_after(std::uint64_t id) const {
  if (id >= events_.size()) return {};
  return {events_.begin() + static_cast<std::ptrdiff_t>(id), events_.end()};
}

Task<void> MemoryFleet::wait_events(std::uint64_t id, Deadline deadline) {
  while (events_.size() <= id && clock_.now() < deadline.at) {
    const auto slept = co_await clock_.sleep_for(kStep);
    if (!slept) co_return;
  }
}

}  // namespace phase::vcp::api
