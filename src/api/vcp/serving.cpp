// From a request to its answer: who, how often, what, and what is written down about it.
#include <algorithm>
#include <cmath>

#include <boost/json.hpp>

#include "api/faces/json_text.h"
#include "api/vcp/call_internal.h"
#include "base/pool_task.h"

namespace phase::vcp::api {
namespace {

/// Larger bodies are parsed in a thread of their own.
constexpr std::size_t kParseHereBytesMax = 256_KiB;
/// What facts of the published API allow in a document; `inputs` stands one level below the body.
faces::JsonLimits json_limits() {
  faces::JsonLimits limits;
  limits.depth = 17;
  limits.items = 1'000;
  limits.names = 1'000;
  limits.name_bytes = 256;
  limits.string_bytes = 10'000;
  limits.long_name = "wasm_module";
  return limits;
}

bool changes(http::Method method) {
  return method == http::Method::post || method == http::Method::put ||
         method == http::Method::remove;
}

/// Bytes of a body count against the server's total while they are held.
class HeldBytes {
 public:
  explicit HeldBytes(ApiServer::State& server) noexcept : server_(server) {}
  ~HeldBytes() { server_.body_bytes -= held_; }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
  [[nodiscard]] bool add(std::size_t bytes) noexcept {
    if (bytes > kBodyBytesTotalMax - server_.body_bytes) {
      return false;
    }
    server_.body_bytes += bytes;
    held_ += bytes;
    return true;
  }

