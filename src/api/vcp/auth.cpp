// Who asks, and what people do with their accounts.
#include <boost/json.hpp>

#include "api/vcp/call_internal.h"
#include "api/vcp/times.h"
#include "api/vcp/views.h"

namespace phase::vcp::api {
namespace {

constexpr std::string_view kAccessCookie = "vcp_session";
constexpr std::string_view kRefreshCookie = "vcp_refresh";
constexpr std::string_view kRefreshPath = "/api/v1/auth";

/// The value of a cookie (RFC 6265 §4.2); the first of that name.
std::string cookie(const Call& call, std::string_view name) {
  const std::string all = call.header("cookie");
  std::string_view rest = all;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (pair.starts_with(' ')) {
      pair.remove_prefix(1);
    }
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      return std::string{pair.substr(name.size() + 1)};
    }
  }
  return {};
}

void set_cookie(Call& call, std::string_view name, std::string_view value, std::string_view path,
                std::uint64_t seconds) {
  std::string text{name};
  text.append("=").append(value).append("; Path=").append(path);
  text += "; Max-Age=" + std::to_string(seconds) + "; HttpOnly; SameSite=Strict";
  text += call.request.encrypted ? "; Secure" : "";
  call.headers.emplace_back("Set-Cookie", std::move(text));
}

void set_session(Call& call, const Session& session) {
  set_cookie(call, kAccessCookie, session.access_token, "/", session.expires_in_s);
  set_cookie(call, kRefreshCookie, session.refresh_token, kRefreshPath,
             session.refresh_expires_in_s);
}

/// A page of another site can make a browser send the cookie, but not this header.
Result<void> check_csrf(const Call& call) {
  const auto method = call.request.method;
  const bool reads = method == http::Method::get || method == http::Method::head;
  if (!reads && call.header("x-vcp-csrf") != "1") {
    return fail(Code::permission_denied, "a request with a cookie needs the header X-VCP-CSRF",
                "send X-VCP-CSRF: 1");
  }
  return {};
}

Result<void> check_rights(const Call& call) {
  const Operation& operation = call.operation;
  if (call.who.via == "api_key" && operation.who != Who::key) {
    if (operation.scope.empty()) {
      return fail(Code::permission_denied, "this needs a login, not an API key");
    }
    if (!call.who.may(operation.scope)) {
      return fail(Code::permission_denied, "the API key has not the scope " + operation.scope,
                  "make one that has it");
    }
  }
  if (operation.who == Who::admin && !call.who.is_admin()) {
    return fail(Code::permission_denied, "only administrators may do this");
  }
  return {};
}

Task<Result<Principal>> principal(Call& call) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string authorization = call.header("authorization");
  const std::string key = call.header("x-api-key");
  if (authorization.empty() && !key.empty()) {
    call.token = key;
    auto who = co_await call.accounts().check_key(key);
    co_return who;
  }
  if (call.operation.who == Who::key) {
    co_return fail(Code::unauthorized, "an API key is missing", "send X-API-Key: vcp_…");
  }
  if (authorization.starts_with(kBearer)) {
    call.token = authorization.substr(kBearer.size());
    co_return call.accounts().check_token(call.token);
  }
  call.token = authorization.empty() ? cookie(call, kAccessCookie) : std::string{};
  if (call.token.empty()) {
    co_return fail(Code::unauthorized, "nobody is logged in",
                   "send Authorization: Bearer … after POST /api/v1/auth/login, or X-API-Key");
  }
  auto who = call.accounts().check_token(call.token);
  if (who) {
    const Result<void> ours = check_csrf(call);
    PHASE_CO_TRY_VOID(ours);
    who->via = "cookie";
  }
  co_return who;
}

json::object session_json(const Session& session, bool in_cookie) {
  json::object out{{"access_token", session.access_token},
                   {"refresh_token", session.refresh_token},
                   {"token_type", "Bearer"},
                   {"expires_in", session.expires_in_s},
                   {"user", user_json(session.user)}};
  if (in_cookie) {
    out["refresh_token"] = nullptr;  // no script shall have it
  }
  return out;
}

}  // namespace

Task<Result<void>> authenticate(Call& call) {
  if (call.operation.who == Who::anybody) {
    co_return Result<void>{};
  }
  auto who = co_await principal(call);
  PHASE_CO_TRY_VOID(who);
  call.who = std::move(*who);
  co_return check_rights(call);
}

// ── Sessions ──

Task<Result<http::Reply>> auth_status(Call& call) {
  co_return answer_json(200, json::object{{"admin_exists", call.accounts().admin_exists()}});
}

Task<Result<http::Reply>> auth_bootstrap(Call& call) {
  std::string code = text_of(call.body, "code");
  std::string username = text_of(call.body, "username");
  std::string password = text_of(call.body, "password");
  auto user =
      co_await call.accounts().bootstrap(std::move(code), std::move(username), std::move(password));
  PHASE_CO_TRY_VOID(user);
  const auto granted = co_await call.fleet().grant(user->id);
  PHASE_CO_TRY_VOID(granted);
  co_return answer_json(201, user_json(*user));
}

