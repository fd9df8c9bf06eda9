// Goal: the published paths answer in the published form, to whom they should, and to nobody else.
// Method: real sockets, a real server and real accounts; a fleet in memory that runs nothing. What
// the fleet itself does is tested with the coordinator.
#include <regex>
#include <set>

#include "api/vcp/api_fixture.h"
#include "base/files.h"

namespace phase::vcp::api {
namespace {

constexpr std::string_view kCsrf = "X-VCP-CSRF: 1\r\n";

// ── Who may ──

TEST_F(ApiTest, AnswersHealthToEverybodyWithSafeHeaders) {
  start();
  const Got got = get("/api/v1/health");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.text("status"), "healthy");
  for (const char* header : {"Content-Security-Policy: default-src 'none'",
                             "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
                             "Referrer-Policy: ", "X-Request-Id: ", "Cache-Control: no-store"}) {
    EXPECT_TRUE(got.has(header)) << header;
  }
  EXPECT_FALSE(got.has("Strict-Transport-Security")) << "without TLS it would lock people out";
  EXPECT_FALSE(got.has("unsafe-inline"));
}

TEST_F(ApiTest, WithoutALoginThereIsNothingToSee) {
  start();
  for (const char* path :
       {"/api/v1/nodes", "/api/v1/tasks", "/api/v1/cluster/stats", "/api/v1/credits", "/metrics",
        "/api/v1/admin/users", "/api/v1/events", "/api/v1/auth/me"}) {
    const Got got = get(path);
    EXPECT_EQ(got.status, 401) << path;
    EXPECT_EQ(got.text("error"), "unauthorized");
    EXPECT_FALSE(got.text("hint").empty());
    EXPECT_TRUE(got.has("WWW-Authenticate: Bearer"));
  }
  EXPECT_EQ(get("/api/v1/nodes", "Authorization: Bearer nonsense\r\n").status, 401);
  EXPECT_EQ(get("/api/v1/nodes", "X-API-Key: vcp_nonsense\r\n").status, 401);
  EXPECT_EQ(get("/api/v1/nodes", "Cookie: vcp_session=nonsense\r\n").status, 401);
}

TEST_F(ApiTest, TheFirstAdministratorComesByTheCode) {
  start();
  EXPECT_FALSE(get("/api/v1/auth/status").json().at("admin_exists").as_bool());
  const std::string body = R"({"code":"wrong","username":"root","password":"correct horse"})";
  EXPECT_EQ(ask("POST", "/api/v1/auth/bootstrap", body).status, 401);
  const std::string root = admin();
  EXPECT_TRUE(get("/api/v1/auth/status").json().at("admin_exists").as_bool());
  EXPECT_EQ(get("/api/v1/auth/me", root).text("role"), "admin");
  EXPECT_EQ(ask("POST", "/api/v1/auth/bootstrap", body).status, 409);
  EXPECT_EQ(get("/api/v1/credits", root).json().at("balance"), 1'000);
}

TEST_F(ApiTest, SessionsBeginGoOnAndEnd) {
  start();
  static_cast<void>(sign_up("ada"));
  const Got first =
      ask("POST", "/api/v1/auth/login", R"({"username":"ada","password":"correct horse"})");
  EXPECT_EQ(first.text("token_type"), "Bearer");
  EXPECT_FALSE(first.has("Set-Cookie"));
  const std::string refresh = R"({"refresh_token":")" + first.text("refresh_token") + R"("})";
  const Got second = ask("POST", "/api/v1/auth/refresh", refresh);
  EXPECT_EQ(second.status, 200) << second.body;
  const std::string who = "Authorization: Bearer " + second.text("access_token") + "\r\n";
  EXPECT_EQ(get("/api/v1/auth/me", who).text("username"), "ada");
  EXPECT_EQ(ask("POST", "/api/v1/auth/refresh", refresh).status, 401) << "used before";
  EXPECT_EQ(get("/api/v1/auth/me", who).status, 401) << "and the whole session is over";
  const std::string again = login("ada");
  EXPECT_EQ(ask("POST", "/api/v1/auth/logout", {}, again).status, 200);
  EXPECT_EQ(get("/api/v1/auth/me", again).status, 401);
  const Got wrong = ask("POST", "/api/v1/auth/login", R"({"username":"ada","password":"x"})");
  EXPECT_EQ(wrong.status, 401);
}

TEST_F(ApiTest, ABrowserHasItsSessionInCookiesThatOtherPagesCannotUse) {
  start();
  static_cast<void>(sign_up("ada"));
  const Got got = ask("POST", "/api/v1/auth/login",
                      R"({"username":"ada","password":"correct horse","cookie":true})");
  EXPECT_TRUE(got.has("Set-Cookie: vcp_session="));
  EXPECT_TRUE(got.has("HttpOnly; SameSite=Strict"));
  EXPECT_TRUE(got.has("Path=/api/v1/auth; "));
  EXPECT_TRUE(got.json().at("refresh_token").is_null());
  const std::string access = got.text("access_token");
  const std::string cookie = "Cookie: theme=dark; vcp_session=" + access + "\r\n";
  EXPECT_EQ(get("/api/v1/auth/me", cookie).text("authenticated_via"), "cookie");
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, cookie).status, 403);
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, cookie + std::string{kCsrf}).status, 201);
  const std::size_t at = got.head.find("vcp_refresh=");
  const std::string token = got.head.substr(at, got.head.find(';', at) - at);
  EXPECT_EQ(ask("POST", "/api/v1/auth/refresh", {}, "Cookie: " + token + "\r\n").status, 403);
  const Got next =
      ask("POST", "/api/v1/auth/refresh", "{}", "Cookie: " + token + "\r\n" + std::string{kCsrf});
  EXPECT_EQ(next.status, 200) << next.body;
  EXPECT_TRUE(next.has("Set-Cookie: vcp_refresh=rt_"));
}

