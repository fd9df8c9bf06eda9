// Sessions of connect_only tasks, for their requesters and for the owners of nodes; policies.
#include <boost/json.hpp>

#include "api/vcp/call_internal.h"
#include "api/vcp/views.h"

namespace phase::vcp::api {
namespace {

/// A requester's own, also for an administrator: who speaks for a client is that client's business.
Task<Result<http::Reply>> ask(Call& call, Fleet::SessionAsk what) {
  std::string id = call.parameter(0);
  UserId by = call.who.user;
  auto session = co_await call.fleet().ask_session(std::move(id), what, std::move(by));
  PHASE_CO_TRY_VOID(session);
  co_return answer_json(200, session_json(*session));
}

}  // namespace

Task<Result<http::Reply>> start_connect_session(Call& call) {
  TaskId task = text_of(call.body, "task_id");
  const Tunnel tunnel = tunnel_of(text_of(call.body, "tunnel_protocol")).value_or(Tunnel::mtls);
  UserId by = call.who.user;
  auto started = co_await call.fleet().start_session(std::move(task), tunnel, std::move(by));
  PHASE_CO_TRY_VOID(started);
  co_return answer_json(201, json::object{{"session", session_json(started->view)},
                                          {"session_token", started->token}});
}

Task<Result<http::Reply>> get_connect_session(Call& call) {
  return ask(call, Fleet::SessionAsk::look);
}

Task<Result<http::Reply>> beat_connect_session(Call& call) {
  return ask(call, Fleet::SessionAsk::heartbeat);
}

Task<Result<http::Reply>> stop_connect_session(Call& call) {
  return ask(call, Fleet::SessionAsk::stop);
}

Task<Result<http::Reply>> gateway_sessions(Call& call) {
  NodeName node = call.parameter(0);
  std::optional<UserId> by = call.by();
  std::string address = call.query("address");
  auto found =
      co_await call.fleet().gateway_sessions(std::move(node), std::move(by), std::move(address));
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const GatewaySession& one : *found) out.push_back(gateway_session_json(one));
  co_return answer_json(200, json::object{{"sessions", std::move(out)}});
}

Task<Result<http::Reply>> list_policies(Call& call) {
  UserId owner = call.who.user;
  Page page = call.page();
  auto found = co_await call.fleet().policies(std::move(owner), std::move(page));
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const DestinationPolicy& policy : found->items) out.push_back(policy_json(policy));
  if (!found->next.empty()) call.headers.emplace_back("X-Next-Cursor", found->next);
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> get_policy(Call& call) {
  std::string id = call.parameter(0);
  UserId owner = call.who.user;
  auto policy = co_await call.fleet().policy(std::move(id), std::move(owner));
  PHASE_CO_TRY_VOID(policy);
  co_return answer_json(200, policy_json(*policy));
}

Task<Result<http::Reply>> put_policy(Call& call) {
  DestinationPolicy policy;
  policy.owner = call.who.user;
  policy.id = call.parameter(0);
  for (const json::value& rule : call.body.at("allowed_destinations").as_array()) {
    policy.rules.emplace_back(rule.as_string().data(), rule.as_string().size());
  }
  auto kept = co_await call.fleet().put_policy(std::move(policy));
  PHASE_CO_TRY_VOID(kept);
  co_return answer_json(200, policy_json(*kept));
}

Task<Result<http::Reply>> remove_policy(Call& call) {
  std::string id = call.parameter(0);
  UserId owner = call.who.user;
  auto gone = co_await call.fleet().remove_policy(std::move(id), std::move(owner));
  PHASE_CO_TRY_VOID(gone);
  co_return answer_json(
      200, json::object{{"message", "the policy is removed"}, {"policy_id", gone->id}});
}

}  // namespace phase::vcp::api
