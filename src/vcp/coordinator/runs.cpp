// Runs: from a place to a result, and what results of one task say together.
#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

/// Results that say something of the task; others say something of the node.
bool is_result(const receipt::Completion& completion) {
  using receipt::CompletionKind;
  switch (completion.kind) {
    case CompletionKind::exited:
    case CompletionKind::trapped:
    case CompletionKind::invalid:
      return true;
    case CompletionKind::limited:
      return completion.reason != "wall" && completion.reason != "compile";
    default:
      return false;
  }
}

/// The node may be gone although its session was not missed yet.
bool is_lost(Code code) {
  return code == Code::unavailable || code == Code::connection_closed || code == Code::timed_out;
}

/// A run here is heard by nobody.
class Unheard final : public RunWatch {
 public:
  void accepted(const std::string&) override {}
  void committed() override {}
  void output(const job::OutputPiece&) override {}
};

constexpr double kMeanShare = 0.25;  // of the newest run in the mean

}  // namespace

void LiveRun::accepted(const std::string& job_id) {
  if (state == nullptr || ended) return;
  row.state = RunState::running;
  row.job_id = job_id;
  task->stage = "running";
  if (task->row.state == TaskState::pending) {
    task->row.state = TaskState::running;
    task->row.updated = state->world.clock.now_utc();
    Batch batch;
    batch.tasks.push_back(task->row);
    state->append(std::move(batch));
    state->tell_task(*task);
  }
  state->tell_run(*task, row);
}

void LiveRun::committed() {
  if (state == nullptr || ended) return;
  row.state = RunState::committed;
  state->tell_run(*task, row);
  state->commits_changed(*task);
}

void LiveRun::output(const job::OutputPiece& piece) {
  if (state == nullptr || ended) return;
  std::string json = R"({"node_id":")" + row.node + R"(","attempt":)" +
                     std::to_string(row.attempt) + R"(,"stream":)" +
                     std::to_string(static_cast<int>(piece.stream)) + R"(,"data":")" +
                     to_base64(piece.data) + "\"}";
  state->tell("output", task->spec->owner, task->spec->id, std::move(json), true);
}

void Coordinator::State::pump() {
  if (pumping || closed || leaving) return;  // whoever pumps takes what this call would
  pumping = true;
  while (true) {
    const std::vector<Decision> decisions = scheduler.decide(world.clock.now());
    for (const Decision& decision : decisions) {
      if (const auto* place = std::get_if<Place>(&decision)) {
        begin(*place);
      } else if (const auto* expire = std::get_if<Expire>(&decision)) {
        const auto found = runs.find(expire->run);
        if (found == runs.end()) continue;
        found->second->cancel.request();
        fail_run(*found->second, "no result within its lease", RunEnd::failed);
      } else if (const auto* over = std::get_if<GiveUp>(&decision)) {
        if (LiveTask* task = find_task(over->task)) {
          finish(*task, TaskState::failed, over->reason);
        } else {
          scheduler.remove(over->task);
        }
      }
    }
    if (decisions.empty()) break;
  }
  pumping = false;
  if (const auto due = scheduler.next_due()) {
    alarm.set(*due, [this] { pump(); });
  }
}

void Coordinator::State::begin(const Place& place) {
  LiveTask* task = find_task(place.task);
  FleetNode* node = find_node(place.node);
  if (task == nullptr || node == nullptr || !node->row.key) {
    scheduler.run_failed(place.run, world.clock.now(), "the node is not there");
    return;
  }
  auto run = std::make_shared<LiveRun>(*this, *task);
  run->id = place.run;
  run->began = world.clock.now();
  run->row.task = place.task;
  run->row.node = place.node;
  run->row.attempt = task->attempt_base + place.attempt;
  run->row.assigned = world.clock.now_utc();
  run->stranger = node->peer;
  run->ticket = node->health.run_began(run->began);
  node->runs.insert(place.run);
  task->runs.emplace(place.run, run);
  runs.emplace(place.run, run);
  if (run->ticket.trial) refresh(*node);
  Batch batch;
  batch.runs.push_back(run->row);
  append(std::move(batch));
  if (task->connection) {
    placed(*task, *run);
    tell_run(*task, run->row);
    return tell_task(*task);
  }
  task->stage = "running";
  tell_run(*task, run->row);
  plan_hedge(*run);
  asio::co_spawn(world.executor, carry_out(shared_from_this(), run), asio::detached);
}

