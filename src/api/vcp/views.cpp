#include "api/vcp/views.h"

#include <algorithm>

#include <boost/json.hpp>

#include "api/vcp/times.h"

namespace phase::vcp::api {
namespace {

constexpr double kBytesPerMegabyte = 1024;

template <typename T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::value time_or_null(const std::optional<UtcTime>& time) {
  return time ? json::value(utc_text(*time)) : json::value(nullptr);
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object term_json(const TermView& term) {
  return {{"value", or_null(term.value)},
          {"unit", term.unit},
          {"score", term.score},
          {"evidence", term.evidence},
          {"age_ms", or_null(term.age_ms)}};
}

json::object health_json(const NodeHealthView& health) {
  json::array breakers;
  for (const BreakerView& breaker : health.breakers) {
    breakers.push_back(
        json::object{{"name", breaker.name}, {"state", breaker.state}, {"detail", breaker.detail}});
  }
  return {{"score", health.score},
          {"bandwidth", term_json(health.bandwidth)},
          {"latency", term_json(health.latency)},
          {"compute", term_json(health.compute)},
          {"reputation", term_json(health.reputation)},
          {"breakers", std::move(breakers)},
          {"claimed", json::object{{"cpu_percent", or_null(health.cpu_percent)},
                                   {"memory_percent", or_null(health.memory_percent)},
                                   {"temperature_c", or_null(health.temperature_c)},
                                   {"power_watts", or_null(health.power_watts)},
                                   {"gpu_percent", or_null(health.gpu_percent)},
                                   {"energy_joules", or_null(health.energy_joules)}}}};
}

json::object run_json(const RunView& run) {
  const json::value joules = run.claimed_energy_mj
                                 ? json::value(static_cast<double>(*run.claimed_energy_mj) / 1000)
                                 : json::value(nullptr);
  return {{"node_id", run.node},
          {"state", json::string(run_state_name(run.state))},
          {"attempt", run.attempt},
          {"assigned_at", utc_text(run.assigned)},
          {"ended_at", time_or_null(run.ended)},
          {"reason", text_or_null(run.reason)},
          {"output_commitment", or_null(run.output_commitment)},
          {"fuel", or_null(run.fuel)},
          {"claimed",
           json::object{{"wall_ms", or_null(run.claimed_wall_ms)}, {"energy_joules", joules}}},
          {"job_id", text_or_null(run.job_id)},
          {"receipt_verified", or_null(run.receipt_verified)},
          {"paid", run.paid}};
}

json::object requirements_json(const Requirements& wants) {
  return {{"min_nodes", wants.min_nodes},
          {"max_execution_time_sec", wants.max_execution_seconds},
          {"require_gpu", wants.gpu},
          {"require_proof", false},
          {"min_health_score", wants.health_min_permille / 1000.0},
          {"min_bandwidth_mbps", static_cast<double>(wants.bandwidth_kbps_min) / 1000},
          {"max_latency_ms", static_cast<double>(wants.latency_us_max) / 1000},
          {"cpu_cores", wants.cpu_cores},
          {"memory_gb", static_cast<double>(wants.memory_mb) / kBytesPerMegabyte},
          {"region", text_or_null(wants.region)},
          {"allow_peers", wants.allow_peers},
          {"deadline", time_or_null(wants.deadline)}};
}

/// Nodes whose runs are, or are not any more, of this task.
json::array nodes_of(const TaskView& task, bool former) {
  json::array out;
  for (const RunView& run : task.runs) {
    const bool over = run.state == RunState::failed || run.state == RunState::refuted ||
                      run.state == RunState::superseded;
    const json::value name(run.node);
    if (over == former && std::ranges::find(out, name) == out.end()) {
      out.push_back(name);
    }
  }
  return out;
}

json::value parsed_or_null(const std::string& text) {
  boost::system::error_code error;
  json::value out = text.empty() ? json::value(nullptr) : json::parse(text, error);
  return error ? json::value(nullptr) : out;
}

}  // namespace

json::object node_json(const NodeView& node, const Principal& who) {
  const NodeRegistration& said = node.registration;
  const bool own = !node.owner.empty() && (node.owner == who.user || who.is_admin());
  return {{"node_id", said.name},
          {"region", said.region},
          {"node_type", said.type},
          {"owner_id", own ? json::value(node.owner) : json::value(nullptr)},
          {"capabilities",
           json::object{{"bandwidth_mbps", said.bandwidth_mbps},
                        {"cpu_cores", said.cpu_cores},
                        {"memory_gb", static_cast<double>(said.memory_mb) / kBytesPerMegabyte},
                        {"gpu_available", said.gpu}}},
          {"health_score", node.health.score},
          {"status", node.status},
          {"registered_at", utc_text(node.registered)},
          {"last_seen", utc_text(node.last_seen)},
          {"observability_port", or_null(said.observability_port)},
          {"health", health_json(node.health)},
          {"public_key", text_or_null(node.public_key)},
          {"cordoned", node.cordoned},
          {"draining", node.draining},
          {"active_tasks", node.tasks.size()},
          {"completed_tasks", node.completed},
          {"failed_tasks", node.failed},
          {"disputes", node.disputes},
          {"bond", node.bond},
          {"earned", node.earned}};
}

json::object task_json(const TaskView& task) {
  json::array runs;
  for (const RunView& run : task.runs) {
    runs.push_back(run_json(run));
  }
  return {{"task_id", task.spec.id},
          {"task_type", json::string(task_type_name(task.spec.type))},
          {"status", json::string(task_state_name(task.state))},
          {"assigned_nodes", nodes_of(task, false)},
          {"former_assigned_nodes", nodes_of(task, true)},
          {"created_at", utc_text(task.spec.submitted)},
          {"updated_at", utc_text(task.updated)},
          {"result", parsed_or_null(task.result_json)},
          {"proof_id", nullptr},
          {"stage", task.stage},
          {"reason", text_or_null(task.reason)},
          {"owner_id", task.spec.owner},
          {"requirements", requirements_json(task.spec.requirements)},
          {"runs", std::move(runs)},
          {"credits",
           json::object{
               {"escrowed", task.escrowed}, {"paid", task.paid}, {"refunded", task.refunded}}}};
}

json::object receipt_json(const RunReceipt& receipt) {
  return {{"node_id", receipt.node},
          {"manifest", to_base64(receipt.manifest)},
          {"receipt", to_base64(receipt.receipt)},
          {"verdict", receipt.verdict}};
}

json::object session_json(const SessionView& view) {
  const ConnectSession& session = view.session;
  return {{"session_id", session.id},
          {"task_id", session.task},
          {"node_id", session.node},
          {"requester_id", session.requester},
          {"tunnel_protocol", json::string(tunnel_name(session.tunnel))},
          {"egress_profile", json::string(egress_name(session.wish.egress))},
          {"destination_policy_id", session.wish.policy},
          {"bandwidth_limit_mbps", session.wish.mbps},
          {"status", json::string(session_state_name(session.state))},
          {"internet_active", view.internet_active},
          {"gateway_address", text_or_null(view.gateway_address)},
          {"created_at", utc_text(session.created)},
          {"expires_at", utc_text(session.expires)},
          {"last_heartbeat_at", utc_text(session.heard)},
          {"ended_at", time_or_null(session.ended)},
          {"reason", text_or_null(session.reason)}};
}

json::object gateway_session_json(const GatewaySession& one) {
  constexpr std::uint64_t kSecond_ms = 1'000;
  const ConnectSession& session = one.session;
  return {{"session_id", session.id},
          {"session_token_sha256", session.token.hex()},
          {"egress_profile", json::string(egress_name(session.wish.egress))},
          {"destination_policy_id", session.wish.policy},
          {"allowed_destinations", json::array(one.rules.begin(), one.rules.end())},
          {"bandwidth_limit_mbps", session.wish.mbps},
          {"expires_at_epoch_seconds", session.expires.unix_ms / kSecond_ms}};
}

json::object policy_json(const DestinationPolicy& policy) {
  return {{"policy_id", policy.id},
          {"allowed_destinations", json::array(policy.rules.begin(), policy.rules.end())},
          {"updated_at", utc_text(policy.updated)}};
}

json::object stats_json(const ClusterStats& stats) {
  return {{"total_nodes", stats.total_nodes},
          {"healthy_nodes", stats.healthy_nodes},
          {"total_tasks", stats.total_tasks},
          {"completed_tasks", stats.completed_tasks},
          {"failed_tasks", stats.failed_tasks},
          {"avg_health_score", stats.avg_health_score},
          {"total_compute_capacity", stats.total_compute_capacity},
          {"running_tasks", stats.running_tasks},
          {"pending_tasks", stats.pending_tasks},
          {"strategy", stats.strategy},
          {"energy_joules", or_null(stats.energy_joules)}};
}

json::object point_json(const SeriesPoint& point) {
  return {{"at", utc_text(point.at)},
          {"nodes_online", point.nodes_online},
          {"tasks_completed", point.tasks_completed},
          {"tasks_failed", point.tasks_failed},
          {"avg_health_score", point.avg_health_score},
          {"power_watts", or_null(point.power_watts)},
          {"energy_joules", or_null(point.energy_joules)},
          {"credits_paid", point.credits_paid}};
}

json::object entry_json(const LedgerEntry& entry) {
  return {{"sequence", entry.sequence},
          {"at", utc_text(entry.at)},
          {"kind", entry.kind},
          {"from", entry.from},
          {"to", entry.to},
          {"amount", entry.amount},
          {"reference", entry.reference},
          {"previous", entry.previous},
          {"hash", entry.hash}};
}

json::object user_json(const User& user) {
  return {{"user_id", user.id},
          {"username", user.username},
          {"email", text_or_null(user.email)},
          {"role", json::string(role_name(user.role))},
          {"created_at", utc_text(user.created)},
          {"last_login", time_or_null(user.last_login)}};
}

json::object key_json(const ApiKey& key) {
  json::array scopes;
  for (const std::string& scope : key.scopes) {
    scopes.push_back(json::string(scope));
  }
  return {{"key_id", key.id},
          {"name", key.name},
          {"prefix", key.prefix},
          {"scopes", std::move(scopes)},
          {"created_at", utc_text(key.created)},
          {"expires_at", time_or_null(key.expires)},
          {"last_used_at", time_or_null(key.last_used)}};
}

json::object audit_json(const AuditEntry& entry) {
  return {{"id", entry.id},
          {"at", utc_text(entry.at)},
          {"user_id", text_or_null(entry.user)},
          {"action", entry.action},
          {"resource", entry.resource},
          {"address", entry.address},
          {"user_agent", entry.user_agent},
          {"request_id", entry.request_id},
          {"status", entry.status},
          {"message", entry.message}};
}

}  // namespace phase::vcp::api