TEST_F(ApiTest, AKeyMayWhatItsScopesSay) {
  start();
  const std::string who = sign_up("ada");
  const std::string reads = key(who, R"("nodes:read")");
  EXPECT_EQ(get("/api/v1/nodes", reads).status, 200);
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, reads).status, 403);
  EXPECT_EQ(get("/api/v1/tasks", reads).status, 403);
  EXPECT_EQ(get("/api/v1/auth/api-keys", reads).status, 403) << "keys are made after a login only";
  EXPECT_EQ(get("/api/v1/auth/api-key/validate", reads).text("username"), "ada");
  const Got list = get("/api/v1/auth/api-keys", who);
  ASSERT_EQ(list.json().as_array().size(), 2U) << "and the one of the registration";
  const std::string id{list.json().at(0).at("key_id").as_string().c_str()};
  EXPECT_EQ(ask("DELETE", "/api/v1/auth/api-keys/" + id, {}, who).status, 200);
  EXPECT_EQ(ask("DELETE", "/api/v1/auth/api-keys/" + id, {}, who).status, 404);
  const std::string admins = key(who, R"("admin")");
  EXPECT_EQ(get("/api/v1/admin/users", admins).status, 403)
      << "a user's key makes no administrator";
}

TEST_F(ApiTest, OnlyAdministratorsAdminister) {
  start();
  const std::string root = admin();
  const std::string ada = sign_up("ada");
  for (const char* path :
       {"/api/v1/admin/users", "/api/v1/admin/audit-log", "/metrics", "/api/v1/ledger/export"}) {
    EXPECT_EQ(get(path, ada).status, 403) << path;
    EXPECT_EQ(get(path, root).status, 200) << path;
  }
  const Got users = get("/api/v1/admin/users?limit=1", root);
  EXPECT_EQ(users.json().at(0).at("username"), "ada");
  const std::string cursor = users.header("X-Next-Cursor");
  const Got rest = get("/api/v1/admin/users?limit=1&after=" + cursor, root);
  EXPECT_EQ(rest.json().at(0).at("username"), "root");
  EXPECT_EQ(rest.header("X-Next-Cursor"), "");
  const std::string id{users.json().at(0).at("user_id").as_string().c_str()};
  const Got role = ask("POST", "/api/v1/admin/users/" + id + "/role", R"({"role":"admin"})", root);
  EXPECT_EQ(role.text("role"), "admin");
  EXPECT_EQ(get("/api/v1/auth/me", ada).status, 401) << "a role begins with a new login";
  const Got strategy =
      ask("PUT", "/api/v1/cluster/strategy", R"({"strategy":"round-robin"})", root);
  EXPECT_EQ(strategy.status, 200);
  EXPECT_EQ(get("/api/v1/cluster/stats", root).text("strategy"), "round-robin");
  EXPECT_EQ(ask("PUT", "/api/v1/cluster/strategy", R"({"strategy":"x"})", root).status, 422);
}