Task<void> Coordinator::State::carry_out(std::shared_ptr<State> self,
                                         std::shared_ptr<LiveRun> run) {
  auto result = co_await self->order(run);
  if (self->closed || run->state == nullptr || run->ended) co_return;
  if (!result) {
    FleetNode* node = self->find_node(run->row.node);
    if (node != nullptr && is_lost(result.error().code)) node->suspect = true;
    self->fail_run(*run, result.error().message, RunEnd::failed);
  } else if (!result->refused.empty()) {
    run->row.manifest = std::move(result->manifest);
    run->row.receipt = std::move(result->receipt);
    run->row.verified = false;
    FleetNode* node = self->find_node(run->row.node);
    if (node != nullptr && run->stranger) {
      self->dismiss_peer(*node, "its receipt was refused: " + result->refused);
    }
    self->fail_run(*run, "its receipt was refused: " + result->refused, RunEnd::failed);
  } else if (!is_result(result->completion)) {
    std::string reason(receipt::completion_name(result->completion.kind));
    reason += ": " + result->completion.reason;
    self->fail_run(*run, std::move(reason), RunEnd::failed);
  } else {
    self->take_result(*run, *std::move(result));
  }
  self->pump();
}

Task<Result<RunResult>> Coordinator::State::order(std::shared_ptr<LiveRun> run) {
  const auto self = shared_from_this();
  LiveTask* task = find_task(run->row.task);
  const FleetNode* node = find_node(run->row.node);
  if (task == nullptr || node == nullptr || !node->row.key) {
    co_return fail(Code::unavailable, "the node is not there");
  }
  RunOrder order;
  order.node = run->row.node;
  order.key = *node->row.key;
  order.spec = task->spec;
  order.commit_first = task->spec->requirements.min_nodes > 1;
  order.module = task->module;
  if (!order.module) {
    const UtcTime now = world.clock.now_utc();
    auto module = co_await world.modules.get(order.spec->work.job.module.sha256, now);
    if (!module) co_return fail(std::move(module).error());
    order.module = *std::move(module);
    if (LiveTask* still = find_task(run->row.task)) still->module = order.module;
  }
  auto result = co_await world.nodes.run(std::move(order), *run, run->cancel, run->gate);
  co_return result;
}

void Coordinator::State::end_run(LiveRun& run, RunState end, std::string reason, RunEnd fault) {
  if (run.ended) return;
  run.ended = true;
  run.row.state = end;
  run.row.reason = std::move(reason);
  run.row.ended = world.clock.now_utc();
  if (FleetNode* node = find_node(run.row.node)) {
    node->runs.erase(run.id);
    node->health.run_ended(run.ticket, fault, world.clock.now(), world.clock.now_utc());
    if (fault == RunEnd::failed) ++node->row.failed;
    refresh(*node);
  }
}

void Coordinator::State::fail_run(LiveRun& run, std::string reason, RunEnd fault) {
  if (run.ended || run.state == nullptr) return;
  LiveTask& task = *run.task;
  world.log.info("task {}: run {} on {} failed: {}", task.spec->id, run.row.attempt, run.row.node,
                 reason);
  scheduler.run_failed(run.id, world.clock.now(), reason);
  end_run(run, RunState::failed, std::move(reason), fault);
  runs.erase(run.id);
  Batch batch;
  batch.runs.push_back(run.row);
  if (task.connection) lose_connection(task, run.row.reason, batch);
  append(std::move(batch));
  tell_run(task, run.row);
}

void Coordinator::State::take_result(LiveRun& run, RunResult result) {
  LiveTask& task = *run.task;
  run.ended = true;
  run.row.ended = world.clock.now_utc();
  run.row.output_commitment = Sha256{result.output.commitment.value};
  run.row.wall_ms = result.wall_ms;
  run.row.energy_mj = result.energy_mj;
  run.row.job_id = result.job_id;
  run.row.verified = true;
  run.row.manifest = std::move(result.manifest);
  run.row.receipt = std::move(result.receipt);
  run.answer = answer_of(result.completion, result.output);
  run.result = std::move(result);
  note_duration(run);
  // Node and place are free; whether the result counts is decided with the others'.
  if (FleetNode* node = find_node(run.row.node)) node->runs.erase(run.id);
  scheduler.run_finished(run.id);
  consider(task);
}

void Coordinator::State::commits_changed(LiveTask& task) {
  std::uint32_t ready = 0;
  for (const auto& [id, run] : task.runs) {
    ready += run->row.state == RunState::committed || run->result ? 1 : 0;
  }
  if (ready < task.spec->requirements.min_nodes && !task.revealing) return;
  task.revealing = true;
  task.stage = "comparing";
  for (const auto& [id, run] : task.runs) {
    if (run->row.state == RunState::committed) run->gate.open();
  }
}

