#include "api/control/routes.h"

#include <algorithm>
#include <charconv>

#include "api/control/node_json.h"

namespace phase::control {
namespace {

using http::EventSink;
using http::EventSource;
using http::Reply;
using http::Request;

constexpr std::size_t kSubmissionBytesMax = 16_MiB;
constexpr std::size_t kStdinPostBytesMax = 1_MiB;
constexpr std::size_t kPingBytesMax = 4_KiB;
constexpr std::uint64_t kListMax = 100;
constexpr std::uint64_t kWaitMsMax = 60'000;
constexpr std::uint64_t kDiscoveryMsDefault = 3'000;
constexpr std::uint64_t kDiscoveryMsMax = 30'000;
constexpr Duration kPingMax = 10s;
/// Silence on an event stream after which a comment is sent, so that a broken connection is
/// noticed.
constexpr Duration kKeepAlive = 15s;

using ApiRef = std::shared_ptr<Api>;

Reply refuse(const Error& error) {
  return http::error_response(error);
}

Reply json_or_error(Result<std::string> text, int status = 200) {
  return text ? Reply{http::json_response(status, std::move(*text))} : refuse(text.error());
}

Error stopping() {
  return {Code::unavailable, "the daemon is stopping", ""};
}

Duration milliseconds(std::uint64_t count) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(count));
}

Result<std::uint64_t> number_in_text(std::string_view name, std::string_view text,
                                     std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) {
    return fail(Code::invalid_argument,
                std::string{name} + ": expected a whole number up to " + std::to_string(max));
  }
  return value;
}

Result<std::uint64_t> query_number(const Request& request, std::string_view name,
                                   std::uint64_t otherwise, std::uint64_t max) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) {
    return otherwise;
  }
  return number_in_text(name, found->second, max);
}

Result<bool> query_flag(const Request& request, std::string_view name, bool otherwise) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) {
    return otherwise;
  }
  if (found->second != "true" && found->second != "false") {
    return fail(Code::invalid_argument, std::string{name} + ": expected true or false");
  }
  return found->second == "true";
}

/// Names that no route of ours knows are errors, not ignored.
Result<void> only_names(const Request& request, std::initializer_list<std::string_view> names) {
  for (const auto& [name, value] : request.query) {
    if (std::ranges::find(names, name) == names.end()) {
      return fail(Code::invalid_argument, "the query has an unknown name: " + printable(name, 64));
    }
  }
  return {};
}

// ── The node ──

Task<Reply> get_status(ApiRef api, Request) {
  co_return http::json_response(
      200, status_json(api->world.node.status(), api->world.jobs.jobs_active()));
}

Task<Reply> get_peers(ApiRef api, Request) {
  co_return http::json_response(200, peers_json(api->world.node.peers()));
}

Result<Duration> discovery_time(const Request& request) {
  PHASE_TRY_VOID(only_names(request, {"kind", "arch", "wait_ms"}));
  PHASE_TRY(const std::uint64_t ms,
            query_number(request, "wait_ms", kDiscoveryMsDefault, kDiscoveryMsMax));
  return milliseconds(ms);
}

Task<Reply> get_providers(ApiRef api, Request request) {
  const auto wait = discovery_time(request);
  if (!wait) {
    co_return refuse(wait.error());
  }
  std::string kind = request.query.contains("kind") ? request.query["kind"] : "wasm";
  std::string arch = request.query.contains("arch") ? request.query["arch"] : "";
  const Deadline deadline = api->world.clock.deadline_after(*wait);
  const auto found = co_await api->world.node.providers(std::move(kind), std::move(arch), deadline);
  if (!found) {
    co_return refuse(found.error());
  }
  co_return http::json_response(200, providers_json(*found));
}

Task<Reply> post_ping(ApiRef api, Request request) {
  auto peer = parse_ping(as_text(request.body));
  if (!peer) {
    co_return refuse(peer.error());
  }
  const Deadline deadline = api->world.clock.deadline_after(kPingMax);
  const auto answer = co_await api->world.node.ping(std::move(*peer), deadline);
  if (!answer) {
    co_return refuse(answer.error());
  }
  co_return http::json_response(200, ping_json(*answer));
}

// ── Submitting ──

Task<Reply> post_module(ApiRef api, Request request) {
  const auto keep = query_flag(request, "keep", false);
  if (!keep) {
    co_return refuse(keep.error());
  }
  const auto staged = co_await api->world.jobs.stage(std::move(request.body), *keep);
  if (!staged) {
    co_return refuse(staged.error());
  }
  co_return http::json_response(201, module_json(*staged));
}

Task<Reply> post_job(ApiRef api, Request request) {
  auto submission = parse_submission(as_text(request.body), api->world.jobs.limits());
  if (!submission) {
    co_return refuse(submission.error());
  }
  const auto id = api->world.jobs.submit(std::move(*submission));
  if (!id) {
    co_return refuse(id.error());
  }
  co_return http::json_response(201, R"({"id":")" + *id + R"(","state":"queued"})");
}

Task<Reply> post_stdin(ApiRef api, Request request) {
  const auto end = query_flag(request, "end", false);
  if (!end) {
    co_return refuse(end.error());
  }
  std::string id = request.parameters[0];
  const auto written =
      co_await api->world.jobs.write_stdin(std::move(id), std::move(request.body), *end);
  if (!written) {
    co_return refuse(written.error());
  }
  http::Response done;
  done.status = 204;
  co_return done;
}

