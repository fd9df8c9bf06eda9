#include "api/vcp/api_server.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "api/http/tls.h"
#include "api/vcp/assets_internal.h"
#include "api/vcp/call_internal.h"

namespace phase::vcp::api {
namespace {

/// Only what this server sends, and no script or style within the markup.
constexpr std::string_view kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
    "'none'";

const std::vector<std::string>& headers_seen() {
  static const std::vector<std::string> all{
      "authorization", "cookie",          "x-api-key",  "x-vcp-csrf", "x-forwarded-for",
      "x-real-ip",     "idempotency-key", "user-agent", "host",       "content-type"};
  return all;
}

void add_headers(http::Router& router, bool encrypted) {
  router.add_header("Content-Security-Policy", std::string{kContentPolicy});
  router.add_header("X-Content-Type-Options", "nosniff");
  router.add_header("X-Frame-Options", "DENY");
  router.add_header("Referrer-Policy", "strict-origin-when-cross-origin");
  router.add_header("Cross-Origin-Opener-Policy", "same-origin");
  if (encrypted) {
    router.add_header("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
  }
}

/// Swagger UI takes markup from strings of its own, so no trusted types here.
void add_swagger(http::Router& router) {
  const http::AssetRules rules{std::string{kContentPolicy}};
  for (const http::Asset& asset : assets()) {
    if (asset.name == "index.html") {
      http::add_asset(router, "/swagger-ui", asset, rules);
      http::add_asset(router, "/swagger-ui/", asset, rules);
    } else {
      http::add_asset(router, "/swagger-ui/" + std::string{asset.name}, asset, rules);
    }
  }
}

Result<http::Router> make_router(const std::shared_ptr<ApiServer::State>& server) {
  http::Router router(headers_seen());
  add_headers(router, server->options.tls != nullptr);
  for (const Operation& operation : server->operations) {
    http::Route route;
    route.method = operation.method;
    route.pattern = operation.path;
    route.body_bytes_max = operation.body_bytes_max;
    route.body_streamed = operation.body_bytes_max != 0;  // read after it is known who asks
    route.watched = operation.stream;
    route.handler = [server, &operation](http::Request request) {
      return serve(server, operation, std::move(request));
    };
    router.add(std::move(route));
  }
  add_swagger(router);
  if (server->options.pages) {
    PHASE_TRY_VOID(server->options.pages(router));
  }
  router.add_error_face("", [server](const Error& error, std::string_view) {
    http::Response out = refusal_reply(error);
    server->metrics.request("any", "unmatched", out.status, Duration{0});
    return out;
  });
  return router;
}

http::AccessPolicy make_policy(const ApiOptions& options) {
  http::AccessPolicy policy;
  policy.hosts = options.hosts;
  policy.host_addresses = true;
  policy.origins = options.origins;
  policy.same_origin = true;
  policy.credentials = !options.origins.empty();
  policy.exposed_headers = "X-Next-Cursor, X-Request-Id, Retry-After, Idempotency-Replayed";
  return policy;
}

Result<void> check_origins(const std::vector<std::string>& origins) {
  for (const std::string& origin : origins) {
    if (origin.find('*') != std::string::npos || origin.find("://") == std::string::npos) {
      return fail(Code::invalid_argument, "this is no origin: " + printable(origin, 128),
                  "write it as https://dashboard.example.org, without *");
    }
  }
  return {};
}

std::vector<std::string> listed(const char* name) {
  const char* value = std::getenv(name);
  std::string_view rest = value == nullptr ? "" : value;
  std::vector<std::string> out;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) {
      out.emplace_back(word);
    }
  }
  return out;
}

template <typename Number>
Result<void> read_number(const std::string& name, Number& into, Number max) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    return {};
  }
  const std::string_view text{value};
  Number out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out > max) {
    return fail(Code::invalid_argument, name + " is no whole number up to " + std::to_string(max));
  }
  into = out;
  return {};
}

}  // namespace

Result<void> read_environment(ApiOptions& options) {
  constexpr std::uint32_t kRateMax = 1'000'000;
  PHASE_TRY_VOID(read_number<std::uint16_t>("PORT", options.port, UINT16_MAX));
  const std::pair<std::string, Rate&> rates[] = {
      {"AUTH", options.rates.auth}, {"NODE", options.rates.node},
      {"TASK", options.rates.task}, {"PROOF", options.rates.proof},
      {"READ", options.rates.read}, {"GENERAL", options.rates.general}};
  for (const auto& [name, rate] : rates) {
    PHASE_TRY_VOID(read_number("RATE_LIMIT_" + name + "_RPM", rate.per_minute, kRateMax));
    PHASE_TRY_VOID(read_number("RATE_LIMIT_" + name + "_BURST", rate.burst, kRateMax));
  }
  for (std::string& origin : listed("CORS_ALLOWED_ORIGINS")) {
    options.origins.push_back(std::move(origin));
  }
  for (std::string& range : listed("TRUSTED_PROXY_CIDRS")) {
    options.trusted_proxies.push_back(std::move(range));
  }
  PHASE_TRY_VOID(check_origins(options.origins));
  PHASE_TRY_VOID(AddressSet::parse(options.trusted_proxies));
  return {};
}

Result<std::unique_ptr<ApiServer>> ApiServer::start(World world, ApiOptions options) {
  PHASE_TRY_VOID(check_origins(options.origins));
  auto state = std::make_shared<State>(std::move(world), std::move(options));
  PHASE_TRY(state->trusted, AddressSet::parse(state->options.trusted_proxies));
  state->operations = all_operations();
  for (Operation& operation : state->operations) {
    if (operation.id == "metrics" && state->options.metrics_open) {
      operation.who = Who::anybody;
    }
  }
  state->openapi = openapi_document(state->operations);
  http::ServerLimits limits;
  limits.connections_max = state->options.connections_max;
  PHASE_TRY(http::Router router, make_router(state));
  state->server = std::make_unique<http::Server>(state->world.executor, std::move(router), limits,
                                                 make_policy(state->options));
  // Its routes hold the state: from here on only the destructor lets go of both.
  std::unique_ptr<ApiServer> out(new ApiServer(state));
  http::TcpListen where;
  where.address = state->options.address;
  where.port = state->options.port;
  where.token_optional = true;  // operations say whom they need
  where.any_address = true;
  where.tls = state->options.tls;
  where.introduced = state->options.introduced;
  PHASE_TRY(state->port, state->server->listen(where));
  return out;
}

ApiServer::ApiServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

ApiServer::~ApiServer() {
  state_->closed = true;
  state_->reading.join();
  state_->server.reset();  // its routes hold the state
}

std::uint16_t ApiServer::port() const noexcept {
  return state_->port;
}

void ApiServer::drain() {
  state_->draining = true;
  state_->server->drain();
}

std::size_t ApiServer::connections() const noexcept {
  return state_->server->connections();
}

}  // namespace phase::vcp::api