Task<Result<http::Reply>> auth_register(Call& call) {
  if (!call.server->options.open_registration) {
    co_return fail(Code::permission_denied, "this coordinator takes no new users by itself",
                   "ask its administrator");
  }
  std::string username = text_of(call.body, "username");
  std::string password = text_of(call.body, "password");
  std::string email = text_of(call.body, "email");
  auto user =
      co_await call.accounts().add_user(std::move(username), std::move(password), std::move(email));
  PHASE_CO_TRY_VOID(user);
  const auto granted = co_await call.fleet().grant(user->id);
  PHASE_CO_TRY_VOID(granted);
  std::vector<std::string> scopes{"tasks:read", "tasks:write"};
  auto key =
      co_await call.accounts().add_key(user->id, "registration", std::move(scopes), std::nullopt);
  PHASE_CO_TRY_VOID(key);
  json::object out{{"user_id", user->id},
                   {"username", user->username},
                   {"email", user->email.empty() ? json::value(nullptr) : json::value(user->email)},
                   {"api_key", key->secret},
                   {"message", "the API key is shown once"}};
  co_return answer_json(201, out);
}

Task<Result<http::Reply>> auth_login(Call& call) {
  std::string username = text_of(call.body, "username");
  std::string password = text_of(call.body, "password");
  auto session = co_await call.accounts().login(std::move(username), std::move(password));
  PHASE_CO_TRY_VOID(session);
  call.who.user = session->user.id;  // for the audit log
  const bool in_cookie = flag_of(call.body, "cookie");
  if (in_cookie) {
    set_session(call, *session);
  }
  co_return answer_json(200, session_json(*session, in_cookie));
}

Task<Result<http::Reply>> auth_refresh(Call& call) {
  std::string token = text_of(call.body, "refresh_token");
  const bool in_cookie = token.empty();
  if (in_cookie) {
    token = cookie(call, kRefreshCookie);
    if (token.empty()) {
      co_return fail(Code::unauthorized, "there is no refresh token", "log in");
    }
    const Result<void> ours = check_csrf(call);
    PHASE_CO_TRY_VOID(ours);
  }
  auto session = co_await call.accounts().refresh(std::move(token));
  PHASE_CO_TRY_VOID(session);
  call.who.user = session->user.id;
  if (in_cookie) {
    set_session(call, *session);
  }
  co_return answer_json(200, session_json(*session, in_cookie));
}

Task<Result<http::Reply>> auth_logout(Call& call) {
  const std::string session = call.who.session;
  const auto ended = co_await call.accounts().logout(session);
  PHASE_CO_TRY_VOID(ended);
  set_cookie(call, kAccessCookie, "", "/", 0);
  set_cookie(call, kRefreshCookie, "", kRefreshPath, 0);
  co_return answer_json(200, json::object{{"message", "logged out"}});
}

Task<Result<http::Reply>> auth_me(Call& call) {
  auto user = co_await call.accounts().user(call.who.user);
  PHASE_CO_TRY_VOID(user);
  json::object out = user_json(*user);
  out["authenticated_via"] = call.who.via;
  json::array scopes;
  for (const std::string_view scope : kScopes) {
    const bool admins = scope == "admin";
    if (call.who.may(scope) && (!admins || call.who.role == Role::admin)) {
      scopes.push_back(json::string(scope));
    }
  }
  out["scopes"] = std::move(scopes);
  co_return answer_json(200, out);
}

// ── API keys ──

Task<Result<http::Reply>> list_keys(Call& call) {
  auto keys = co_await call.accounts().keys(call.who.user);
  PHASE_CO_TRY_VOID(keys);
  json::array out;
  for (const ApiKey& key : *keys) {
    out.push_back(key_json(key));
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> add_key(Call& call) {
  std::vector<std::string> scopes;
  for (const json::value& scope : call.body.at("scopes").as_array()) {
    scopes.emplace_back(scope.as_string().data(), scope.as_string().size());
  }
  const std::optional<UtcTime> expires = parse_utc(text_of(call.body, "expires_at"));
  std::string name = text_of(call.body, "name");
  auto made =
      co_await call.accounts().add_key(call.who.user, std::move(name), std::move(scopes), expires);
  PHASE_CO_TRY_VOID(made);
  json::object out = key_json(made->key);
  out["api_key"] = made->secret;
  co_return answer_json(201, out);
}

Task<Result<http::Reply>> remove_key(Call& call) {
  const std::string& id = call.parameter(0);
  const auto gone = co_await call.accounts().revoke_key(call.who.user, id);
  PHASE_CO_TRY_VOID(gone);
  co_return answer_json(200, json::object{{"message", "the API key is revoked"}, {"key_id", id}});
}

Task<Result<http::Reply>> validate_key(Call& call) {
  co_return answer_json(200, json::object{{"user_id", call.who.user},
                                          {"username", call.who.username},
                                          {"role", json::string(role_name(call.who.role))},
                                          {"authenticated_via", "api_key"}});
}

}  // namespace phase::vcp::api
