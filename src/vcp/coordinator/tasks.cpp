// Tasks: accepted, shown, ended and paid.
#include <algorithm>
#include <cmath>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/check.h"
#include "vcp/coordinator/inputs.h"
#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

constexpr std::array<std::uint8_t, 4> kWasmMagic = {0x00, 0x61, 0x73, 0x6D};

json::value text_or_null(ByteView bytes) {
  if (!is_utf8(bytes)) return nullptr;
  return json::string(as_text(bytes));
}

/// A number too large for a double is read as infinite, and JSON has no word for that.
bool is_finite(const json::value& value) {
  if (const double* number = value.if_double()) return std::isfinite(*number);
  if (const json::array* array = value.if_array()) return std::ranges::all_of(*array, is_finite);
  const json::object* object = value.if_object();
  return object == nullptr ||
         std::ranges::all_of(*object, [](const auto& field) { return is_finite(field.value()); });
}

json::value value_or_null(ByteView bytes) {
  boost::system::error_code error;
  json::value parsed = json::parse(as_text(bytes), error, {}, {.max_depth = 32});
  if (error || !is_finite(parsed)) return nullptr;
  return parsed;
}

std::string completion_text(const receipt::Completion& completion) {
  std::string out(receipt::completion_name(completion.kind));
  if (!completion.reason.empty()) out += ": " + completion.reason;
  return out;
}

RunView run_view(const RunRow& row) {
  RunView out;
  out.node = row.node;
  out.state = row.state;
  out.attempt = row.attempt;
  out.assigned = row.assigned;
  out.ended = row.ended;
  out.reason = row.reason;
  if (row.output_commitment) out.output_commitment = row.output_commitment->hex();
  out.fuel = row.fuel;
  out.claimed_wall_ms = row.wall_ms;
  out.claimed_energy_mj = row.energy_mj;
  out.job_id = row.job_id;
  out.receipt_verified = row.verified;
  out.paid = row.paid;
  return out;
}

}  // namespace

std::string result_json(const RunResult& result, const std::vector<NodeName>& agreed) {
  json::object out;
  out["exit_code"] = result.completion.exit_code;
  out["stdout"] = text_or_null(result.out);
  out["stdout_base64"] = to_base64(result.out);
  out["stderr"] = text_or_null(result.err);
  out["value"] = value_or_null(result.out);
  out["output_sha256"] =
      result.truncated ? json::value(nullptr) : json::value(sha256(result.out).hex());
  out["output_commitment"] = result.output.commitment.hex();
  out["output_truncated"] = result.truncated;
  out["agreed_by"] = json::array(agreed.begin(), agreed.end());
  return json::serialize(out);
}