TEST_F(ApiTest, WritesAndRefusalsStandInTheAuditLog) {
  start();
  const std::string root = admin();
  static_cast<void>(ask("POST", "/api/v1/nodes", kNode, root + "User-Agent: test/1\r\n"));
  static_cast<void>(get("/api/v1/tasks"));
  Got log;
  for (int i = 0; i < 500 && log.body.find("auth.failure") == std::string::npos; ++i) {
    log = get("/api/v1/admin/audit-log", root);  // it is written in batches, soon
  }
  EXPECT_NE(log.body.find("\"POST /api/v1/nodes\""), std::string::npos) << log.body;
  EXPECT_NE(log.body.find("\"test/1\""), std::string::npos);
  EXPECT_NE(log.body.find("\"auth.failure\""), std::string::npos);
  EXPECT_EQ(log.body.find("correct horse"), std::string::npos);
}

// ── Forms ──

TEST_F(ApiTest, NodesAreRegisteredListedAndChanged) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob_");
  const Got made = ask("POST", "/api/v1/nodes", kNode, ada);
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_TRUE(made.text("join_token").starts_with("jt_"));
  EXPECT_NE(made.text("join_command").find("ambient-vcp node --id n-1 --region eu-central"),
            std::string::npos);
  EXPECT_NE(made.text("join_command").find("--coordinator-url http://localhost "),
            std::string::npos);
  EXPECT_TRUE(made.json().at_pointer("/health/bandwidth/value").is_null()) << "unknown is null";
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, bob).status, 409);
  EXPECT_TRUE(get("/api/v1/nodes/n-1", ada).json().at("owner_id").is_string());
  EXPECT_TRUE(get("/api/v1/nodes/n-1", bob).json().at("owner_id").is_null()) << "whose is not told";
  EXPECT_EQ(get("/api/v1/nodes?type=compute&status=offline", ada).json().as_array().size(), 1U);
  EXPECT_EQ(get("/api/v1/nodes?region=us-west", ada).json().as_array().size(), 0U);
  EXPECT_EQ(ask("POST", "/api/v1/nodes/n-1/cordon", {}, bob).status, 404);
  EXPECT_TRUE(ask("POST", "/api/v1/nodes/n-1/cordon", {}, ada).json().at("cordoned").as_bool());
  EXPECT_FALSE(ask("POST", "/api/v1/nodes/n-1/uncordon", {}, ada).json().at("cordoned").as_bool());
  EXPECT_TRUE(ask("POST", "/api/v1/nodes/n-1/drain", {}, ada).json().at("draining").as_bool());
  EXPECT_EQ(ask("PUT", "/api/v1/nodes/n-1/heartbeat", {}, ada).text("node_status"), "offline");
  EXPECT_EQ(ask("PUT", "/api/v1/nodes/n-1/heartbeat", {}, bob).status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/nodes/n-1/reject", {}, ada).text("status"), "rejected");
  EXPECT_EQ(ask("DELETE", "/api/v1/nodes/n-1", {}, ada).text("node_id"), "n-1");
  EXPECT_EQ(get("/api/v1/nodes/n-1", ada).status, 404);
}

TEST_F(ApiTest, TasksAreSubmittedListedAndCancelledByTheirOwners) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob_");
  const Got made = ask("POST", "/api/v1/tasks", kTask, ada);
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("status"), "pending");
  EXPECT_EQ(made.text("reason"), "no node is online") << "waiting says for what";
  EXPECT_TRUE(made.json().at("result").is_null()) << "no result that no node produced";
  EXPECT_EQ(fleet_.last_submission.module, from_base64("AGFzbQEAAAA=").value());
  EXPECT_EQ(fleet_.last_submission.inputs_json, R"({"stdin":"hi"})");
  const std::string path = "/api/v1/tasks/" + made.text("task_id");
  EXPECT_EQ(get(path, ada).text("task_id"), made.text("task_id"));
  EXPECT_EQ(get(path, bob).status, 404);
  EXPECT_EQ(get("/api/v1/tasks", bob).json().as_array().size(), 0U);
  EXPECT_EQ(get("/api/v1/tasks?status=pending", ada).json().as_array().size(), 1U);
  EXPECT_EQ(get("/api/v1/tasks?status=running", ada).json().as_array().size(), 0U);
  EXPECT_EQ(get("/api/v1/tasks?status=lost", ada).status, 422);
  EXPECT_EQ(get(path + "/receipts", ada).json().at(0).at("verdict"), "verified");
  EXPECT_EQ(get(path + "/receipts", bob).status, 404);
  EXPECT_EQ(ask("DELETE", path, {}, bob).status, 404);
  EXPECT_EQ(ask("DELETE", path, {}, ada).status, 200);
  EXPECT_EQ(get(path, ada).text("status"), "cancelled");
}

