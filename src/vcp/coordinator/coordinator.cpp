#include "vcp/coordinator/coordinator.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

constexpr double kHealthyScore = 70;

LedgerEntry entry_view(const Entry& entry) {
  const Transfer& moved = entry.transfer;
  return {entry.sequence,
          entry.at,
          std::string(transfer_kind_name(moved.kind)),
          moved.from,
          moved.to,
          moved.amount,
          moved.reference,
          entry.previous.hex(),
          entry.hash.hex()};
}

Result<std::uint64_t> cursor_number(const std::string& cursor) {
  if (cursor.empty()) return 0;
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), out);
  if (error != std::errc() || end != cursor.data() + cursor.size()) {
    return fail(Code::invalid_argument, "\"after\" is no cursor of an earlier answer");
  }
  return out;
}

std::size_t bounded(std::size_t limit) {
  return std::clamp<std::size_t>(limit, 1, kPageMax);
}

}  // namespace

Coordinator::State::State(World with, CoordinatorOptions chosen)
    : world(with),
      options(std::move(chosen)),
      scheduler(with.random, options.scheduler, options.strategy),
      heard(with.clock, with.executor),
      idle(with.clock, with.executor),
      to_publish(with.executor),
      alarm(with.clock, with.executor),
      connect_alarm(with.clock, with.executor) {}

Coordinator::Coordinator(std::shared_ptr<State> state) : state_(std::move(state)) {}

Coordinator::~Coordinator() {
  state_->close();
}

/// A task that was not final when the journal was read.
Result<void> Coordinator::State::take_up(TaskRow row, const Loaded& loaded, Batch& batch) {
  const Instant now = world.clock.now();
  const UtcTime utc = world.clock.now_utc();
  auto live = std::make_unique<LiveTask>();
  live->row = std::move(row);
  live->row.state = TaskState::pending;
  live->spec = std::make_shared<const Spec>(live->row.spec);
  std::optional<RunRow> goes_on;
  for (RunRow run : loaded.runs) {
    if (run.task != live->spec->id) continue;
    live->attempt_base = std::max(live->attempt_base, run.attempt);
    if (!run.ended && live->spec->connect && find_node(run.node) != nullptr) {
      goes_on = std::move(run);
      continue;
    }
    if (!run.ended) {
      run.state = RunState::failed;
      run.reason = "the coordinator began anew";
      run.ended = utc;
      batch.runs.push_back(run);
    }
    live->history.push_back(std::move(run));
  }
  std::optional<Instant> deadline;
  if (const auto& until = live->spec->requirements.deadline) {
    const std::uint64_t left = until->unix_ms > utc.unix_ms ? until->unix_ms - utc.unix_ms : 0;
    deadline = now + std::chrono::milliseconds(left);
  }
  const TaskId id = live->spec->id;
  LiveTask& task = *live;
  tasks.emplace(id, std::move(live));
  PHASE_TRY_VOID(scheduler.add(id, need_of(*task.spec, options), now, deadline));
  if (task.spec->connect) take_up(task, loaded.sessions, goes_on, batch);
  return {};
}

Task<Result<std::unique_ptr<Coordinator>>> Coordinator::open(World world,
                                                             CoordinatorOptions options) {
  auto loaded = co_await world.journal.load();
  if (!loaded) co_return fail(std::move(loaded).error());
  auto state = std::make_shared<State>(world, std::move(options));
  state->book = std::move(loaded->book);
  state->completed = loaded->completed;
  state->failed = loaded->failed;
  state->cancelled = loaded->cancelled;
  for (NodeRow& row : loaded->nodes) {
    auto node = std::make_unique<FleetNode>(state->options.health, reputation_of(row.record));
    node->away_since = world.clock.now();
    node->cores = row.cpu_cores;
    node->memory_mb = row.memory_mb;
    node->gpu = row.gpu;
    node->row = std::move(row);
    FleetNode& kept = *node;
    state->nodes.emplace(kept.row.name, std::move(node));
    state->refresh(kept);
  }
  std::unique_ptr<Coordinator> out(new Coordinator(state));
  Batch batch;
  state->take_up(std::move(loaded->policies));
  for (TaskRow& row : loaded->tasks) {
    PHASE_CO_TRY_VOID(state->take_up(std::move(row), *loaded, batch));
  }
  state->append(std::move(batch));
  asio::co_spawn(world.executor, State::publish(state), asio::detached);
  asio::co_spawn(world.executor, State::tick(state), asio::detached);
  asio::co_spawn(world.executor, State::sweep_modules(state), asio::detached);
  state->pump();
  co_return out;
}

