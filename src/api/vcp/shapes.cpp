#include "api/vcp/shapes.h"

#include "vcp/accounts/account.h"

namespace phase::vcp::api::shapes {
namespace {

constexpr std::size_t kBase64ModuleMax = 66'666'668;

Schema text() {
  return Schema::text();
}
Schema time() {
  return Schema::text().form(Schema::Form::date_time);
}
Schema count() {
  return Schema::integer();
}
Schema flag() {
  return Schema::boolean();
}
Schema maybe_number() {
  return Schema::number().nullable();
}
Schema maybe_text() {
  return Schema::text().nullable();
}

Schema username() {
  return Schema::text(kUsernameBytesMin, kUsernameBytesMax).form(Schema::Form::word);
}
Schema password() {
  return Schema::text(kPasswordBytesMin, kPasswordBytesMax);
}

Schema scopes() {
  return Schema::words({std::begin(kScopes), std::end(kScopes)});
}

Schema tunnels() {
  return Schema::words({"mtls", "wireguard", "quic"});
}
Schema egresses() {
  return Schema::words({"allowlist_domains", "protocol_limited", "metered_general_egress"});
}

Schema requirements(bool taken) {
  const auto rest = [taken](std::string name, Schema schema) {
    return Field{std::move(name), std::move(schema), !taken};
  };
  const Schema any_number = Schema::number();
  return Schema::object(
      taken ? "TaskRequirements" : "TaskRequirementsInfo",
      {{"min_nodes", Schema::integer(1, kQuorumMax).about("so many nodes run it and must agree")},
       {"max_execution_time_sec", Schema::integer(1, kTaskSecondsMax).about("of one run")},
       {"require_gpu", flag()},
       {"require_proof", flag()},
       rest("min_health_score", taken ? Schema::number(0, 1) : any_number),
       rest("min_bandwidth_mbps", taken ? Schema::number(0, 100'000) : any_number),
       rest("max_latency_ms", taken ? Schema::number(0, 60'000).about("0: no matter") : any_number),
       rest("cpu_cores", Schema::integer(0, 256)),
       rest("memory_gb", taken ? Schema::number(0, 2'048) : any_number),
       rest("region", taken ? Schema::text(0, kRegionBytesMax) : maybe_text()),
       rest("allow_peers", flag().about("providers of the mesh may be asked, besides the fleet")),
       rest("deadline", taken ? time() : time().nullable())});
}

Schema term() {
  return Schema::object("HealthTerm", {{"value", maybe_number()},
                                       {"unit", text()},
                                       {"score", Schema::number()},
                                       {"evidence", text()},
                                       {"age_ms", count().nullable()}});
}

Schema node_health() {
  const Schema breaker =
      Schema::object("Breaker", {{"name", text()}, {"state", text()}, {"detail", text()}});
  const Schema claimed = Schema::object("ClaimedFigures", {{"cpu_percent", maybe_number()},
                                                           {"memory_percent", maybe_number()},
                                                           {"temperature_c", maybe_number()},
                                                           {"power_watts", maybe_number()},
                                                           {"gpu_percent", maybe_number()},
                                                           {"energy_joules", maybe_number()}});
  return Schema::object("NodeHealth", {{"score", Schema::number()},
                                       {"bandwidth", term()},
                                       {"latency", term()},
                                       {"compute", term()},
                                       {"reputation", term()},
                                       {"breakers", Schema::array(breaker)},
                                       {"claimed", claimed}});
}

std::vector<Field> node_fields() {
  const Schema capabilities =
      Schema::object("NodeCapabilitiesInfo", {{"bandwidth_mbps", Schema::number()},
                                              {"cpu_cores", count()},
                                              {"memory_gb", Schema::number()},
                                              {"gpu_available", flag()}});
  return {{"node_id", text()},
          {"region", text()},
          {"node_type", text()},
          {"owner_id", maybe_text().about("of one's own nodes, and for administrators")},
          {"capabilities", capabilities},
          {"health_score", Schema::number().about("0 to 100")},
          {"status", Schema::words({"online", "offline", "rejected"})},
          {"registered_at", time()},
          {"last_seen", time()},
          {"observability_port", count().nullable()},
          {"health", node_health()},
          {"public_key", maybe_text()},
          {"cordoned", flag()},
          {"draining", flag()},
          {"active_tasks", count()},
          {"completed_tasks", count()},
          {"failed_tasks", count()},
          {"disputes", count()},
          {"bond", count()},
          {"earned", count()}};
}

std::vector<Field> user_fields() {
  return {{"user_id", text()},     {"username", text()},
          {"email", maybe_text()}, {"role", Schema::words({"user", "admin"})},
          {"created_at", time()},  {"last_login", time().nullable()}};
}

Schema run() {
  const Schema claimed = Schema::object(
      "ClaimedRun", {{"wall_ms", count().nullable()}, {"energy_joules", maybe_number()}});
  return Schema::object("TaskRun",
                        {{"node_id", text()},
                         {"state", Schema::words({"assigned", "running", "committed", "verified",
                                                  "refuted", "failed", "superseded", "ended"})},
                         {"attempt", count()},
                         {"assigned_at", time()},
                         {"ended_at", time().nullable()},
                         {"reason", maybe_text()},
                         {"output_commitment", maybe_text()},
                         {"fuel", count().nullable()},
                         {"claimed", claimed},
                         {"job_id", maybe_text()},
                         {"receipt_verified", flag().nullable()},
                         {"paid", count()}});
}

}  // namespace

Schema texts(std::string name, const std::vector<std::string>& fields) {
  std::vector<Field> out;
  out.reserve(out.size() + fields.size());
  for (const std::string& field : fields) {
    out.push_back({field, text()});
  }
  return Schema::object(std::move(name), std::move(out));
}

// ── Taken ──

Schema credentials(bool with_cookie) {
  std::vector<Field> fields{{"username", Schema::text(1, 64)},
                            {"password", Schema::text(1, 1'024)}};
  if (with_cookie) {
    fields.push_back(optional(
        "cookie", flag().about("true: the tokens come as cookies too, the refresh token only so")));
  }
  return Schema::object("Login", std::move(fields));
}

Schema registration() {
  return Schema::object("Registration", {{"username", username()},
                                         {"password", password()},
                                         optional("email", Schema::text(3, kEmailBytesMax))});
}

Schema bootstrap() {
  return Schema::object(
      "Bootstrap",
      {{"code", Schema::text(1, 64)}, {"username", username()}, {"password", password()}});
}

Schema refresh() {
  return Schema::object("Refresh", {optional("refresh_token", Schema::text(1, 128))});
}

Schema new_key() {
  return Schema::object("NewApiKey", {{"name", Schema::text(1, kKeyNameBytesMax)},
                                      {"scopes", Schema::array(scopes(), std::size(kScopes))},
                                      optional("expires_at", time())});
}

Schema task_types() {
  return Schema::words({"federated_learning", "zk_proof", "wasm_execution", "computation",
                        "connect_only", "feen_connectivity"});
}

Schema node_types() {
  return Schema::words(
      {"compute", "gateway", "storage", "validator", "open_internet", "any", "feen_resonator"});
}

Schema node_registration() {
  const Schema capabilities =
      Schema::object("NodeCapabilities", {{"bandwidth_mbps", Schema::number(10, 100'000)},
                                          {"cpu_cores", Schema::integer(1, 256)},
                                          {"memory_gb", Schema::number(1, 2'048)},
                                          {"gpu_available", flag()}});
  return Schema::object(
      "NodeRegistration",
      {{"node_id", Schema::text(1, kNodeNameBytesMax).form(Schema::Form::node_name)},
       {"region", Schema::text(1, kRegionBytesMax)},
       {"node_type", node_types()},
       {"capabilities", capabilities},
       optional("observability_port", Schema::integer(1, 65'535).nullable())});
}

Schema task_submission() {
  return Schema::object(
      "TaskSubmission",
      {{"task_type", task_types()},
       optional("wasm_module", Schema::text(4, kBase64ModuleMax)
                                   .form(Schema::Form::base64)
                                   .about("at most 50 MB decoded")),
       optional("module_sha256", Schema::text(64, 64)
                                     .form(Schema::Form::sha256)
                                     .about("of a module that POST /modules took")),
       {"inputs", Schema::anything()},
       {"requirements", requirements(true)},
       optional("bid", Schema::integer().about("credits held until the end"))});
}

Schema session_start() {
  return Schema::object("ConnectSessionStart",
                        {{"task_id", Schema::text(36, 36).form(Schema::Form::uuid)},
                         optional("tunnel_protocol",
                                  tunnels().about("mtls when left out; kept and shown, no more"))});
}

Schema new_policy() {
  return Schema::object(
      "DestinationPolicy",
      {{"allowed_destinations",
        Schema::array(Schema::text(1, kHostBytesMax + 2), kDestinationsMax)
            .about("hosts: example.org, *.example.org (the suffix itself, too), 192.0.2.1")}});
}

Schema strategy() {
  return Schema::object(
      "Strategy",
      {{"strategy", Schema::words({"weighted", "round-robin", "least-loaded", "latency-aware"})}});
}

Schema role_change() {
  return Schema::object("RoleChange", {{"role", Schema::words({"user", "admin"})}});
}

Schema throttle() {
  return Schema::object(
      "ThrottleOverride",
      {{"subject", Schema::text(6, 128).about("user:<id> or address:<ip>")},
       {"tier", Schema::words({"auth", "node", "task", "proof", "general", "read"})},
       {"per_minute", Schema::integer(0, 1'000'000)},
       {"burst", Schema::integer(0, 1'000'000)},
       optional("expires_at", time())});
}

// ── Given ──

Schema error() {
  const Schema detail = Schema::object("FieldError", {{"field", text()}, {"message", text()}});
  return Schema::object("Error", {{"error", text().about("a word that does not change")},
                                  {"message", text()},
                                  optional("hint", text()),
                                  optional("details", Schema::array(detail))});
}

Schema health() {
  return Schema::object("HealthResponse",
                        {{"status", text()}, {"version", text()}, {"timestamp", time()}});
}

Schema user() {
  return Schema::object("User", user_fields());
}

Schema session() {
  return Schema::object("LoginResponse", {{"access_token", text()},
                                          {"refresh_token", maybe_text()},
                                          {"token_type", Schema::words({"Bearer"})},
                                          {"expires_in", count().about("seconds")},
                                          {"user", user()}});
}

Schema registered() {
  return Schema::object("Registered", {{"user_id", text()},
                                       {"username", text()},
                                       {"email", maybe_text()},
                                       {"api_key", text()},
                                       {"message", text()}});
}

Schema me() {
  std::vector<Field> fields = user_fields();
  fields.push_back({"authenticated_via", text()});
  fields.push_back({"scopes", Schema::array(scopes())});
  return Schema::object("Me", std::move(fields));
}

Schema api_key(bool with_secret) {
  std::vector<Field> fields{{"key_id", text()},
                            {"name", text()},
                            {"prefix", text()},
                            {"scopes", Schema::array(scopes())},
                            {"created_at", time()},
                            {"expires_at", time().nullable()},
                            {"last_used_at", time().nullable()}};
  if (with_secret) {
    fields.push_back({"api_key", text().about("shown once")});
  }
  return Schema::object(with_secret ? "ApiKeyMade" : "ApiKey", std::move(fields));
}

Schema validated_key() {
  return texts("ValidatedKey", {"user_id", "username", "role", "authenticated_via"});
}

Schema node_info() {
  return Schema::object("NodeInfo", node_fields());
}

Schema registered_node() {
  std::vector<Field> fields = node_fields();
  fields.push_back({"join_token", text().about("shown once")});
  fields.push_back({"join_command", text()});
  return Schema::object("RegisteredNode", std::move(fields));
}

Schema activity() {
  const Schema one = Schema::object(
      "NodeEvent",
      {{"event", Schema::words({"joined", "gone", "draining", "breaker_open", "breaker_half_open",
                                "breaker_closed", "task_connected", "task_cleared"})},
       {"at", time()},
       {"detail", text().about("why; which breaker; or empty")},
       optional("task_id", text().about("of task_connected and task_cleared")),
       optional("task_type", text()),
       optional("session_id", text()),
       optional("cleared_at", time().about("of task_cleared"))});
  return Schema::object("NodeActivity", {{"events", Schema::array(one)}});
}

Schema heartbeat() {
  const Schema assigned = texts("AssignedTask", {"task_id", "task_type", "execution_status"});
  return Schema::object("Heartbeat", {{"message", text()},
                                      {"node_id", text()},
                                      {"timestamp", time()},
                                      {"health_score", Schema::number()},
                                      {"node_status", text()},
                                      {"active_tasks", count()},
                                      {"assigned_task_ids", Schema::array(text())},
                                      {"assigned_tasks", Schema::array(assigned)},
                                      {"internet_active", flag().about("of a session on it")}});
}

Schema task_info() {
  const Schema held = Schema::object(
      "TaskCredits", {{"escrowed", count()}, {"paid", count()}, {"refunded", count()}});
  return Schema::object(
      "TaskInfo",
      {{"task_id", text().form(Schema::Form::uuid)},
       {"task_type", task_types()},
       {"status", Schema::words({"pending", "running", "completed", "failed", "cancelled"})},
       {"assigned_nodes", Schema::array(text())},
       {"former_assigned_nodes", Schema::array(text())},
       {"created_at", time()},
       {"updated_at", time()},
       {"result", Schema::anything()},
       {"proof_id", maybe_text()},
       {"stage", text()},
       {"reason", maybe_text()},
       {"owner_id", text()},
       {"requirements", requirements(false)},
       {"runs", Schema::array(run())},
       {"credits", held}});
}

Schema receipt() {
  return Schema::object("Receipt", {{"node_id", text()},
                                    {"manifest", text().about("COSE_Sign1 in base64")},
                                    {"receipt", text().about("COSE_Sign1 in base64")},
                                    {"verdict", text()}});
}

Schema module() {
  return Schema::object("Module",
                        {{"sha256", text()}, {"artifact_id", text()}, {"length", count()}});
}

Schema connect_session() {
  return Schema::object(
      "ConnectSessionInfo",
      {{"session_id", text().form(Schema::Form::uuid).about("made by the coordinator")},
       {"task_id", text().form(Schema::Form::uuid)},
       {"node_id", text()},
       {"requester_id", text().about("who owns the task")},
       {"tunnel_protocol", tunnels()},
       {"egress_profile", egresses()},
       {"destination_policy_id", text()},
       {"bandwidth_limit_mbps", count()},
       {"status", Schema::words({"active", "ended", "expired"})},
       {"internet_active",
        flag().about("a heartbeat came within 30 seconds, and the node is connected")},
       {"gateway_address", maybe_text().about("host:port, of a gateway that asked within 30 "
                                              "seconds and said so")},
       {"created_at", time()},
       {"expires_at", time()},
       {"last_heartbeat_at", time()},
       {"ended_at", time().nullable()},
       {"reason", maybe_text().about("of the end")}});
}

Schema started_session() {
  return Schema::object("ConnectSessionStarted", {{"session", connect_session()},
                                                  {"session_token", text().about("shown once")}});
}

Schema gateway_sessions() {
  const Schema one =
      Schema::object("GatewaySession", {{"session_id", text()},
                                        {"session_token_sha256", text().form(Schema::Form::sha256)},
                                        {"egress_profile", egresses()},
                                        {"destination_policy_id", text()},
                                        {"allowed_destinations", Schema::array(text())},
                                        {"bandwidth_limit_mbps", count()},
                                        {"expires_at_epoch_seconds", count()}});
  return Schema::object("GatewaySessions", {{"sessions", Schema::array(one)}});
}

Schema policy() {
  return Schema::object("DestinationPolicyInfo", {{"policy_id", text()},
                                                  {"allowed_destinations", Schema::array(text())},
                                                  {"updated_at", time()}});
}

Schema cluster_stats() {
  return Schema::object("ClusterStats", {{"total_nodes", count()},
                                         {"healthy_nodes", count()},
                                         {"total_tasks", count()},
                                         {"completed_tasks", count()},
                                         {"failed_tasks", count()},
                                         {"avg_health_score", Schema::number()},
                                         {"total_compute_capacity", Schema::number()},
                                         {"running_tasks", count()},
                                         {"pending_tasks", count()},
                                         {"strategy", text()},
                                         {"energy_joules", maybe_number()}});
}

Schema series_point() {
  return Schema::object("SeriesPoint", {{"at", time()},
                                        {"nodes_online", count()},
                                        {"tasks_completed", count()},
                                        {"tasks_failed", count()},
                                        {"avg_health_score", Schema::number()},
                                        {"power_watts", maybe_number()},
                                        {"energy_joules", maybe_number()},
                                        {"credits_paid", count()}});
}

Schema mesh() {
  return Schema::object("Mesh", {{"peer_id", text()}, {"addresses", Schema::array(text())}});
}

Schema credits() {
  return Schema::object("Credits", {{"account", text()}, {"balance", count()}});
}

Schema ledger_entry() {
  return Schema::object("LedgerEntry", {{"sequence", count()},
                                        {"at", time()},
                                        {"kind", text()},
                                        {"from", text()},
                                        {"to", text()},
                                        {"amount", count()},
                                        {"reference", text()},
                                        {"previous", text()},
                                        {"hash", text()}});
}

Schema audit_entry() {
  return Schema::object("AuditEntry", {{"id", count()},
                                       {"at", time()},
                                       {"user_id", maybe_text()},
                                       {"action", text()},
                                       {"resource", text()},
                                       {"address", text()},
                                       {"user_agent", text()},
                                       {"request_id", text()},
                                       {"status", count()},
                                       {"message", text()}});
}

}  // namespace phase::vcp::api::shapes