TEST_F(ApiTest, WhatATaskRequiresComesThrough) {
  start();
  const std::string ada = sign_up("ada");
  std::string task{kTask};
  const std::string_view old =
      R"("min_nodes":1,"max_execution_time_sec":60,"require_gpu":false,"require_proof":false)";
  task.replace(task.find(old), old.size(),
               R"("min_nodes":3,"max_execution_time_sec":61,"require_gpu":true,)"
               R"("require_proof":false,"min_health_score":0.25,"min_bandwidth_mbps":12.5,)"
               R"("max_latency_ms":7.5,"cpu_cores":6,"memory_gb":1.5,"region":"eu-central",)"
               R"("deadline":"2099-01-01T00:00:00Z")");
  task.insert(task.size() - 1, R"(,"bid":77)");
  const Got got = ask("POST", "/api/v1/tasks", task, ada);
  ASSERT_EQ(got.status, 201) << got.body;
  const Requirements& wants = fleet_.last_submission.requirements;
  EXPECT_EQ(wants.min_nodes, 3U);
  EXPECT_EQ(wants.max_execution_seconds, 61U);
  EXPECT_TRUE(wants.gpu);
  EXPECT_EQ(wants.health_min_permille, 250U);
  EXPECT_EQ(wants.bandwidth_kbps_min, 12'500U);
  EXPECT_EQ(wants.latency_us_max, 7'500U);
  EXPECT_EQ(wants.cpu_cores, 6U);
  EXPECT_EQ(wants.memory_mb, 1'536U);
  EXPECT_EQ(wants.region, "eu-central");
  ASSERT_TRUE(wants.deadline.has_value());
  EXPECT_EQ(wants.deadline->unix_ms, 4'070'908'800'000U);
  EXPECT_EQ(fleet_.last_submission.bid, 77U);
}

TEST_F(ApiTest, ListsComeInPages) {
  start();
  const std::string ada = sign_up("ada");
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(ask("POST", "/api/v1/tasks", kTask, ada).status, 201);
  }
  std::string after;
  std::size_t seen = 0, pages = 0;
  do {
    const Got got = get("/api/v1/tasks?limit=2" + (after.empty() ? "" : "&after=" + after), ada);
    ASSERT_EQ(got.status, 200) << got.body;
    seen += got.json().as_array().size();
    after = got.header("X-Next-Cursor");
    ++pages;
  } while (!after.empty() && pages < 10);
  EXPECT_EQ(seen, 5U);
  EXPECT_EQ(pages, 3U);
  for (const char* bad : {"limit=0", "limit=501", "limit=x", "limit=-1", "after=nonsense", "x=1"}) {
    EXPECT_EQ(get("/api/v1/tasks?" + std::string{bad}, ada).status, 422) << bad;
  }
}

TEST_F(ApiTest, NamesWhatIsWrongWithARequest) {
  start();
  const std::string ada = sign_up("ada");
  const Got got = ask("POST", "/api/v1/nodes",
                      R"({"node_id":"a b","region":"x","node_type":"moon","capabilities":{)"
                      R"("bandwidth_mbps":1,"cpu_cores":4.5,"memory_gb":8},"extra":1})",
                      ada);
  EXPECT_EQ(got.status, 422) << got.body;
  EXPECT_EQ(got.text("error"), "validation_error");
  for (const char* field : {"node_id", "node_type", "capabilities.bandwidth_mbps",
                            "capabilities.cpu_cores", "capabilities.gpu_available", "extra"}) {
    EXPECT_NE(got.body.find("\"field\":\"" + std::string{field} + "\""), std::string::npos)
        << field;
  }
  for (const char* bad : {"", "[]", "{", "nonsense", R"({"a":1,"a":2})"}) {
    const Got answer = ask("POST", "/api/v1/nodes", bad, ada);
    EXPECT_EQ(answer.status, 400) << bad << answer.body;
    EXPECT_EQ(answer.text("error"), "bad_request");
  }
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, ada + "Content-Type: text/plain\r\n").status, 400);
}

std::string nested(int levels) {
  std::string out(static_cast<std::size_t>(levels), '[');
  return out + std::string(static_cast<std::size_t>(levels), ']');
}

std::string with_inputs(std::string_view task, const std::string& inputs) {
  std::string out{task};
  const std::string_view old = R"({"stdin":"hi"})";
  return out.replace(out.find(old), old.size(), inputs);
}