SessionSink& Coordinator::sink() noexcept {
  return *state_;
}

PeerSink& Coordinator::peers() noexcept {
  return *state_;
}

void Coordinator::on_dismiss(std::function<void(const NodeName&, ByeReason)> dismiss) {
  state_->dismiss = std::move(dismiss);
}

void Coordinator::on_mesh_address(std::function<MeshAddress()> address) {
  state_->address = std::move(address);
}

void Coordinator::on_broken(std::function<void(const Error&)> broken) {
  state_->tell_broken = std::move(broken);
}

Task<void> Coordinator::drain(Deadline deadline) {
  const auto state = state_;
  state->leaving = true;
  const auto works = [&state] {  // sessions go on without a coordinator
    return std::ranges::any_of(state->runs,
                               [](const auto& entry) { return !entry.second->task->connection; });
  };
  while (works() && state->world.clock.now() < deadline.at) {
    static_cast<void>(co_await state->idle.wait(deadline));
  }
  static_cast<void>(co_await state->world.journal.settled());
}

Task<Result<Fleet::Registered>> Coordinator::register_node(NodeRegistration registration,
                                                           UserId owner) {
  const auto state = state_;
  const NodeName name = registration.name;
  PHASE_CO_TRY(std::string token, state->add_node(std::move(registration), owner));
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  FleetNode* node = state->find_node(name);
  if (node == nullptr) co_return fail(Code::not_found, "no node " + name);
  Registered out{state->view(*node), std::move(token)};
  co_return out;
}