Task<Result<Spec>> Coordinator::State::make_spec(Submission submission, UserId owner) {
  const auto self = shared_from_this();
  Spec spec;
  spec.id = submission.id.empty() ? world.random.uuid() : std::move(submission.id);
  spec.owner = std::move(owner);
  spec.type = submission.type;
  spec.requirements = std::move(submission.requirements);
  spec.submitted = world.clock.now_utc();
  std::shared_ptr<const Bytes> module;
  switch (submission.type) {
    case TaskType::wasm_execution:
      if (submission.module) {
        module = std::make_shared<const Bytes>(*std::move(submission.module));
      } else if (submission.module_sha256) {
        auto kept = co_await world.modules.get(*submission.module_sha256, spec.submitted);
        if (!kept) {
          co_return fail(Code::not_found, "no module with that module_sha256 is kept",
                         "POST /api/v1/modules, or send wasm_module with the task");
        }
        module = *kept;
      } else {
        co_return fail(Code::invalid_argument,
                       "a wasm_execution task needs wasm_module or "
                       "module_sha256");
      }
      PHASE_CO_TRY_VOID(take_wasm_inputs(submission.inputs_json, spec.work));
      break;
    case TaskType::computation:
      if (!options.computation) {
        co_return fail(Code::unsupported, "this coordinator has no module for computation tasks");
      }
      module = options.computation;
      spec.work.stdin_bytes = to_bytes(submission.inputs_json);
      spec.work.job.stdin_commitment = job::commit(spec.work.stdin_bytes);
      break;
    case TaskType::connect_only:
      PHASE_CO_TRY_VOID(make_connect(submission, spec));
      co_return spec;
    default:
      co_return fail(Code::unsupported,
                     std::string(task_type_name(submission.type)) + " tasks are not available yet");
  }
  const bool wasm =
      module->size() >= 8 && std::equal(kWasmMagic.begin(), kWasmMagic.end(), module->begin());
  if (!wasm) co_return fail(Code::invalid_argument, "the module is no WebAssembly module");
  if (module->size() > job::kModuleBytesMax) {
    co_return fail(Code::too_large, "the module is longer than 50 MiB");
  }
  job::WasmJob& work = spec.work.job;
  work.module = job::reference(*module);
  work.limits.output_bytes = kTaskOutputBytesMax;
  work.clock_start_ns = spec.submitted.unix_ms * 1'000'000;
  work.random_seed = world.random.array<32>();
  if (work.limits.fuel > options.fuel_limit_max) {
    co_return fail(Code::invalid_argument,
                   "inputs.limits.fuel is above " + std::to_string(options.fuel_limit_max));
  }
  PHASE_CO_TRY_VOID(job::check(job::Job(work)));
  spec.bid = submission.bid.value_or(usual_bid(spec.requirements.min_nodes, work.limits.fuel));
  auto stored = co_await world.modules.keep(work.module.sha256, module, spec.submitted);
  if (!stored) co_return fail(std::move(stored).error());
  co_return spec;
}

Task<void> Coordinator::State::sweep_modules(std::shared_ptr<State> self) {
  std::set<Sha256> needed;
  for (const auto& [id, task] : self->tasks) {
    if (!task->connection) needed.insert(task->spec->work.job.module.sha256);
  }
  const UtcTime now = self->world.clock.now_utc();
  const auto gone =
      co_await self->world.modules.sweep(now, self->options.modules_kept, std::move(needed));
  if (self->closed) co_return;
  if (!gone) {
    self->world.log.warn("modules that nobody uses stay: {}", gone.error().text());
  } else if (*gone > 0) {
    self->world.log.info("{} modules went that nobody used any more", *gone);
  }
}

LiveTask* Coordinator::State::find_task(const TaskId& id) {
  const auto found = tasks.find(id);
  return found == tasks.end() ? nullptr : found->second.get();
}

Result<void> Coordinator::State::accept(Spec spec, std::shared_ptr<const Bytes> module) {
  if (closed || leaving) return fail(Code::unavailable, "the coordinator stops");
  if (broken) return fail(Code::unavailable, "the coordinator cannot write its state");
  Need need = need_of(spec, options);
  PHASE_TRY_VOID(scheduler.admit(need));
  const Instant now = world.clock.now();
  std::optional<Instant> deadline;
  if (const auto& until = spec.requirements.deadline) {
    const UtcTime utc = world.clock.now_utc();
    if (until->unix_ms <= utc.unix_ms) {
      return fail(Code::invalid_argument, "the deadline has passed already");
    }
    deadline = now + std::chrono::milliseconds(until->unix_ms - utc.unix_ms);
  }
  Batch batch;
  const bool free = spec.connect.has_value();
  if (spec.bid == 0 && !free)
    return fail(Code::invalid_argument, "a task without a bid pays nobody");
  if (scheduler.tasks() >= options.scheduler.tasks_max) {
    return fail(Code::busy, "too many tasks are under way", "submit again later");
  }
  if (find_task(spec.id) != nullptr) return fail(Code::already_exists, "that task is here already");
  if (!free) {
    PHASE_TRY(Entry escrow, take_credits({TransferKind::escrow, user_account(spec.owner),
                                          escrow_account(spec.id), spec.bid, spec.id}));
    batch.entries.push_back(std::move(escrow));
  }
  auto live = std::make_unique<LiveTask>();
  live->row.spec = spec;
  live->row.updated = spec.submitted;
  live->spec = std::make_shared<const Spec>(std::move(spec));
  live->module = std::move(module);
  if (free) {
    live->connection.emplace();
    connecting.insert(live->spec->id);
  }
  batch.tasks.push_back(live->row);
  const auto added = scheduler.add(live->spec->id, std::move(need), now, deadline);
  PHASE_CHECK(added);
  append(std::move(batch));
  LiveTask& task = *live;
  tasks.emplace(task.spec->id, std::move(live));
  tell_task(task);
  pump();
  return {};
}

