// The table of the API. A request is routed, checked and described from its row, so none of these
// can say another thing than the rest.
#include "api/vcp/call_internal.h"
#include "api/vcp/operation.h"
#include "api/vcp/shapes.h"

namespace phase::vcp::api {
namespace {

using enum http::Method;
using List = std::vector<Operation>;

constexpr std::size_t kCursorBytesMax = 256;
constexpr std::size_t kAddressBytesMax = 300;

Answer ok(Schema body, std::string about = "done") {
  return {200, std::move(about), std::move(body)};
}
Answer made(Schema body) {
  return {201, "made", std::move(body)};
}

std::vector<QueryField> paged(std::vector<QueryField> more = {}) {
  more.push_back({"limit", Schema::integer(1, kPageMax), "items of one page; 100 when left out"});
  more.push_back({"after", Schema::text(0, kCursorBytesMax), "X-Next-Cursor of an earlier page"});
  return more;
}

Operation operation(http::Method method, std::string path, std::string id, std::string group,
                    std::string summary, Run run, std::vector<Answer> answers) {
  Operation out;
  out.method = method;
  out.path = std::move(path);
  out.id = std::move(id);
  out.group = std::move(group);
  out.summary = std::move(summary);
  out.answers = std::move(answers);
  out.run = run;
  return out;
}

Operation takes(Operation from, Schema body, std::uint64_t bytes_max = kBodyBytesMax) {
  from.body = std::move(body);
  from.body_bytes_max = bytes_max;
  return from;
}

Operation by(Operation from, Who who, std::string scope, Tier tier) {
  from.who = who;
  from.scope = std::move(scope);
  from.tier = tier;
  return from;
}

Operation open(Operation from, Tier tier = Tier::general) {
  return by(std::move(from), Who::anybody, "", tier);
}

void add_auth(List& all) {
  const std::string base = "/api/v1/auth/";
  all.push_back(open(operation(
      get, base + "status", "authStatus", "auth", "Whether there is an administrator yet",
      auth_status, {ok(Schema::object("AuthStatus", {{"admin_exists", Schema::boolean()}}))})));
  all.push_back(open(takes(operation(post, base + "bootstrap", "bootstrap", "auth",
                                     "Make the first administrator with the code of the console",
                                     auth_bootstrap, {made(shapes::user())}),
                           shapes::bootstrap()),
                     Tier::auth));
  all.push_back(open(takes(operation(post, base + "register", "register", "auth", "Make an account",
                                     auth_register, {made(shapes::registered())}),
                           shapes::registration()),
                     Tier::auth));
  all.push_back(open(takes(operation(post, base + "login", "login", "auth", "Begin a session",
                                     auth_login, {ok(shapes::session())}),
                           shapes::credentials(true)),
                     Tier::auth));
  Operation refresh = open(takes(operation(post, base + "refresh", "refresh", "auth",
                                           "Go on with a session; the refresh token is used up",
                                           auth_refresh, {ok(shapes::session())}),
                                 shapes::refresh()),
                           Tier::auth);
  refresh.body_optional = true;
  all.push_back(std::move(refresh));
  all.push_back(operation(post, base + "logout", "logout", "auth", "End this session", auth_logout,
                          {ok(shapes::texts("Message", {"message"}))}));
  Operation who =
      operation(get, base + "me", "me", "auth", "Who asks", auth_me, {ok(shapes::me())});
  all.push_back(std::move(who));
  all.push_back(operation(get, base + "api-keys", "listApiKeys", "auth", "One's API keys",
                          list_keys, {ok(Schema::array(shapes::api_key(false)))}));
  all.push_back(takes(operation(post, base + "api-keys", "addApiKey", "auth", "Make an API key",
                                add_key, {made(shapes::api_key(true))}),
                      shapes::new_key()));
  all.push_back(operation(remove, base + "api-keys/{key_id}", "removeApiKey", "auth",
                          "Revoke an API key", remove_key,
                          {ok(shapes::texts("KeyRevoked", {"message", "key_id"}))}));
  all.push_back(by(operation(get, base + "api-key/validate", "validateApiKey", "auth",
                             "Whose API key this is", validate_key, {ok(shapes::validated_key())}),
                   Who::key, "", Tier::general));
}

void add_nodes(List& all) {
  const std::string base = "/api/v1/nodes";
  const auto changed = [&](std::string word, std::string summary, Run run, Schema body) {
    all.push_back(by(operation(post, base + "/{node_id}/" + word, word + "Node", "nodes",
                               std::move(summary), run, {ok(std::move(body))}),
                     Who::user, "nodes:write", Tier::node));
  };
  Operation add = by(takes(operation(post, base, "registerNode", "nodes",
                                     "Register a node; the answer has its join token",
                                     register_node, {made(shapes::registered_node())}),
                           shapes::node_registration()),
                     Who::user, "nodes:write", Tier::node);
  add.idempotent = true;
  all.push_back(std::move(add));
  Operation list = by(operation(get, base, "listNodes", "nodes", "All nodes, newest first",
                                list_nodes, {ok(Schema::array(shapes::node_info()))}),
                      Who::user, "nodes:read", Tier::node);
  list.query = paged({{"status", Schema::words({"online", "offline", "rejected"}), "only these"},
                      {"region", Schema::text(1, kRegionBytesMax), "only these"},
                      {"type", shapes::node_types(), "only these"}});
  all.push_back(std::move(list));
  all.push_back(by(operation(get, base + "/{node_id}", "getNode", "nodes", "One node", get_node,
                             {ok(shapes::node_info())}),
                   Who::user, "nodes:read", Tier::node));
  all.push_back(by(operation(remove, base + "/{node_id}", "removeNode", "nodes", "Remove a node",
                             remove_node, {ok(shapes::texts("NodeGone", {"message", "node_id"}))}),
                   Who::user, "nodes:write", Tier::node));
  changed("reject", "Refuse a node", reject_node,
          shapes::texts("NodeRejected", {"message", "node_id", "status"}));
  changed("cordon", "Place nothing more on it", cordon_node, shapes::node_info());
  changed("uncordon", "Place on it again", uncordon_node, shapes::node_info());
  changed("drain", "Cordon it, and place elsewhere what runs there", drain_node,
          shapes::node_info());
  all.push_back(by(operation(put, base + "/{node_id}/heartbeat", "heartbeat", "nodes",
                             "What the coordinator knows of one's node; the heartbeat itself comes "
                             "over the node's connection",
                             heartbeat, {ok(shapes::heartbeat())}),
                   Who::user, "nodes:write", Tier::general));
  all.push_back(by(operation(get, base + "/{node_id}/heartbeat/activity", "nodeActivity", "nodes",
                             "The last 50 joins, losses and breaker changes of one's node since "
                             "the coordinator began, newest first",
                             node_activity, {ok(shapes::activity())}),
                   Who::user, "nodes:read", Tier::general));
}

void add_tasks(List& all) {
  const std::string base = "/api/v1/tasks";
  Operation add = by(takes(operation(post, base, "submitTask", "tasks", "Submit a task",
                                     submit_task, {made(shapes::task_info())}),
                           shapes::task_submission(), kTaskBodyBytesMax),
                     Who::user, "tasks:write", Tier::task);
  add.idempotent = true;
  all.push_back(std::move(add));
  Operation list = by(operation(get, base, "listTasks", "tasks", "One's tasks, newest first",
                                list_tasks, {ok(Schema::array(shapes::task_info()))}),
                      Who::user, "tasks:read", Tier::task);
  list.query =
      paged({{"status", Schema::words({"pending", "running", "completed", "failed", "cancelled"}),
              "only these"},
             {"type", shapes::task_types(), "only these"}});
  all.push_back(std::move(list));
  all.push_back(by(operation(get, base + "/{task_id}", "getTask", "tasks", "One task", get_task,
                             {ok(shapes::task_info())}),
                   Who::user, "tasks:read", Tier::task));
  all.push_back(
      by(operation(remove, base + "/{task_id}", "cancelTask", "tasks", "Cancel a task", cancel_task,
                   {ok(shapes::texts("TaskCancelled", {"message", "task_id"}))}),
         Who::user, "tasks:write", Tier::task));
  all.push_back(by(operation(get, base + "/{task_id}/receipts", "taskReceipts", "tasks",
                             "What the nodes signed, and whether it holds", task_receipts,
                             {ok(Schema::array(shapes::receipt()))}),
                   Who::user, "tasks:read", Tier::task));
  Operation result = by(operation(post, base + "/{task_id}/result", "postResult", "tasks",
                                  "Refused: results come over the mesh, with their receipts",
                                  post_result, {{409, "receipt_required", shapes::error()}}),
                        Who::user, "tasks:write", Tier::task);
  result.body_bytes_max = kBodyBytesMax * 4;
  all.push_back(std::move(result));
  Operation follow = by(operation(get, base + "/{task_id}/events", "taskEvents", "tasks",
                                  "What happens to a task, until its end", task_events,
                                  {{200, "events", {}, "text/event-stream"}}),
                        Who::user, "tasks:read", Tier::task);
  follow.stream = true;
  all.push_back(std::move(follow));
  Operation upload = by(operation(post, "/api/v1/modules", "uploadModule", "tasks",
                                  "Keep a module, so that tasks can name it", upload_module,
                                  {made(shapes::module())}),
                        Who::user, "tasks:write", Tier::task);
  upload.body_type = "application/wasm";
  upload.body_bytes_max = kModuleBytesMax;
  all.push_back(std::move(upload));
}

void add_cluster(List& all) {
  const std::string base = "/api/v1/";
  Operation follow = by(
      operation(get, base + "events", "events", "cluster", "What happens, as far as one may see it",
                all_events, {{200, "events", {}, "text/event-stream"}}),
      Who::user, "tasks:read", Tier::general);
  follow.stream = true;
  all.push_back(std::move(follow));
  all.push_back(by(operation(get, base + "cluster/stats", "clusterStats", "cluster",
                             "The fleet in figures", cluster_stats, {ok(shapes::cluster_stats())}),
                   Who::user, "nodes:read", Tier::general));
  all.push_back(by(operation(get, base + "cluster/series", "clusterSeries", "cluster",
                             "Figures over time, oldest first", cluster_series,
                             {ok(Schema::array(shapes::series_point()))}),
                   Who::user, "nodes:read", Tier::general));
  all.push_back(
      by(takes(operation(put, base + "cluster/strategy", "setStrategy", "cluster",
                         "Choose how tasks are placed", set_strategy, {ok(shapes::strategy())}),
               shapes::strategy()),
         Who::admin, "admin", Tier::general));
  all.push_back(open(operation(get, base + "mesh", "mesh", "cluster", "Where nodes dial", get_mesh,
                               {ok(shapes::mesh())})));
  all.push_back(by(operation(get, base + "credits", "credits", "credits", "One's balance",
                             get_credits, {ok(shapes::credits())}),
                   Who::user, "tasks:read", Tier::general));
  Operation entries = by(operation(get, base + "credits/entries", "creditEntries", "credits",
                                   "One's entries of the ledger", credit_entries,
                                   {ok(Schema::array(shapes::ledger_entry()))}),
                         Who::user, "tasks:read", Tier::general);
  entries.query = paged();
  all.push_back(std::move(entries));
  all.push_back(by(operation(get, base + "ledger/export", "exportLedger", "credits",
                             "The whole ledger, one JSON object a line", export_ledger,
                             {{200, "entries", {}, "application/jsonl"}}),
                   Who::admin, "admin", Tier::general));
}

void add_admin(List& all) {
  const std::string base = "/api/v1/admin/";
  const auto admin = [](Operation from) {
    return by(std::move(from), Who::admin, "admin", Tier::general);
  };
  Operation users = admin(operation(get, base + "users", "listUsers", "admin", "All accounts",
                                    list_users, {ok(Schema::array(shapes::user()))}));
  users.query = paged();
  all.push_back(std::move(users));
  all.push_back(admin(
      takes(operation(post, base + "users/{user_id}/role", "setRole", "admin",
                      "Make an administrator, or a user again", set_role, {ok(shapes::user())}),
            shapes::role_change())));
  Operation audit =
      admin(operation(get, base + "audit-log", "auditLog", "admin", "Who did what, newest first",
                      audit_log, {ok(Schema::array(shapes::audit_entry()))}));
  audit.query = paged();
  all.push_back(std::move(audit));
  all.push_back(admin(takes(operation(post, base + "throttle-overrides", "throttleOverride",
                                      "admin", "Another rate for an account or address",
                                      throttle_override, {ok(shapes::throttle())}),
                            shapes::throttle())));
}

void add_connect(List& all) {
  const std::string base = "/api/v1/connect-sessions";
  const auto session = [](Operation from, std::string scope) {
    return by(std::move(from), Who::user, std::move(scope), Tier::general);
  };
  all.push_back(session(takes(operation(post, base + "/start", "startConnectSession", "connect",
                                        "Begin the session of a connect_only task that has a node; "
                                        "503 while it has none, 409 while one is live",
                                        start_connect_session, {made(shapes::started_session())}),
                              shapes::session_start()),
                        "tasks:write"));
  all.push_back(
      session(operation(get, base + "/{session_id}", "getConnectSession", "connect",
                        "One's session", get_connect_session, {ok(shapes::connect_session())}),
              "tasks:read"));
  all.push_back(session(operation(post, base + "/{session_id}/heartbeat", "connectHeartbeat",
                                  "connect", "Say that its client is there", beat_connect_session,
                                  {ok(shapes::connect_session())}),
                        "tasks:write"));
  all.push_back(session(operation(post, base + "/{session_id}/stop", "stopConnectSession",
                                  "connect", "End it, and with it its task", stop_connect_session,
                                  {ok(shapes::connect_session())}),
                        "tasks:write"));
  Operation gateway =
      session(operation(get, "/api/v1/nodes/{node_id}/gateway-sessions", "gatewaySessions",
                        "connect", "What the gateway beside one's node lets through",
                        gateway_sessions, {ok(shapes::gateway_sessions())}),
              "nodes:read");
  gateway.query = {{"address", Schema::text(1, kAddressBytesMax),
                    "host:port where clients reach the gateway; their sessions show it"}};
  all.push_back(std::move(gateway));
  const std::string policies = "/api/v1/destination-policies";
  Operation list = session(
      operation(get, policies, "listPolicies", "connect", "One's destination policies, by id",
                list_policies, {ok(Schema::array(shapes::policy()))}),
      "tasks:read");
  list.query = paged();
  all.push_back(std::move(list));
  all.push_back(session(operation(get, policies + "/{policy_id}", "getPolicy", "connect",
                                  "One's destination policy", get_policy, {ok(shapes::policy())}),
                        "tasks:read"));
  all.push_back(session(takes(operation(put, policies + "/{policy_id}", "putPolicy", "connect",
                                        "Say where sessions of allowlist_domains may lead; live "
                                        "ones follow",
                                        put_policy, {ok(shapes::policy())}),
                              shapes::new_policy()),
                        "tasks:write"));
  all.push_back(session(operation(remove, policies + "/{policy_id}", "removePolicy", "connect",
                                  "Remove a policy that no task needs", remove_policy,
                                  {ok(shapes::texts("PolicyGone", {"message", "policy_id"}))}),
                        "tasks:write"));
}

/// Published paths whose work comes later.
void add_not_yet(List& all) {
  const std::string base = "/api/v1/";
  const std::tuple<http::Method, std::string, std::string, Tier> later[] = {
      {post, "proofs/verify", "verifyProof", Tier::proof}};
  for (const auto& [method, path, id, tier] : later) {
    Operation one = by(operation(method, base + path, id, "not yet", "Not available yet",
                                 not_available, {{501, "not available yet", shapes::error()}}),
                       Who::user, "tasks:read", tier);
    one.body_bytes_max = method == post ? kBodyBytesMax * 4 : 0;
    all.push_back(std::move(one));
  }
}

}  // namespace

std::vector<Operation> all_operations() {
  List all;
  all.push_back(open(operation(get, "/api/v1/health", "health", "cluster", "Whether it answers",
                               get_health, {ok(shapes::health())}),
                     Tier::none));
  add_auth(all);
  add_nodes(all);
  add_tasks(all);
  add_connect(all);
  add_cluster(all);
  add_admin(all);
  add_not_yet(all);
  all.push_back(open(operation(get, "/api-docs/openapi.json", "openapi", "cluster", "This document",
                               get_openapi, {ok(Schema::anything())})));
  all.push_back(
      by(operation(get, "/metrics", "metrics", "cluster", "Figures for Prometheus (0.0.4)",
                   get_metrics, {{200, "figures", {}, "text/plain"}}),
         Who::admin, "admin", Tier::general));
  return all;
}

}  // namespace phase::vcp::api