Task<Reply> post_cancel(ApiRef api, Request request) {
  co_return json_or_error(api->world.jobs.cancel(request.parameters[0]), 202);
}

// ── Looking ──

Task<Reply> get_jobs(ApiRef api, Request request) {
  const auto limit = query_number(request, "limit", kListMax, kListMax);
  if (!limit) {
    co_return refuse(limit.error());
  }
  co_return json_or_error(api->world.jobs.list(*limit));
}

Task<Reply> get_job(ApiRef api, Request request) {
  co_return json_or_error(api->world.jobs.state(request.parameters[0]));
}

Reply envelope(Result<Bytes> bytes) {
  if (!bytes) {
    return refuse(bytes.error());
  }
  return http::Response{200, "application/cose", std::string{as_text(*bytes)}};
}

Task<Reply> get_receipt(ApiRef api, Request request) {
  co_return envelope(api->world.jobs.receipt(request.parameters[0]));
}

Task<Reply> get_manifest(ApiRef api, Request request) {
  co_return envelope(api->world.jobs.manifest(request.parameters[0]));
}

struct ResultQuery {
  Duration wait{};
  bool transcript = true;
};
Result<ResultQuery> result_query(const Request& request) {
  PHASE_TRY_VOID(only_names(request, {"wait_ms", "transcript"}));
  PHASE_TRY(const std::uint64_t ms, query_number(request, "wait_ms", 0, kWaitMsMax));
  PHASE_TRY(const bool transcript, query_flag(request, "transcript", true));
  return ResultQuery{milliseconds(ms), transcript};
}

Task<Reply> get_result(ApiRef api, Request request) {
  const auto query = result_query(request);
  if (!query) {
    co_return refuse(query.error());
  }
  const Deadline deadline = api->world.clock.deadline_after(query->wait);
  std::string id = request.parameters[0];
  auto result = co_await api->world.jobs.result(std::move(id), query->transcript, deadline);
  if (!result) {
    co_return refuse(result.error());
  }
  co_return http::json_response(result->finished ? 200 : 202, std::move(result->json));
}

/// Sends events until `result`, or until the client goes away.
Task<void> send_events(ApiRef api, std::string id, std::uint64_t after, bool transcript,
                       EventSink& sink) {
  while (!api->closed) {
    const Deadline deadline = api->world.clock.deadline_after(kKeepAlive);
    const auto next = co_await api->world.jobs.next_event(id, after, transcript, deadline);
    if (api->closed || !next) {
      throw std::runtime_error("the daemon is stopping");  // a broken stream, not a finished one
    }
    if (!*next) {
      if (!co_await sink.keep_alive()) {
        co_return;
      }
      continue;
    }
    const Event& event = **next;
    after = event.id;
    if (!co_await sink.event(event.id, event.name, event.data) || event.last) {
      co_return;
    }
  }
  throw std::runtime_error("the daemon is stopping");
}

struct EventsQuery {
  std::uint64_t after = 0;
  bool transcript = true;
};
Result<EventsQuery> events_query(const Request& request) {
  PHASE_TRY_VOID(only_names(request, {"transcript"}));
  PHASE_TRY(const bool transcript, query_flag(request, "transcript", true));
  EventsQuery out{0, transcript};
  if (!request.last_event_id.empty()) {
    PHASE_TRY(out.after, number_in_text("Last-Event-ID", request.last_event_id, 1ULL << 62));
  }
  return out;
}

Task<Reply> get_events(ApiRef api, Request request) {
  const auto query = events_query(request);
  if (!query) {
    co_return refuse(query.error());
  }
  std::string id = request.parameters[0];
  if (const auto known = api->world.jobs.state(id); !known) {
    co_return refuse(known.error());
  }
  EventSource source = [api, id, query = *query](EventSink& sink) {
    return send_events(api, id, query.after, query.transcript, sink);
  };
  co_return source;
}

/// A handler that fails politely once the server is closed.
template <typename Function>
http::Handler with(ApiRef api, Function function) {
  return [api, function](Request request) -> Task<Reply> {
    if (api->closed) {
      return [](Error error) -> Task<Reply> { co_return refuse(error); }(stopping());
    }
    return function(api, std::move(request));
  };
}

}  // namespace

http::Router make_routes(std::shared_ptr<Api> api) {
  using enum http::Method;
  http::Router router;
  const auto add = [&router, &api](http::Method method, std::string pattern, std::size_t body,
                                   auto function) {
    router.add({method, std::move(pattern), body, with(api, function)});
  };
  add(get, "/v1/status", 0, get_status);
  add(post, "/v1/modules", job::kModuleBytesMax, post_module);
  add(post, "/v1/jobs", kSubmissionBytesMax, post_job);
  add(get, "/v1/jobs", 0, get_jobs);
  add(get, "/v1/jobs/{id}", 0, get_job);
  add(post, "/v1/jobs/{id}/stdin", kStdinPostBytesMax, post_stdin);
  add(get, "/v1/jobs/{id}/events", 0, get_events);
  add(get, "/v1/jobs/{id}/result", 0, get_result);
  add(get, "/v1/jobs/{id}/receipt", 0, get_receipt);
  add(get, "/v1/jobs/{id}/manifest", 0, get_manifest);
  add(post, "/v1/jobs/{id}/cancel", 64_KiB, post_cancel);
  add(get, "/v1/peers", 0, get_peers);
  add(get, "/v1/providers", 0, get_providers);
  add(post, "/v1/ping", kPingBytesMax, post_ping);
  return router;
}

}  // namespace phase::control