TEST_F(ApiTest, InputsHaveTheirPublishedLimits) {
  start();
  const std::string ada = sign_up("ada");
  std::string items = "[0";
  for (int i = 0; i < 999; ++i) items += ",0";
  const std::string text(10'000, 'x');
  for (const std::string& good :
       {nested(16), items + "]", '"' + text + '"', R"({")" + std::string(256, 'k') + R"(":1})"}) {
    const Got got = ask("POST", "/api/v1/tasks", with_inputs(kTask, good), ada);
    EXPECT_EQ(got.status, 201) << good.substr(0, 40) << got.body;
  }
  for (const std::string& bad :
       {items + ",0]", '"' + text + "x\"", R"({")" + std::string(257, 'k') + R"(":1})"}) {
    const Got got = ask("POST", "/api/v1/tasks", with_inputs(kTask, bad), ada);
    EXPECT_EQ(got.status, 422) << bad.substr(0, 40) << got.body;
  }
  EXPECT_EQ(ask("POST", "/api/v1/tasks", with_inputs(kTask, nested(17)), ada).status, 400);
}

TEST_F(ApiTest, ModulesOfFiftyMegabytesGoThroughAndNoLarger) {
  start();
  const std::string ada = sign_up("ada");
  const std::string module(50'000'000, '\0');
  const Got kept = ask("POST", "/api/v1/modules", module, ada);
  ASSERT_EQ(kept.status, 201) << kept.body;
  EXPECT_EQ(kept.text("sha256"), sha256(as_bytes(module)).hex());
  EXPECT_TRUE(kept.text("artifact_id").starts_with("artifact:"));
  EXPECT_EQ(ask("POST", "/api/v1/modules", module + "x", ada).status, 413);
  std::string task{kTask};
  const std::string_view old = "AGFzbQEAAAA=";
  task.replace(task.find(old), old.size(), to_base64(as_bytes(module)));
  EXPECT_EQ(ask("POST", "/api/v1/tasks", task, ada).status, 201);
  EXPECT_EQ(fleet_.last_submission.module->size(), module.size());
  std::string larger{kTask};
  larger.replace(larger.find(old), old.size(), to_base64(as_bytes(module + "x")));
  const Got refused = ask("POST", "/api/v1/tasks", larger, ada);
  EXPECT_EQ(refused.status, 413) << refused.body;
  EXPECT_EQ(ask("POST", "/api/v1/modules", module).status, 401) << "not read from strangers";
}

TEST_F(ApiTest, AResultWithoutAReceiptIsRefusedForEveryTaskAlike) {
  start();
  const std::string ada = sign_up("ada");
  const Got mine = ask("POST", "/api/v1/tasks", std::string{kTask}, ada);
  ASSERT_EQ(mine.status, 201);
  for (const std::string& id : {mine.text("task_id"), std::string("nobody-s")}) {
    const Got got = ask("POST", "/api/v1/tasks/" + id + "/result", R"({"node_id":"n"})", ada);
    EXPECT_EQ(got.status, 409);
    EXPECT_EQ(got.text("error"), "receipt_required");
    EXPECT_NE(got.text("message").find("node's own connection"), std::string::npos);
  }
  EXPECT_EQ(ask("POST", "/api/v1/tasks/x/result", "{}").status, 401);
  EXPECT_EQ(ask("GET", "/api/v1/tasks/" + mine.text("task_id"), "", ada).text("status"),
            mine.text("status"));
}

TEST_F(ApiTest, ANodesActivityIsItsOwners) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob");
  ASSERT_EQ(ask("POST", "/api/v1/nodes", kNode, ada).status, 201);
  const std::string path = "/api/v1/nodes/n-1/heartbeat/activity";
  const Got got = ask("GET", path, "", ada);
  EXPECT_EQ(got.status, 200);
  const json::array events = got.json().as_object().at("events").as_array();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events.at(0).at("event").as_string(), "gone");
  EXPECT_EQ(events.at(1).at("event").as_string(), "joined");
  EXPECT_EQ(ask("GET", path, "", bob).status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/nodes/nobody/heartbeat/activity", "", ada).status, 404);
}

TEST_F(ApiTest, WhatIsNotBuiltSaysSo) {
  start();
  const std::string ada = sign_up("ada");
  const Got got = ask("POST", "/api/v1/proofs/verify", "{}", ada);
  EXPECT_EQ(got.status, 501);
  EXPECT_EQ(got.text("error"), "not_implemented");
  EXPECT_NE(got.text("message").find("not available yet"), std::string::npos);
  for (const char* type : {"federated_learning", "zk_proof", "feen_connectivity"}) {
    std::string task{kTask};
    task.replace(task.find("wasm_execution"), std::strlen("wasm_execution"), type);
    EXPECT_EQ(ask("POST", "/api/v1/tasks", task, ada).status, 501) << type;
  }
  std::string proven{kTask};
  proven.replace(proven.rfind("false"), 5, "true");
  EXPECT_EQ(ask("POST", "/api/v1/tasks", proven, ada).status, 501);
  EXPECT_EQ(fleet_.submissions, 0U);
}

