// call_internal.h — one request being answered, and what all of them share.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>
#include <boost/json/object.hpp>

#include "api/vcp/api_server.h"
#include "api/vcp/metrics.h"
#include "api/vcp/operation.h"

namespace phase::vcp::api {

struct ApiServer::State : std::enable_shared_from_this<ApiServer::State> {
  State(World with, ApiOptions chosen) : world(std::move(with)), options(std::move(chosen)) {}

  World world;
  ApiOptions options;
  AddressSet trusted;
  RateLimiter limiter;
  Metrics metrics;
  std::vector<Operation> operations;
  std::string openapi;
  std::size_t body_bytes = 0;  ///< being read now
  std::size_t streams = 0;     ///< event streams open now
  bool closed = false;
  bool draining = false;  ///< event streams end
  std::uint16_t port = 0;
  asio::thread_pool reading{1};  ///< large bodies are parsed here
  std::unique_ptr<http::Server> server;
};

/// Lives in the coroutine that answers. What outlives it (an event stream) copies what it needs.
struct Call {
  std::shared_ptr<ApiServer::State> server;
  const Operation& operation;
  http::Request request;
  std::string request_id = {}, address = {};
  Principal who = {};               ///< user empty: nobody
  std::string token = {};           ///< with which `who` was checked
  json::object body = {};           ///< checked against the operation's schema
  Bytes raw = {};                   ///< of an operation whose body is not JSON
  http::Headers headers = {};       ///< besides those of the reply
  std::string idempotency_id = {};  ///< a UUID of the key that was given; empty: none
  std::vector<FieldError> wrong = {};
  std::optional<Duration> retry_after = {};

  [[nodiscard]] Fleet& fleet() const { return server->world.fleet; }
  [[nodiscard]] Accounts& accounts() const { return server->world.accounts; }
  [[nodiscard]] UtcTime now() const { return server->world.clock.now_utc(); }
  [[nodiscard]] const std::string& parameter(std::size_t at) const {
    return request.parameters.at(at);
  }
  [[nodiscard]] std::string query(std::string_view name) const;
  [[nodiscard]] std::string header(std::string_view name) const;
  /// `limit` and `after` of a list.
  [[nodiscard]] Page page() const;
  /// Absent for an administrator: everybody's may be seen and changed.
  [[nodiscard]] std::optional<UserId> by() const;
};

// ── Reading checked members ──
[[nodiscard]] std::string text_of(const json::object& from, std::string_view name);
[[nodiscard]] std::uint64_t number_of(const json::object& from, std::string_view name,
                                      std::uint64_t otherwise = 0);
[[nodiscard]] double real_of(const json::object& from, std::string_view name, double otherwise = 0);
[[nodiscard]] bool flag_of(const json::object& from, std::string_view name);

// ── Replies ──
[[nodiscard]] http::Reply answer_json(int status, const json::value& value);
/// The error as this API says it (spec/vcp-api.md), with `details` and Retry-After where known.
[[nodiscard]] http::Response error_reply(const Error& error, const std::vector<FieldError>& wrong,
                                         std::optional<Duration> retry_after);
/// Of a request that found no operation.
[[nodiscard]] http::Response refusal_reply(const Error& error);
/// Status and word of a code of ours.
struct ErrorWord {
  int status = 500;
  std::string_view word;
};
[[nodiscard]] ErrorWord error_word(Code code) noexcept;

/// Checks, limits, runs, notes.
[[nodiscard]] Task<http::Reply> serve(std::shared_ptr<ApiServer::State> server,
                                      const Operation& operation, http::Request request);
/// Who asks; `call.who` stays empty where nobody needs to. Errors: Code::unauthorized,
/// permission_denied.
[[nodiscard]] Task<Result<void>> authenticate(Call& call);

// ── What operations do ──
Task<Result<http::Reply>> get_health(Call& call);
Task<Result<http::Reply>> not_available(Call& call);
Task<Result<http::Reply>> auth_status(Call& call);
Task<Result<http::Reply>> auth_bootstrap(Call& call);
Task<Result<http::Reply>> auth_register(Call& call);
Task<Result<http::Reply>> auth_login(Call& call);
Task<Result<http::Reply>> auth_refresh(Call& call);
Task<Result<http::Reply>> auth_logout(Call& call);
Task<Result<http::Reply>> auth_me(Call& call);
Task<Result<http::Reply>> list_keys(Call& call);
Task<Result<http::Reply>> add_key(Call& call);
Task<Result<http::Reply>> remove_key(Call& call);
Task<Result<http::Reply>> validate_key(Call& call);
Task<Result<http::Reply>> register_node(Call& call);
Task<Result<http::Reply>> list_nodes(Call& call);
Task<Result<http::Reply>> get_node(Call& call);
Task<Result<http::Reply>> remove_node(Call& call);
Task<Result<http::Reply>> reject_node(Call& call);
Task<Result<http::Reply>> cordon_node(Call& call);
Task<Result<http::Reply>> uncordon_node(Call& call);
Task<Result<http::Reply>> drain_node(Call& call);
Task<Result<http::Reply>> heartbeat(Call& call);
Task<Result<http::Reply>> node_activity(Call& call);
Task<Result<http::Reply>> submit_task(Call& call);
Task<Result<http::Reply>> list_tasks(Call& call);
Task<Result<http::Reply>> get_task(Call& call);
Task<Result<http::Reply>> cancel_task(Call& call);
Task<Result<http::Reply>> task_receipts(Call& call);
Task<Result<http::Reply>> post_result(Call& call);
Task<Result<http::Reply>> task_events(Call& call);
Task<Result<http::Reply>> all_events(Call& call);
Task<Result<http::Reply>> upload_module(Call& call);
Task<Result<http::Reply>> start_connect_session(Call& call);
Task<Result<http::Reply>> get_connect_session(Call& call);
Task<Result<http::Reply>> beat_connect_session(Call& call);
Task<Result<http::Reply>> stop_connect_session(Call& call);
Task<Result<http::Reply>> gateway_sessions(Call& call);
Task<Result<http::Reply>> list_policies(Call& call);
Task<Result<http::Reply>> get_policy(Call& call);
Task<Result<http::Reply>> put_policy(Call& call);
Task<Result<http::Reply>> remove_policy(Call& call);
Task<Result<http::Reply>> cluster_stats(Call& call);
Task<Result<http::Reply>> cluster_series(Call& call);
Task<Result<http::Reply>> set_strategy(Call& call);
Task<Result<http::Reply>> get_mesh(Call& call);
Task<Result<http::Reply>> get_credits(Call& call);
Task<Result<http::Reply>> credit_entries(Call& call);
Task<Result<http::Reply>> export_ledger(Call& call);
Task<Result<http::Reply>> list_users(Call& call);
Task<Result<http::Reply>> set_role(Call& call);
Task<Result<http::Reply>> audit_log(Call& call);
Task<Result<http::Reply>> throttle_override(Call& call);
Task<Result<http::Reply>> get_metrics(Call& call);
Task<Result<http::Reply>> get_openapi(Call& call);

}  // namespace phase::vcp::api
