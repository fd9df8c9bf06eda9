// Nodes: registered, looked at, changed.
#include <cmath>

#include <boost/json.hpp>

#include "api/vcp/call_internal.h"
#include "api/vcp/times.h"
#include "api/vcp/views.h"

namespace phase::vcp::api {
namespace {

constexpr double kMegabytesPerGigabyte = 1024;

NodeRegistration read_registration(const json::object& body) {
  const json::object& has = body.at("capabilities").as_object();
  NodeRegistration out;
  out.name = text_of(body, "node_id");
  out.region = text_of(body, "region");
  out.type = text_of(body, "node_type");
  out.bandwidth_mbps = static_cast<std::uint64_t>(real_of(has, "bandwidth_mbps"));
  out.cpu_cores = static_cast<std::uint32_t>(number_of(has, "cpu_cores"));
  out.memory_mb =
      static_cast<std::uint64_t>(std::llround(real_of(has, "memory_gb") * kMegabytesPerGigabyte));
  out.gpu = flag_of(has, "gpu_available");
  if (const std::uint64_t port = number_of(body, "observability_port"); port != 0) {
    out.observability_port = static_cast<std::uint16_t>(port);
  }
  return out;
}

/// Where the client itself reached this server.
std::string own_url(const Call& call) {
  const std::string host = call.header("host");
  return (call.request.encrypted ? "https://" : "http://") +
         (host.empty() ? "127.0.0.1:" + std::to_string(call.server->port) : printable(host));
}

/// One argument for a shell.
std::string quoted(const std::string& text) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:";
  if (text.find_first_not_of(kPlain) == std::string::npos) {
    return text;
  }
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? std::string{"'\\''"} : std::string{c};
  }
  return out + "'";
}

Task<Result<NodeView>> change(Call& call, Fleet::NodeChange what) {
  NodeName name = call.parameter(0);
  std::optional<UserId> by = call.by();
  auto node = co_await call.fleet().change_node(std::move(name), what, std::move(by));
  co_return node;
}

Task<Result<http::Reply>> changed(Call& call, Fleet::NodeChange what) {
  auto node = co_await change(call, what);
  PHASE_CO_TRY_VOID(node);
  co_return answer_json(200, node_json(*node, call.who));
}

/// One's own; every node for an administrator.
Task<Result<NodeView>> own_node(Call& call) {
  NodeName name = call.parameter(0);
  auto node = co_await call.fleet().node(std::move(name));
  if (node && !call.who.is_admin() && node->owner != call.who.user) {
    co_return fail(Code::not_found, "there is no such node of yours");
  }
  co_return node;
}

}  // namespace

Task<Result<http::Reply>> register_node(Call& call) {
  NodeRegistration registration = read_registration(call.body);
  UserId owner = call.who.user;
  auto made = co_await call.fleet().register_node(std::move(registration), std::move(owner));
  PHASE_CO_TRY_VOID(made);
  json::object out = node_json(made->node, call.who);
  const NodeRegistration& said = made->node.registration;
  out["join_token"] = made->join_token;
  out["join_command"] = "ambient-vcp node --id " + said.name + " --region " + quoted(said.region) +
                        " --node-type " + said.type + " --coordinator-url " +
                        quoted(own_url(call)) + " --join-token " + made->join_token;
  co_return answer_json(201, out);
}

Task<Result<http::Reply>> list_nodes(Call& call) {
  NodeFilter filter;
  filter.status = call.query("status");
  filter.region = call.query("region");
  filter.type = call.query("type");
  Page page = call.page();
  auto found = co_await call.fleet().nodes(std::move(filter), std::move(page));
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const NodeView& node : found->items) {
    out.push_back(node_json(node, call.who));
  }
  if (!found->next.empty()) {
    call.headers.emplace_back("X-Next-Cursor", found->next);
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> get_node(Call& call) {
  NodeName name = call.parameter(0);
  auto node = co_await call.fleet().node(std::move(name));
  PHASE_CO_TRY_VOID(node);
  co_return answer_json(200, node_json(*node, call.who));
}

Task<Result<http::Reply>> remove_node(Call& call) {
  auto node = co_await change(call, Fleet::NodeChange::remove);
  PHASE_CO_TRY_VOID(node);
  co_return answer_json(
      200, json::object{{"message", "the node is removed"}, {"node_id", call.parameter(0)}});
}

Task<Result<http::Reply>> reject_node(Call& call) {
  auto node = co_await change(call, Fleet::NodeChange::reject);
  PHASE_CO_TRY_VOID(node);
  co_return answer_json(200, json::object{{"message", "the node is rejected"},
                                          {"node_id", call.parameter(0)},
                                          {"status", "rejected"}});
}

Task<Result<http::Reply>> cordon_node(Call& call) {
  return changed(call, Fleet::NodeChange::cordon);
}

Task<Result<http::Reply>> uncordon_node(Call& call) {
  return changed(call, Fleet::NodeChange::uncordon);
}

Task<Result<http::Reply>> drain_node(Call& call) {
  return changed(call, Fleet::NodeChange::drain);
}

Task<Result<http::Reply>> heartbeat(Call& call) {
  auto node = co_await own_node(call);
  PHASE_CO_TRY_VOID(node);
  json::array ids, tasks;
  for (const TaskId& id : node->tasks) {
    ids.push_back(json::string(id));
    auto task = co_await call.fleet().task(id, std::nullopt);
    if (task) {
      tasks.push_back(json::object{{"task_id", id},
                                   {"task_type", json::string(task_type_name(task->spec.type))},
                                   {"execution_status", "in_progress"}});
    }
  }
  co_return answer_json(
      200, json::object{{"message", "a node's heartbeat comes over its own connection"},
                        {"node_id", node->registration.name},
                        {"timestamp", utc_text(call.now())},
                        {"health_score", node->health.score},
                        {"node_status", node->status},
                        {"active_tasks", node->tasks.size()},
                        {"assigned_task_ids", std::move(ids)},
                        {"assigned_tasks", std::move(tasks)},
                        {"internet_active", node->internet_active}});
}

Task<Result<http::Reply>> node_activity(Call& call) {
  auto node = co_await own_node(call);
  PHASE_CO_TRY_VOID(node);
  json::array events;
  for (const NodeActivity& one : call.fleet().activity(node->registration.name)) {
    json::object event{
        {"event", one.event}, {"at", utc_text(one.at)}, {"detail", printable(one.detail)}};
    if (!one.session.empty()) {
      event["task_id"] = one.task;
      event["task_type"] = json::string(task_type_name(TaskType::connect_only));
      event["session_id"] = one.session;
    }
    if (one.event == "task_cleared") event["cleared_at"] = utc_text(one.at);
    events.push_back(std::move(event));
  }
  co_return answer_json(200, json::object{{"events", std::move(events)}});
}

}  // namespace phase::vcp::api