// ── Sessions ──

TEST_F(ApiTest, ASessionIsItsRequestersAndItsGatewayGetsNoToken) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob");
  ASSERT_EQ(ask("POST", "/api/v1/nodes", kNode, bob).status, 201);
  std::string wish{kTask};
  wish.erase(wish.find(R"("wasm_module")"), std::strlen(R"("wasm_module":"AGFzbQEAAAA=",)"));
  wish.replace(wish.find("wasm_execution"), std::strlen("wasm_execution"), "connect_only");
  const std::string task = ask("POST", "/api/v1/tasks", wish, ada).text("task_id");
  const std::string start = R"({"task_id":")" + task + R"("})";
  const std::string reads = key(ada, R"("tasks:read")"), writes = key(ada, R"("tasks:write")");
  EXPECT_EQ(ask("POST", "/api/v1/connect-sessions/start", start, bob).status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/connect-sessions/start", start, reads).status, 403);
  EXPECT_EQ(ask("POST", "/api/v1/connect-sessions/start", R"({"task_id":"x"})", ada).status, 422);
  const Got begun = ask("POST", "/api/v1/connect-sessions/start", start, writes);
  ASSERT_EQ(begun.status, 201) << begun.body;
  const json::object session = begun.json().as_object().at("session").as_object();
  EXPECT_EQ(session.at("tunnel_protocol").as_string(), "mtls");
  EXPECT_EQ(session.at("ended_at"), nullptr);
  const std::string token = begun.text("session_token");
  EXPECT_EQ(token.size(), 67U);
  const std::string path =
      "/api/v1/connect-sessions/" + std::string(session.at("session_id").as_string());
  EXPECT_EQ(get(path, reads).status, 200);
  EXPECT_EQ(get(path, bob).status, 404);
  EXPECT_EQ(get(path).status, 401);
  EXPECT_EQ(ask("POST", path + "/heartbeat", "", reads).status, 403);
  EXPECT_EQ(ask("POST", path + "/heartbeat", "", writes).status, 200);

  const std::string gateway = key(bob, R"("nodes:read")");
  const Got shown = get("/api/v1/nodes/n-1/gateway-sessions", gateway);
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(shown.body.find(token), std::string::npos);
  const json::value one = shown.json().as_object().at("sessions").as_array().at(0);
  EXPECT_EQ(one.at("session_token_sha256").as_string(), sha256(as_bytes(token)).hex());
  EXPECT_EQ(get("/api/v1/nodes/n-1/gateway-sessions", ada).status, 404);
  EXPECT_EQ(get("/api/v1/nodes/n-1/gateway-sessions", key(bob, R"("tasks:read")")).status, 403);
  const Got over = ask("POST", path + "/stop", "", writes);
  EXPECT_EQ(over.text("status"), "ended");
}

TEST_F(ApiTest, PoliciesAreTheirOwners) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob");
  const std::string path = "/api/v1/destination-policies/docs";
  EXPECT_EQ(ask("PUT", path, R"({"allowed_destinations":["example.org"]})", ada).status, 200);
  EXPECT_EQ(ask("PUT", path, R"({"allowed_destinations":"example.org"})", ada).status, 422);
  EXPECT_EQ(get(path, ada).json().at("allowed_destinations").as_array().size(), 1U);
  EXPECT_EQ(get("/api/v1/destination-policies", ada).json().as_array().size(), 1U);
  EXPECT_EQ(get("/api/v1/destination-policies", bob).json().as_array().size(), 0U);
  EXPECT_EQ(get(path, bob).status, 404);
  EXPECT_EQ(ask("DELETE", path, "", bob).status, 404);
  EXPECT_EQ(ask("DELETE", path, "", ada).text("policy_id"), "docs");
  EXPECT_EQ(get(path, ada).status, 404);
}

// ── Once, and not too often ──