/// Each verified run is paid from the escrow; what is left goes back.
void Coordinator::State::pay(LiveTask& task, Batch& batch) {
  const Spec& spec = *task.spec;
  const UtcTime now = world.clock.now_utc();
  std::vector<std::uint64_t> said;
  for (const auto& [id, run] : task.runs) {
    // What strangers say of their fuel must not move what nodes are paid.
    if (run->row.state == RunState::verified && !run->stranger && run->result &&
        run->result->fuel) {
      said.push_back(*run->result->fuel);
    }
  }
  const auto fuel =
      comparable_fuel(said, task.own ? task.own->fuel : std::optional<std::uint64_t>());
  const Credits price = run_price(spec.bid, spec.requirements.min_nodes, fuel);
  for (const auto& [id, run] : task.runs) {
    if (run->row.state != RunState::verified) continue;
    run->row.fuel = fuel;
    if (run->stranger) continue;  // paid nothing: it goes back
    // A hedge that was verified as well must not take more than the bid holds.
    const Credits due = std::min(price, book.balance(escrow_account(spec.id)));
    if (due == 0) continue;
    auto entry = book.apply(
        {TransferKind::pay, escrow_account(spec.id), node_account(run->row.node), due, spec.id},
        now);
    PHASE_CHECK(entry);
    batch.entries.push_back(*std::move(entry));
    run->row.paid = due;
    task.row.paid += due;
    paid += due;
  }
  const Credits left = book.balance(escrow_account(spec.id));
  if (left == 0) return;
  auto entry = book.apply(
      {TransferKind::refund, escrow_account(spec.id), user_account(spec.owner), left, spec.id},
      now);
  PHASE_CHECK(entry);
  batch.entries.push_back(*std::move(entry));
  task.row.refunded = left;
}

void Coordinator::State::finish(LiveTask& task, TaskState end, std::string reason) {
  const TaskId id = task.spec->id;
  Batch batch;
  if (task.connection) close_connection(task, end, reason, batch);
  for (const RunId left : scheduler.remove(id)) {
    const auto found = runs.find(left);
    if (found == runs.end()) continue;
    found->second->cancel.request();
    end_run(*found->second, RunState::superseded, "not needed any more", RunEnd::no_fault);
  }
  for (const auto& [run_id, run] : task.runs) {
    if (!run->result || run->row.state == RunState::verified) continue;
    if (run->row.state == RunState::refuted) continue;
    // It never came to a comparison, or to one with too few others: right where the truth is known.
    const bool right = task.truth && run->answer == *task.truth;
    run->row.state = right ? RunState::verified : RunState::superseded;
    if (FleetNode* node = find_node(run->row.node)) {
      node->health.run_ended(run->ticket, right ? RunEnd::verified : RunEnd::no_fault,
                             world.clock.now(), world.clock.now_utc());
    }
  }
  pay(task, batch);
  task.row.state = end;
  task.row.reason = std::move(reason);
  task.row.updated = world.clock.now_utc();
  task.stage = "done";
  std::set<NodeName> touched;
  for (const auto& [run_id, run] : task.runs) {
    batch.runs.push_back(run->row);
    touched.insert(run->row.node);
    run->state = nullptr;
    runs.erase(run_id);
  }
  for (const NodeName& name : touched) {
    if (FleetNode* node = find_node(name)) {
      keep(*node, batch);
      refresh(*node);
    }
  }
  batch.tasks.push_back(task.row);
  append(std::move(batch));
  ++(end == TaskState::completed ? completed : end == TaskState::failed ? failed : cancelled);
  for (const auto& [run_id, run] : task.runs) tell_run(task, run->row);
  tell_task(task);
  tasks.erase(id);
  idle.notify_all();
}

