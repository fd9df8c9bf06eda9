// The fleet as a whole, credits, and what administrators do.
#include <boost/json.hpp>

#include "api/vcp/call_internal.h"
#include "api/vcp/times.h"
#include "api/vcp/views.h"

namespace phase::vcp::api {
namespace {

constexpr std::string_view kVersion = "1.0.0";

std::string account_of(const Call& call) {
  return "user:" + call.who.user;
}

/// One page after the other, so that no ledger is ever in memory.
Task<void> write_ledger(std::shared_ptr<ApiServer::State> server, http::ByteSink& sink) {
  Page page;
  page.limit = kPageMax;
  bool more = true;
  while (more && !server->closed) {
    Page asked = page;
    auto found = co_await server->world.fleet.ledger({}, std::move(asked));
    if (!found) {
      throw std::runtime_error("the ledger cannot be read");  // the missing end tells the client
    }
    std::string lines;
    for (const LedgerEntry& entry : found->items) {
      json::object line = entry_json(entry);
      line["at"] = entry.at.unix_ms;  // as it is hashed (spec/ledger.md)
      lines += json::serialize(line) + "\n";
    }
    const auto written = co_await sink.write(lines);
    page.after = found->next;
    more = written && !page.after.empty();
  }
}

}  // namespace

Task<Result<http::Reply>> get_health(Call& call) {
  co_return answer_json(200, json::object{{"status", "healthy"},
                                          {"version", json::string(kVersion)},
                                          {"timestamp", utc_text(call.now())}});
}

Task<Result<http::Reply>> not_available(Call& call) {
  co_return fail(Code::unsupported, call.operation.id + " is not available yet");
}

Task<Result<http::Reply>> cluster_stats(Call& call) {
  co_return answer_json(200, stats_json(call.fleet().stats()));
}

Task<Result<http::Reply>> cluster_series(Call& call) {
  json::array out;
  for (const SeriesPoint& point : call.fleet().series()) {
    out.push_back(point_json(point));
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> set_strategy(Call& call) {
  const std::string name = text_of(call.body, "strategy");
  const Result<void> set = call.fleet().set_strategy(name);
  PHASE_CO_TRY_VOID(set);
  co_return answer_json(200, json::object{{"strategy", name}});
}

Task<Result<http::Reply>> get_mesh(Call& call) {
  const MeshAddress mesh = call.fleet().mesh();
  json::array addresses;
  for (const std::string& address : mesh.addresses) {
    addresses.push_back(json::string(address));
  }
  co_return answer_json(
      200, json::object{{"peer_id", mesh.peer_id}, {"addresses", std::move(addresses)}});
}

// ── Credits ──

Task<Result<http::Reply>> get_credits(Call& call) {
  std::string account = account_of(call);
  auto balance = co_await call.fleet().balance(account);
  PHASE_CO_TRY_VOID(balance);
  co_return answer_json(200, json::object{{"account", account}, {"balance", *balance}});
}

Task<Result<http::Reply>> credit_entries(Call& call) {
  std::string account = account_of(call);
  Page page = call.page();
  auto found = co_await call.fleet().ledger(std::move(account), std::move(page));
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const LedgerEntry& entry : found->items) {
    out.push_back(entry_json(entry));
  }
  if (!found->next.empty()) {
    call.headers.emplace_back("X-Next-Cursor", found->next);
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> export_ledger(Call& call) {
  http::Stream out;
  out.content_type = "application/jsonl";
  out.source = [server = call.server](http::ByteSink& sink) { return write_ledger(server, sink); };
  co_return http::Reply{std::move(out)};
}

// ── Administration ──

Task<Result<http::Reply>> list_users(Call& call) {
  const Page page = call.page();
  auto found = co_await call.accounts().users(page.limit, page.after);
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const User& user : found->users) {
    out.push_back(user_json(user));
  }
  if (!found->next.empty()) {
    call.headers.emplace_back("X-Next-Cursor", found->next);
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> set_role(Call& call) {
  const Role role = role_of(text_of(call.body, "role")).value_or(Role::user);
  UserId id = call.parameter(0);
  auto user = co_await call.accounts().set_role(std::move(id), role);
  PHASE_CO_TRY_VOID(user);
  co_return answer_json(200, user_json(*user));
}

Task<Result<http::Reply>> audit_log(Call& call) {
  const Page page = call.page();
  auto found = co_await call.accounts().audit(page.limit, page.after);
  PHASE_CO_TRY_VOID(found);
  json::array out;
  for (const AuditEntry& entry : found->entries) {
    out.push_back(audit_json(entry));
  }
  if (!found->next.empty()) {
    call.headers.emplace_back("X-Next-Cursor", found->next);
  }
  co_return answer_json(200, out);
}

Task<Result<http::Reply>> throttle_override(Call& call) {
  ThrottleOverride rate;
  rate.subject = text_of(call.body, "subject");
  rate.tier = text_of(call.body, "tier");
  rate.per_minute = static_cast<std::uint32_t>(number_of(call.body, "per_minute"));
  rate.burst = static_cast<std::uint32_t>(number_of(call.body, "burst"));
  rate.expires = parse_utc(text_of(call.body, "expires_at"));
  if (!rate.subject.starts_with("user:") && !rate.subject.starts_with("address:")) {
    co_return fail(Code::invalid_argument, "subject: expected user:<id> or address:<ip>");
  }
  const auto set = co_await call.accounts().set_throttle(std::move(rate));
  PHASE_CO_TRY_VOID(set);
  co_return answer_json(200, json::value(call.body));
}

// ── Documents ──

Task<Result<http::Reply>> get_metrics(Call& call) {
  const std::size_t connections = call.server->server ? call.server->server->connections() : 0;
  http::Response out{200, "text/plain; version=0.0.4; charset=utf-8", {}, {}};
  out.body = call.server->metrics.text(call.fleet().stats(), call.server->streams, connections);
  co_return http::Reply{std::move(out)};
}

Task<Result<http::Reply>> get_openapi(Call& call) {
  co_return http::Reply{http::json_response(200, call.server->openapi)};
}

}  // namespace phase::vcp::api