 private:
  ApiServer::State& server_;
  std::size_t held_ = 0;
};

/// The server may be gone by the time that something was waited for, and what it asks with it.
Result<void> still_open(const Call& call) {
  if (call.server->closed) {
    return fail(Code::unavailable, "the coordinator is stopping");
  }
  return {};
}

// ── How often ──

/// The tier of this request, and whose bucket pays.
Tier tier_of(const Call& call) {
  const bool reads = !changes(call.request.method) && !call.who.user.empty();
  const Tier tier = call.operation.tier;
  return reads && tier != Tier::none && tier != Tier::auth ? Tier::read : tier;
}

Result<void> take_turn(Call& call, Tier tier) {
  ApiServer::State& server = *call.server;
  if (tier == Tier::none || (tier == Tier::node && is_loopback(call.address))) {
    return {};
  }
  const bool known = !call.who.user.empty() && tier != Tier::auth;
  const std::string subject = known ? "user:" + call.who.user : "address:" + call.address;
  Rate rate = rate_of(server.options.rates, tier);
  if (const auto* other = server.world.accounts.throttle(subject, tier_name(tier))) {
    rate = {other->per_minute, other->burst};
  }
  call.retry_after = server.limiter.take(subject, tier, rate, server.world.clock.now());
  if (call.retry_after) {
    return fail(Code::busy, "too many requests", "wait as long as Retry-After says");
  }
  return {};
}

// ── What ──

Task<Result<Bytes>> read_body(Call& call, HeldBytes& held) {
  Bytes out;
  while (call.request.upload != nullptr) {
    const auto piece = co_await call.request.upload->read();
    PHASE_CO_TRY_VOID(piece);
    if (piece->empty()) {
      break;
    }
    if (!held.add(piece->size())) {
      co_return fail(Code::busy, "too many bytes are being uploaded at once", "try again");
    }
    out.insert(out.end(), piece->begin(), piece->end());
  }
  co_return out;
}

bool is_json(std::string_view type) {
  return type.empty() || type.substr(0, type.find(';')) == "application/json";
}

Result<json::object> parse_body(const Bytes& bytes) {
  auto value = faces::parse_json(as_text(bytes), json_limits());
  if (!value && value.error().code == Code::too_large) {
    return fail(
        Code::invalid_argument, "body: " + value.error().message,
        "16 levels of inputs, 1000 items, 1000 names of 256 bytes, strings of 10,000 bytes");
  }
  PHASE_TRY_VOID(value);
  if (!value->is_object()) {
    return fail(Code::malformed, "the body must be a JSON object");
  }
  return std::move(value->as_object());
}

Task<Result<void>> take_body(Call& call, HeldBytes& held) {
  const Operation& operation = call.operation;
  if (operation.body_bytes_max == 0) {
    co_return Result<void>{};
  }
  auto bytes = co_await read_body(call, held);
  PHASE_CO_TRY_VOID(bytes);
  call.raw = std::move(*bytes);
  if (!operation.body || (call.raw.empty() && operation.body_optional)) {
    co_return Result<void>{};
  }
  if (!is_json(call.header("content-type"))) {
    co_return fail(Code::malformed, "the body must be JSON", "send Content-Type: application/json");
  }
  Result<json::object> body = fail(Code::internal, "nothing was parsed");
  auto parse = [&call] { return parse_body(call.raw); };
  if (call.raw.size() > kParseHereBytesMax) {
    body = co_await in_pool(call.server->reading, parse);
  } else {
    body = parse();
  }
  PHASE_CO_TRY_VOID(body);
  call.body = std::move(*body);
  operation.body->check(json::value(call.body), "", call.wrong);
  co_return Result<void>{};
}

/// A query's text as the JSON value that its schema is about.
json::value query_value(const json::object& schema, const std::string& text) {
  const json::value* type = schema.if_contains("type");
  if (type != nullptr && *type == "integer" && !text.empty() && text.size() <= 16 &&
      text.find_first_not_of("0123456789") == std::string::npos) {
    return std::stoull(text);
  }
  return json::string(text);
}

void check_query(Call& call) {
  json::object unused;
  for (const auto& [name, text] : call.request.query) {
    const auto known = std::ranges::find(call.operation.query, name, &QueryField::name);
    if (known == call.operation.query.end()) {
      if (call.wrong.size() < kFieldErrorsMax) {
        call.wrong.push_back({printable(name, 64), "is not known here"});
      }
      continue;
    }
    const json::object schema = known->schema.describe(unused);
    known->schema.check(query_value(schema, text), name, call.wrong);
  }
}

// ── Once ──

Result<void> check_idempotency_key(std::string_view key) {
  const bool plain = std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (key.empty() || key.size() > kIdempotencyKeyBytesMax || !plain) {
    return fail(Code::invalid_argument, "Idempotency-Key: expected 1 to 128 visible characters");
  }
  return {};
}

Sha256 request_hash(const Call& call) {
  Sha256Stream hash;
  for (const std::string_view part : {http::method_name(call.request.method),
                                      std::string_view{call.request.path}, as_text(call.raw)}) {
    hash.update_u64(part.size()).update(as_bytes(part));
  }
  return hash.finish();
}

Task<Result<http::Reply>> run_once(Call& call, std::string key) {
  const Result<void> good = check_idempotency_key(key);
  PHASE_CO_TRY_VOID(good);
  const Sha256 hash = request_hash(call);
  auto begun = co_await call.accounts().begin_request(call.who.user, key, hash);
  PHASE_CO_TRY_VOID(begun);
  PHASE_CO_TRY_VOID(still_open(call));
  if (begun->answer) {
    http::Response again{begun->answer->status, "application/json", begun->answer->body, {}};
    again.headers.emplace_back("Idempotency-Replayed", "true");
    co_return http::Reply{std::move(again)};
  }
  call.idempotency_id = call.accounts().uuid_of_key(call.who.user, key);
  auto reply = co_await call.operation.run(call);
  PHASE_CO_TRY_VOID(still_open(call));
  const auto* response = reply ? std::get_if<http::Response>(&*reply) : nullptr;
  Result<void> kept;
  if (response != nullptr && response->status < 300) {
    KeptAnswer answer{response->status, response->body};
    kept = co_await call.accounts().finish_request(call.who.user, key, std::move(answer));
  } else {
    kept = co_await call.accounts().forget_request(call.who.user, key);
  }
  if (!kept) {
    call.server->world.log->warn("an idempotency key is not kept: {}",
                                 printable(kept.error().text()));
  }
  co_return reply;
}

// ── All of it ──

Task<Result<http::Reply>> answer(Call& call, HeldBytes& held) {
  const Result<void> known = co_await authenticate(call);
  PHASE_CO_TRY_VOID(still_open(call));
  if (!known) {
    const Result<void> turn = take_turn(call, Tier::general);
    co_return turn ? fail(known.error()) : fail(turn.error());
  }
  const Result<void> turn = take_turn(call, tier_of(call));
  PHASE_CO_TRY_VOID(turn);
  const Result<void> taken = co_await take_body(call, held);
  PHASE_CO_TRY_VOID(taken);
  PHASE_CO_TRY_VOID(still_open(call));
  check_query(call);
  if (!call.wrong.empty()) {
    co_return fail(Code::invalid_argument,
                   call.wrong.front().field + ": " + call.wrong.front().message,
                   "/swagger-ui shows what this request may have");
  }
  std::string key = call.operation.idempotent ? call.header("idempotency-key") : std::string{};
  if (!key.empty()) {
    auto once = co_await run_once(call, std::move(key));
    co_return once;
  }
  auto reply = co_await call.operation.run(call);
  co_return reply;
}

int status_of(const http::Reply& reply) {
  if (const auto* response = std::get_if<http::Response>(&reply)) {
    return response->status;
  }
  const auto* stream = std::get_if<http::Stream>(&reply);
  return stream != nullptr ? stream->status : 200;
}

void add_headers(http::Reply& reply, const http::Headers& headers) {
  if (auto* response = std::get_if<http::Response>(&reply)) {
    response->headers.insert(response->headers.end(), headers.begin(), headers.end());
  } else if (auto* stream = std::get_if<http::Stream>(&reply)) {
    stream->headers.insert(stream->headers.end(), headers.begin(), headers.end());
  }
}

/// Every change, and everybody who was not let in.
void write_down(Call& call, int status, const std::string& problem) {
  const bool refused = status == 401 || status == 403;
  if (!changes(call.request.method) && !refused) {
    return;
  }
  AuditEntry entry;
  entry.at = call.now();
  entry.user = call.who.user;
  entry.action =
      refused ? "auth.failure"
              : std::string{http::method_name(call.request.method)} + " " + call.operation.path;
  entry.resource = call.request.path;
  entry.address = call.address;
  entry.user_agent = call.header("user-agent");
  entry.request_id = call.request_id;
  entry.status = status;
  entry.message = problem;
  call.accounts().note(std::move(entry));
}

}  // namespace

std::string Call::query(std::string_view name) const {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string{} : found->second;
}

std::string Call::header(std::string_view name) const {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string{} : found->second;
}

Page Call::page() const {
  Page out;
  const std::string limit = query("limit");
  out.limit = limit.empty() ? out.limit : std::stoull(limit);
  out.after = query("after");
  return out;
}

std::optional<UserId> Call::by() const {
  return who.is_admin() ? std::nullopt : std::optional(who.user);
}

Task<http::Reply> serve(std::shared_ptr<ApiServer::State> server, const Operation& operation,
                        http::Request request) {
  const Instant begun = server->world.clock.now();
  Call call{server, operation, std::move(request)};
  call.request_id = to_hex(server->world.random.array<8>());
  call.address = client_address(call.request.client, call.header("x-forwarded-for"),
                                call.header("x-real-ip"), server->trusted);
  HeldBytes held(*server);
  auto answered = co_await answer(call, held);
  if (server->closed) {
    co_return http::Reply{refusal_reply({Code::unavailable, "the coordinator is stopping", {}})};
  }
  http::Reply reply;
  std::string problem;
  if (answered) {
    reply = std::move(*answered);
  } else {
    problem = answered.error().text();
    reply = error_reply(answered.error(), call.wrong, call.retry_after);
  }
  call.headers.emplace_back("X-Request-Id", call.request_id);
  add_headers(reply, call.headers);
  const int status = status_of(reply);
  const Duration took = server->world.clock.now() - begun;
  server->metrics.request(http::method_name(call.request.method), operation.path, status, took);
  write_down(call, status, problem);
  server->world.log->info("{} {} {} {} {:.3f} ms {}", call.request_id,
                          http::method_name(call.request.method), printable(call.request.path, 128),
                          status, std::chrono::duration<double, std::milli>(took).count(),
                          printable(problem));
  co_return reply;
}

}  // namespace phase::vcp::api