TEST_F(ApiTest, ARepeatedSubmissionIsTheSameTask) {
  start();
  const std::string ada = sign_up("ada");
  const std::string once = ada + "Idempotency-Key: k-1\r\n";
  const Got first = ask("POST", "/api/v1/tasks", kTask, once);
  const Got second = ask("POST", "/api/v1/tasks", kTask, once);
  ASSERT_EQ(first.status, 201);
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.body, first.body);
  EXPECT_TRUE(second.has("Idempotency-Replayed: true"));
  EXPECT_EQ(fleet_.submissions, 1U);
  const std::string other = with_inputs(kTask, "1");
  EXPECT_EQ(ask("POST", "/api/v1/tasks", other, once).status, 409);
  EXPECT_EQ(
      ask("POST", "/api/v1/tasks", kTask, sign_up("bob_") + "Idempotency-Key: k-1\r\n").status, 201)
      << "keys are an account's own";
  EXPECT_EQ(fleet_.submissions, 2U);
  EXPECT_EQ(ask("POST", "/api/v1/tasks", kTask, ada + "Idempotency-Key: a b\r\n").status, 422);
}

TEST_F(ApiTest, AFailedSubmissionLeavesItsKeyFree) {
  start();
  const std::string once = sign_up("ada") + "Idempotency-Key: k-1\r\n";
  fleet_.refusal = Error{Code::rejected, "there are not enough credits", {}};
  const Got refused = ask("POST", "/api/v1/tasks", kTask, once);
  EXPECT_EQ(refused.status, 402);
  EXPECT_EQ(refused.text("error"), "insufficient_credits");
  const Got taken = ask("POST", "/api/v1/tasks", kTask, once);
  EXPECT_EQ(taken.status, 201);
  // What was submitted and never answered is found again: its id is made of its key.
  std::string id;
  loop_.run([&] { id = accounts_->uuid_of_key(fleet_.last_owner, "k-1"); });
  EXPECT_EQ(taken.text("task_id"), id);
}

TEST_F(ApiTest, TooManyRequestsAreToldWhenToComeBack) {
  options_.rates.auth = {60, 2};
  start();
  const std::string_view body = R"({"username":"ada","password":"x"})";
  EXPECT_EQ(ask("POST", "/api/v1/auth/login", body).status, 401);
  EXPECT_EQ(ask("POST", "/api/v1/auth/login", body).status, 401);
  const Got got = ask("POST", "/api/v1/auth/login", body);
  EXPECT_EQ(got.status, 429);
  EXPECT_EQ(got.text("error"), "rate_limited");
  EXPECT_EQ(got.header("Retry-After"), "1");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(get("/api/v1/health").status, 200) << "health is exempt";
  }
}

TEST_F(ApiTest, AnAccountsRateCanBeChanged) {
  start();
  const std::string root = admin();
  const Got me = get("/api/v1/auth/me", root);
  const std::string body =
      R"({"subject":"user:)" + me.text("user_id") + R"(","tier":"task","per_minute":1,"burst":1})";
  EXPECT_EQ(ask("POST", "/api/v1/admin/throttle-overrides", body, root).status, 200);
  EXPECT_EQ(ask("POST", "/api/v1/tasks", kTask, root).status, 201);
  EXPECT_EQ(ask("POST", "/api/v1/tasks", kTask, root).status, 429);
  EXPECT_EQ(ask("POST", "/api/v1/admin/throttle-overrides",
                R"({"subject":"nobody","tier":"task","per_minute":1,"burst":1})", root)
                .status,
            422);
}

TEST_F(ApiTest, StrangersWithWrongKeysAreSlowedDown) {
  options_.rates.general = {60, 3};
  start();
  int refused = 0;
  for (int i = 0; i < 6; ++i) {
    refused += get("/api/v1/nodes", "X-API-Key: vcp_wrong\r\n").status == 429 ? 1 : 0;
  }
  EXPECT_EQ(refused, 3);
}

// ── The rest ──

TEST_F(ApiTest, PagesOfOtherSitesNeedToBeNamed) {
  options_.origins = {"https://dashboard.example.org"};
  start();
  const std::string named = "Origin: https://dashboard.example.org\r\n";
  const Got got = get("/api/v1/health", named);
  EXPECT_TRUE(got.has("Access-Control-Allow-Origin: https://dashboard.example.org"));
  EXPECT_TRUE(got.has("Access-Control-Allow-Credentials: true"));
  EXPECT_TRUE(got.has("X-Next-Cursor")) << "exposed";
  EXPECT_EQ(
      ask("OPTIONS", "/api/v1/tasks", {}, named + "Access-Control-Request-Method: POST\r\n").status,
      204);
  EXPECT_EQ(get("/api/v1/health", "Origin: https://evil.example.org\r\n").status, 403);
}