Task<Result<NodeView>> Coordinator::change_node(NodeName name, NodeChange change,
                                                std::optional<UserId> by) {
  const auto state = state_;
  PHASE_CO_TRY(FleetNode * node, state->owned(name, by));
  PHASE_CO_TRY_VOID(state->change(*node, change));
  NodeView out = state->view(*node);
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<NodeView>> Coordinator::node(NodeName name) {
  const auto state = state_;
  PHASE_CO_TRY(FleetNode * node, state->owned(name, std::nullopt));
  NodeView out = state->view(*node);
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<PageOf<NodeView>>> Coordinator::nodes(NodeFilter filter, Page page) {
  const auto state = state_;
  PageOf<NodeView> out;
  const std::size_t limit = bounded(page.limit);
  for (auto at = state->nodes.upper_bound(page.after); at != state->nodes.end(); ++at) {
    FleetNode& node = *at->second;
    if (node.row.removed) continue;
    const bool wanted = (!filter.owner || *filter.owner == node.row.owner) &&
                        (filter.region.empty() || filter.region == node.row.region) &&
                        (filter.type.empty() || filter.type == node.row.type);
    if (!wanted) continue;
    NodeView view = state->view(node);
    // Rejected nodes are shown to those who ask for them only.
    const bool status =
        filter.status.empty() ? view.status != "rejected" : view.status == filter.status;
    if (!status) continue;
    if (out.items.size() == limit) {
      out.next = out.items.back().registration.name;
      break;
    }
    out.items.push_back(std::move(view));
  }
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

std::vector<NodeActivity> Coordinator::activity(const NodeName& name) const {
  const FleetNode* const node = state_->find_node(name);
  if (node == nullptr || node->row.removed) return {};
  return {node->activity.begin(), node->activity.end()};
}

Task<Result<job::ArtifactRef>> Coordinator::keep_module(Bytes module, UserId) {
  const auto state = state_;
  if (module.size() > job::kModuleBytesMax) {
    co_return fail(Code::too_large, "the module is longer than 50 MiB");
  }
  auto bytes = std::make_shared<const Bytes>(std::move(module));
  const job::ArtifactRef ref = job::reference(*bytes);
  const UtcTime now = state->world.clock.now_utc();
  auto kept = co_await state->world.modules.keep(ref.sha256, bytes, now);
  if (!kept) co_return fail(std::move(kept).error());
  co_return ref;
}

Task<Result<TaskView>> Coordinator::submit(Submission submission, UserId owner) {
  const auto state = state_;
  if (!submission.id.empty()) {
    // Said twice: the same task, if it is this owner's.
    auto before = co_await task(submission.id, std::nullopt);
    if (before && before->spec.owner == owner) co_return before;
    if (before) co_return fail(Code::already_exists, "another task has this id");
    if (before.error().code != Code::not_found) co_return before;
  }
  auto spec = co_await state->make_spec(std::move(submission), std::move(owner));
  if (!spec) co_return fail(std::move(spec).error());
  const TaskId id = spec->id;
  PHASE_CO_TRY_VOID(state->accept(*std::move(spec), nullptr));
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  auto out = co_await task(id, std::nullopt);
  co_return out;
}

Task<Result<TaskView>> Coordinator::cancel(TaskId id, std::optional<UserId> by) {
  const auto state = state_;
  LiveTask* live = state->find_task(id);
  if (live != nullptr && (!by || live->spec->owner == *by)) {
    state->finish(*live, TaskState::cancelled, "cancelled by its owner");
    state->pump();
  }
  auto out = co_await task(id, by);
  co_return out;
}

Task<Result<TaskView>> Coordinator::task(TaskId id, std::optional<UserId> by) {
  const auto state = state_;
  if (LiveTask* live = state->find_task(id); live != nullptr && (!by || live->spec->owner == *by)) {
    TaskView out = state->view(*live);
    auto settled = co_await state->world.journal.settled();
    if (!settled) co_return fail(std::move(settled).error());
    co_return out;
  }
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  auto row = co_await state->world.journal.task(id);
  if (!row) co_return fail(std::move(row).error());
  if (!*row || (by && (*row)->spec.owner != *by)) co_return fail(Code::not_found, "no task " + id);
  auto rows = co_await state->world.journal.runs(id);
  if (!rows) co_return fail(std::move(rows).error());
  co_return state->view(**row, *rows);
}

Task<Result<PageOf<TaskView>>> Coordinator::tasks(TaskFilter filter, Page page) {
  const auto state = state_;
  TaskQuery query;
  query.owner = std::move(filter.owner);
  query.state = filter.state;
  query.type = filter.type;
  query.limit = bounded(page.limit);
  PHASE_CO_TRY(query.before, cursor_number(page.after));
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  auto found = co_await state->world.journal.tasks(std::move(query));
  if (!found) co_return fail(std::move(found).error());
  PageOf<TaskView> out;
  for (const TaskRow& row : found->tasks) {
    const LiveTask* live = state->find_task(row.spec.id);
    if (live != nullptr) {
      out.items.push_back(state->view(*live));
      continue;
    }
    auto rows = co_await state->world.journal.runs(row.spec.id);
    if (!rows) co_return fail(std::move(rows).error());
    out.items.push_back(state->view(row, *rows));
  }
  if (found->next != 0) out.next = std::to_string(found->next);
  co_return out;
}

Task<Result<std::vector<RunReceipt>>> Coordinator::receipts(TaskId id, std::optional<UserId> by) {
  const auto state = state_;
  auto whole = co_await task(id, by);
  if (!whole) co_return fail(std::move(whole).error());
  auto rows = co_await state->world.journal.runs(id);
  if (!rows) co_return fail(std::move(rows).error());
  std::vector<RunReceipt> out;
  for (RunRow& row : *rows) {
    if (row.receipt.empty()) continue;
    std::string verdict = row.verified.value_or(false) ? "verified" : row.reason;
    if (row.state == RunState::refuted) verdict = "signed, and refuted: " + row.reason;
    out.push_back({row.node, std::move(row.manifest), std::move(row.receipt), std::move(verdict)});
  }
  co_return out;
}

ClusterStats Coordinator::stats() const {
  ClusterStats out;
  double sum = 0;
  const Instant now = state_->world.clock.now();
  const UtcTime utc = state_->world.clock.now_utc();
  for (const auto& [name, node] : state_->nodes) {
    if (node->row.removed || node->row.rejected) continue;
    ++out.total_nodes;
    const double score = node->health.score(now, utc).total * 100;
    sum += score;
    if (node->online && score >= kHealthyScore) ++out.healthy_nodes;
    out.total_compute_capacity +=
        static_cast<double>(node->cores) * static_cast<double>(node->memory_mb) / 1024;
  }
  if (out.total_nodes > 0) out.avg_health_score = sum / static_cast<double>(out.total_nodes);
  for (const auto& [id, task] : state_->tasks) {
    ++(task->row.state == TaskState::running ? out.running_tasks : out.pending_tasks);
  }
  out.completed_tasks = state_->completed;
  out.failed_tasks = state_->failed;
  out.total_tasks =
      out.completed_tasks + out.failed_tasks + state_->cancelled + state_->tasks.size();
  out.strategy = strategy_name(state_->scheduler.strategy());
  if (state_->energy_mj) out.energy_joules = static_cast<double>(*state_->energy_mj) / 1000;
  return out;
}

std::vector<SeriesPoint> Coordinator::series() const {
  return {state_->points.begin(), state_->points.end()};
}

MeshAddress Coordinator::mesh() const {
  return state_->address ? state_->address() : MeshAddress{};
}

Result<void> Coordinator::set_strategy(std::string_view name) {
  const auto known = strategy_of(name);
  if (!known) {
    return fail(Code::invalid_argument, "no strategy \"" + printable(name) + "\"",
                "weighted, round-robin, least-loaded or latency-aware");
  }
  state_->scheduler.set_strategy(*known);
  return {};
}

Task<Result<void>> Coordinator::grant(UserId user) {
  const auto state = state_;
  // A user whose credits are spent keeps an entry of the grant; the journal is asked, not the
  // balance.
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  auto before = co_await state->world.journal.entries(user_account(user), 0, 1);
  if (!before) co_return fail(std::move(before).error());
  const bool given = !before->empty() || state->book.balance(user_account(user)) > 0;
  if (given || state->options.grant == 0) co_return Result<void>{};
  PHASE_CO_TRY(Entry entry, state->book.apply({TransferKind::grant, std::string(kMint),
                                               user_account(user), state->options.grant, user},
                                              state->world.clock.now_utc()));
  Batch batch;
  batch.entries.push_back(std::move(entry));
  state->append(std::move(batch));
  co_return co_await state->world.journal.settled();
}

Task<Result<Credits>> Coordinator::balance(std::string account) {
  const auto state = state_;
  const Credits out = state->book.balance(account);
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<PageOf<LedgerEntry>>> Coordinator::ledger(std::string account, Page page) {
  const auto state = state_;
  PHASE_CO_TRY(const std::uint64_t after, cursor_number(page.after));
  const std::size_t limit = bounded(page.limit);
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  auto found = co_await state->world.journal.entries(std::move(account), after, limit);
  if (!found) co_return fail(std::move(found).error());
  PageOf<LedgerEntry> out;
  for (const Entry& entry : *found) out.items.push_back(entry_view(entry));
  if (found->size() == limit) out.next = std::to_string(found->back().sequence);
  co_return out;
}

std::vector<FleetEvent> Coordinator::events_after(std::uint64_t id) const {
  const auto& kept = state_->events;
  const auto from = std::ranges::upper_bound(kept, id, {}, &FleetEvent::id);
  return {from, kept.end()};
}

std::uint64_t Coordinator::last_event() const {
  return state_->last_event;
}

Task<void> Coordinator::wait_events(std::uint64_t id, Deadline deadline) {
  const auto state = state_;
  while (!state->closed && state->last_event <= id && state->world.clock.now() < deadline.at) {
    const bool woken = co_await state->heard.wait(deadline);
    if (!woken) co_return;
  }
}

}  // namespace phase::vcp
