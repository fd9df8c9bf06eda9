// Tasks: submitted, looked at, cancelled; modules; receipts.
#include <cmath>

#include <boost/json.hpp>

#include "api/vcp/call_internal.h"
#include "api/vcp/times.h"
#include "api/vcp/views.h"
#include "base/artifact_text.h"
#include "base/pool_task.h"

namespace phase::vcp::api {
namespace {

tl::unexpected<Error> wrong(std::string_view field, std::string_view what) {
  return fail(Code::invalid_argument, std::string{field} + ": " + std::string{what});
}

Requirements read_requirements(const json::object& from) {
  Requirements out;
  out.min_nodes = static_cast<std::uint32_t>(number_of(from, "min_nodes"));
  out.max_execution_seconds = number_of(from, "max_execution_time_sec");
  out.gpu = flag_of(from, "require_gpu");
  out.health_min_permille =
      static_cast<std::uint32_t>(std::llround(real_of(from, "min_health_score") * 1'000));
  out.bandwidth_kbps_min =
      static_cast<std::uint64_t>(std::llround(real_of(from, "min_bandwidth_mbps") * 1'000));
  out.latency_us_max =
      static_cast<std::uint64_t>(std::llround(real_of(from, "max_latency_ms") * 1'000));
  out.cpu_cores = static_cast<std::uint32_t>(number_of(from, "cpu_cores"));
  out.memory_mb = static_cast<std::uint64_t>(std::llround(real_of(from, "memory_gb") * 1'024));
  out.region = text_of(from, "region");
  out.allow_peers = flag_of(from, "allow_peers");
  out.deadline = parse_utc(text_of(from, "deadline"));
  return out;
}

/// What is published but not built: said so, never pretended.
Result<void> check_available(const json::object& body, TaskType type) {
  if (type != TaskType::wasm_execution && type != TaskType::computation &&
      type != TaskType::connect_only) {
    return fail(Code::unsupported,
                "tasks of type " + std::string{task_type_name(type)} + " are not available yet",
                "wasm_execution, computation and connect_only are");
  }
  if (type == TaskType::connect_only &&
      flag_of(body.at("requirements").as_object(), "require_proof")) {
    return wrong("requirements.require_proof", "false for connect_only: nothing is computed");
  }
  if (flag_of(body.at("requirements").as_object(), "require_proof")) {
    return fail(Code::unsupported, "proofs of execution are not available yet",
                "a quorum (min_nodes) and receipts are");
  }
  return {};
}

/// Blocks: decodes what may be 50 MB.
Result<Submission> read_submission(const json::object& body) {
  Submission out;
  const auto type = task_type_of(text_of(body, "task_type"));
  if (!type) {
    return wrong("task_type", "is not known");
  }
  PHASE_TRY_VOID(check_available(body, *type));
  out.type = *type;
  const json::value* module = body.if_contains("wasm_module");
  const std::string hash = text_of(body, "module_sha256");
  if (module != nullptr && !hash.empty()) {
    return wrong("module_sha256", "stands beside wasm_module; give one of them");
  }
  if (module != nullptr) {
    auto bytes = from_base64({module->as_string().data(), module->as_string().size()});
    if (!bytes) {
      return wrong("wasm_module", "is not base64");
    }
    if (bytes->size() > kModuleBytesMax) {
      return fail(Code::too_large, "wasm_module: more than 50 MB");
    }
    out.module = std::move(*bytes);
  }
  if (!hash.empty()) {
    PHASE_TRY(out.module_sha256, Sha256::from_hex_text(hash));
  }
  if (*type == TaskType::wasm_execution && !out.module && !out.module_sha256) {
    return wrong("wasm_module", "is missing; or give module_sha256");
  }
  out.inputs_json = json::serialize(body.at("inputs"));
  out.requirements = read_requirements(body.at("requirements").as_object());
  if (body.contains("bid")) {
    out.bid = number_of(body, "bid");
  }
  return out;
}

}  // namespace

Task<Result<http::Reply>> submit_task(Call& call) {
  Result<Submission> submission = fail(Code::internal, "nothing was read");
  auto read = [&call] { return read_submission(call.body); };
  if (call.raw.size() > kBodyBytesMax) {
    submission = co_await in_pool(call.server->reading, read);
  } else {
    submission = read();
  }
  PHASE_CO_TRY_VOID(submission);
  submission->id = call.idempotency_id;
  UserId owner = call.who.user;
  auto task = co_await call.fleet().submit(std::move(*submission), std::move(owner));
  PHASE_CO_TRY_VOID(task);
  co_return answer_json(201, task_json(*task));
}

Task<Result<http::Reply>> list_tasks(Call& call) {
  TaskFilter filter;
  filter.owner = call.by();
  const std::string status = call.query("status");
  for (const TaskState state : {TaskState::pending, TaskState::running, TaskState::completed,
                                TaskState::failed, TaskState::cancelled}) {
    if (status == task_state_name(state)) {
      filter.state = state;
    }
  }
  filter.type = task_type_of(call.query("type"));
  Page page = call.page();
  auto found = co_await call.fleet().tasks(std::move(filter), std::move(page));
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const TaskView& task : found->items) {
    out.push_back(task_json(task));
  }
  if (!found->next.empty()) {
    call.headers.emplace_back("X-Next-Cursor", found->next);
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> get_task(Call& call) {
  TaskId id = call.parameter(0);
  std::optional<UserId> by = call.by();
  auto task = co_await call.fleet().task(std::move(id), std::move(by));
  PHASE_CO_TRY_VOID(task);
  co_return answer_json(200, task_json(*task));
}

Task<Result<http::Reply>> cancel_task(Call& call) {
  TaskId id = call.parameter(0);
  std::optional<UserId> by = call.by();
  auto task = co_await call.fleet().cancel(std::move(id), std::move(by));
  PHASE_CO_TRY_VOID(task);
  co_return answer_json(
      200, json::object{{"message", "the task is " + std::string{task_state_name(task->state)}},
                        {"task_id", task->spec.id}});
}

Task<Result<http::Reply>> task_receipts(Call& call) {
  TaskId id = call.parameter(0);
  std::optional<UserId> by = call.by();
  auto receipts = co_await call.fleet().receipts(std::move(id), std::move(by));
  PHASE_CO_TRY_VOID(receipts);
  json::array out;
  for (const RunReceipt& receipt : *receipts) {
    out.push_back(receipt_json(receipt));
  }
  co_return answer_json(200, out);
}

/// Of any task alike: who may not see it learns nothing.
Task<Result<http::Reply>> post_result(Call&) {
  co_return answer_json(
      409, json::object{{"error", "receipt_required"},
                        {"message",
                         "a result counts with the signed receipt of the run that the coordinator "
                         "ordered, and that comes over the node's own connection"},
                        {"hint", "run it with: ambient-vcp node"}});
}

Task<Result<http::Reply>> upload_module(Call& call) {
  if (call.raw.empty()) {
    co_return wrong("body", "the module is missing");
  }
  UserId owner = call.who.user;
  auto kept = co_await call.fleet().keep_module(std::move(call.raw), std::move(owner));
  PHASE_CO_TRY_VOID(kept);
  co_return answer_json(201, json::object{{"sha256", kept->sha256.hex()},
                                          {"artifact_id", artifact_text(kept->id)},
                                          {"length", kept->length}});
}

}  // namespace phase::vcp::api