void Coordinator::State::consider(LiveTask& task) {
  if (task.judging) return;
  std::vector<Answered> answers;
  for (const auto& [id, run] : task.runs) {
    if (run->result && run->row.state != RunState::refuted) answers.push_back({id, run->answer});
  }
  if (answers.size() < task.spec->requirements.min_nodes && !task.truth) return;
  if (answers.empty()) return;
  const Judgement judged = judge(answers, task.truth);
  task.doubt = judged.differ                                          ? "results differ"
               : !task.truth && only_strangers(task, judged.verified) ? "only peers vouch for it"
                                                                      : "";
  if (task.doubt.empty() && !audits(task)) return conclude(task, judged);
  task.judging = true;
  task.stage = "re-running";
  tell_task(task);
  world.log.info("task {}: {}; running it here", task.spec->id,
                 task.doubt.empty() ? "taken for an audit" : task.doubt);
  asio::co_spawn(world.executor, look_again(shared_from_this(), task.spec->id), asio::detached);
}

/// One node's word is checked now and then, so that no lie is safe.
bool Coordinator::State::audits(LiveTask& task) {
  if (task.spec->requirements.min_nodes > 1 || task.truth || task.looked) return false;
  task.looked = true;
  return world.random.below(1'000) < options.audit_permille;
}

Task<Result<RunResult>> Coordinator::State::run_here(std::shared_ptr<const Spec> spec,
                                                     std::shared_ptr<const Bytes> module) {
  const auto self = shared_from_this();
  RunOrder order;
  order.node = "coordinator";
  order.spec = std::move(spec);
  order.module = std::move(module);
  Unheard watch;
  requester::CancelToken cancel;
  requester::RevealGate gate;
  auto result = co_await world.own.run(std::move(order), watch, cancel, gate);
  if (result && !result->refused.empty()) co_return fail(Code::internal, result->refused);
  if (result && !is_result(result->completion)) {
    co_return fail(Code::unavailable, "the coordinator could not run it itself");
  }
  co_return result;
}

/// Results differ: the coordinator runs the task itself. When nobody's result equals its own it
/// runs it once more, so that no node is slashed for a module that is not deterministic.
Task<void> Coordinator::State::look_again(std::shared_ptr<State> self, TaskId id) {
  LiveTask* task = self->find_task(id);
  if (task == nullptr) co_return;
  const std::shared_ptr<const Spec> spec = task->spec;
  const std::shared_ptr<const Bytes> module = task->module;
  auto own = co_await self->run_here(spec, module);
  task = self->find_task(id);
  if (self->closed || task == nullptr) co_return;
  if (!own && task->doubt.empty()) {
    self->world.log.warn("task {}: no audit: {}", id, own.error().text());
    task->judging = false;
    self->consider(*task);
    co_return self->pump();
  }
  if (!own) {
    self->finish(*task, TaskState::failed,
                 task->doubt + " and it could not be judged: " + own.error().message);
    co_return self->pump();
  }
  const Sha256 truth = answer_of(own->completion, own->output);
  const bool known = std::ranges::any_of(task->runs, [&](const auto& entry) {
    return entry.second->result && entry.second->answer == truth;
  });
  if (!known) {
    auto second = co_await self->run_here(spec, module);
    task = self->find_task(id);
    if (self->closed || task == nullptr) co_return;
    if (!second || answer_of(second->completion, second->output) != truth) {
      self->finish(*task, TaskState::failed,
                   "results differ, also those of the coordinator itself: the module is not "
                   "deterministic");
      co_return self->pump();
    }
  }
  task->truth = truth;
  task->own = *std::move(own);
  task->judging = false;
  self->consider(*task);
  self->pump();
}

void Coordinator::State::slash(const NodeName& node, const TaskId& task, Batch& batch) {
  const Credits bond = book.balance(bond_account(node));
  if (bond == 0) return;
  auto entry =
      book.apply({TransferKind::slash, bond_account(node), std::string(kTreasury), bond, task},
                 world.clock.now_utc());
  if (entry) batch.entries.push_back(*std::move(entry));
}

void Coordinator::State::note_duration(const LiveRun& run) {
  const Sha256& module = run.task->spec->work.job.module.sha256;
  const double took = std::chrono::duration<double>(world.clock.now() - run.began).count();
  const auto found = means.find(module);
  if (found != means.end()) {
    found->second += kMeanShare * (took - found->second);
    return;
  }
  if (means.size() >= kMeansMax) means.erase(means.begin());
  means.emplace(module, took);
}

void Coordinator::State::plan_hedge(LiveRun& run) {
  const auto mean = means.find(run.task->spec->work.job.module.sha256);
  if (mean == means.end()) return;
  const auto late = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(mean->second * options.hedge_factor));
  scheduler.hedge_at(run.id, run.began + std::max(options.hedge_min, late));
}

}  // namespace phase::vcp