TEST_F(ApiTest, RefusalsHaveTheSameForm) {
  start();
  const Got lost = get("/api/v1/nowhere");
  EXPECT_EQ(lost.status, 404);
  EXPECT_EQ(lost.text("error"), "not_found");
  const Got method = ask("DELETE", "/api/v1/health");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.text("error"), "method_not_allowed");
  EXPECT_TRUE(method.has("Allow: GET, HEAD"));
  const Got large = ask("DELETE", "/api/v1/nodes/n-1", "xx");
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.text("error"), "payload_too_large");
}

TEST_F(ApiTest, MetricsNameRoutesNotRequests) {
  options_.metrics_open = true;
  start();
  static_cast<void>(get("/api/v1/nodes/secret-name", sign_up("ada")));
  const Got got = get("/metrics");
  EXPECT_EQ(got.status, 200);
  EXPECT_TRUE(got.has("Content-Type: text/plain; version=0.0.4"));
  EXPECT_NE(got.body.find("endpoint=\"/api/v1/nodes/{node_id}\""), std::string::npos) << got.body;
  EXPECT_EQ(got.body.find("secret-name"), std::string::npos);
  EXPECT_NE(got.body.find("vcp_nodes_registered{health=\"healthy\"} 0"), std::string::npos);
  EXPECT_NE(got.body.find("# TYPE http_request_duration histogram"), std::string::npos);
}

/// Words of ours in PromQL: what begins with vcp_ or http_.
std::set<std::string> metrics_in(const std::string& text) {
  const std::regex word("\\b(vcp|http)_[a-z_]+");
  std::set<std::string> out;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), word); at != std::sregex_iterator();
       ++at) {
    out.insert(at->str());
  }
  out.erase("http_headers");
  return out;
}

TEST_F(ApiTest, DashboardAndAlertsNameOnlyWhatIsExported) {
  options_.metrics_open = true;
  start();
  static_cast<void>(get("/api/v1/nodes"));  // an error, so that all families have a member
  const std::string exported = get("/metrics").body;
  const std::filesystem::path folder = PHASE_SOURCE_DIR "/deploy/observability";
  std::set<std::string> named;
  for (const auto& [file, at_least] :
       {std::pair{"grafana-dashboard.json", 8U}, std::pair{"alerts.yml", 5U}}) {
    const auto text = read_file(folder / file, 1_MiB);
    ASSERT_TRUE(text) << file;
    const auto found = metrics_in(*text);
    EXPECT_GE(found.size(), at_least) << file;
    named.insert(found.begin(), found.end());
  }
  for (const std::string& name : named) {
    EXPECT_TRUE(exported.find("\n" + name + "{") != std::string::npos ||
                exported.find("\n" + name + " ") != std::string::npos)
        << name << " is not exported";
  }
}

TEST_F(ApiTest, SendsItsDocumentAndThePagesToTryIt) {
  options_.pages = [](http::Router& router) -> Result<void> {
    router.add({http::Method::get, "/", 0, [](http::Request) -> Task<http::Reply> {
                  co_return http::Response{200, "text/html", "<!doctype html>", {}};
                }});
    return {};
  };
  start();
  EXPECT_EQ(get("/api-docs/openapi.json").text("openapi"), "3.1.0");
  EXPECT_EQ(get("/").body, "<!doctype html>");
  const Got page = get("/swagger-ui");
  if (page.status == 404) {
    GTEST_SKIP() << "built with PHASE_DASHBOARD=OFF";
  }
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body.find("<script>"), std::string::npos) << "its policy lets none run";
  EXPECT_EQ(page.body.find(" style="), std::string::npos);
  EXPECT_EQ(page.body.find("//unpkg"), std::string::npos);
  for (const char* name : {"swagger-ui.css", "swagger-ui-bundle.js", "init.js", "page.css",
                           "LICENSE.txt", "NOTICE.txt"}) {
    EXPECT_EQ(get("/swagger-ui/" + std::string{name}).status, 200) << name;
  }
}

TEST_F(ApiTest, TheLedgerIsExportedLineByLine) {
  start();
  const std::string root = admin();
  static_cast<void>(sign_up("ada"));
  const Got got = get("/api/v1/ledger/export", root);
  EXPECT_EQ(std::count(got.body.begin(), got.body.end(), '\n'), 2);
  EXPECT_NE(got.body.find("\"kind\":\"grant\""), std::string::npos);
  EXPECT_EQ(get("/api/v1/credits/entries", root).json().as_array().size(), 1U);
}

}  // namespace
}  // namespace phase::vcp::api