TaskView Coordinator::State::view(const TaskRow& row, const std::vector<RunRow>& of_task) const {
  TaskView out;
  out.spec = row.spec;
  out.state = row.state;
  out.stage = "done";
  out.reason = row.reason;
  out.updated = row.updated;
  out.result_json = row.result_json;
  for (const RunRow& run : of_task) out.runs.push_back(run_view(run));
  out.escrowed = is_final(row.state) ? 0 : row.spec.bid;
  out.paid = row.paid;
  out.refunded = row.refunded;
  return out;
}

TaskView Coordinator::State::view(const LiveTask& task) {
  std::vector<RunRow> rows = task.history;
  for (const auto& [id, run] : task.runs) rows.push_back(run->row);
  TaskView out = view(task.row, rows);
  out.stage = task.stage;
  if (out.reason.empty()) out.reason = scheduler.waiting_for(task.spec->id);
  return out;
}

void Coordinator::State::conclude(LiveTask& task, const Judgement& judged) {
  const std::uint32_t majority = majority_of(task.spec->requirements.min_nodes);
  for (const RunId id : judged.refuted) {
    LiveRun& run = *task.runs.at(id);
    if (run.row.state == RunState::refuted) continue;
    run.row.state = RunState::refuted;
    run.row.reason = "its result is not what the coordinator computed itself";
    if (FleetNode* node = find_node(run.row.node)) {
      node->health.run_ended(run.ticket, RunEnd::refuted, world.clock.now(), world.clock.now_utc());
      ++node->row.disputes;
      Batch batch;
      if (!run.stranger) slash(run.row.node, task.spec->id, batch);
      keep(*node, batch);
      batch.runs.push_back(run.row);
      append(std::move(batch));
      if (run.stranger) {
        dismiss_peer(*node, "it gave a wrong result in task " + task.spec->id);
      } else {
        world.log.warn("node {} gave a wrong result in task {}; its bond is slashed", run.row.node,
                       task.spec->id);
      }
      refresh(*node);
      tell_node(*node);
    }
    tell_run(task, run.row);
    scheduler.discount(task.spec->id, world.clock.now(), "a result was refuted");
  }
  if (judged.verified.size() < majority) {
    task.stage = "waiting for nodes";
    return;
  }
  std::vector<NodeName> agreed;
  const LiveRun* first = nullptr;
  for (const RunId id : judged.verified) {
    LiveRun& run = *task.runs.at(id);
    run.row.state = RunState::verified;
    agreed.push_back(run.row.node);
    if (first == nullptr) first = &run;
    if (FleetNode* node = find_node(run.row.node)) {
      node->health.run_ended(run.ticket, RunEnd::verified, world.clock.now(),
                             world.clock.now_utc());
      ++node->row.completed;
    }
    if (run.result->energy_mj && !run.stranger)
      energy_mj = energy_mj.value_or(0) + *run.result->energy_mj;
  }
  const receipt::Completion& completion = first->result->completion;
  if (completion.kind == receipt::CompletionKind::exited) {
    task.row.result_json = result_json(*first->result, agreed);
    return finish(task, TaskState::completed, {});
  }
  finish(task, TaskState::failed, completion_text(completion));
}

}  // namespace phase::vcp
