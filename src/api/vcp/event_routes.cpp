// Server-sent events: of one task until its end, or of all that somebody may see.
#include <charconv>

#include "api/vcp/call_internal.h"

namespace phase::vcp::api {
namespace {

/// A stream says so often that it is still there, and looks whether its owner still may see it.
constexpr Duration kKeepAlive = 15s;
/// So long a stream does not notice that the server drains.
constexpr Duration kWait = 1s;

/// A place among the open streams.
class Place {
 public:
  explicit Place(std::shared_ptr<ApiServer::State> server) : server_(std::move(server)) {
    ++server_->streams;
  }
  ~Place() { --server_->streams; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::shared_ptr<ApiServer::State> server_;
};

/// One stream. Lives in its source.
struct Watch {
  std::shared_ptr<ApiServer::State> server;
  std::shared_ptr<Place> place;
  Principal who;
  std::string token;
  TaskId task;  ///< empty: everything
  std::uint64_t after = 0;
};

bool sees(const Watch& watch, const FleetEvent& event) {
  if (!watch.task.empty()) {
    return event.task == watch.task;
  }
  return event.owner.empty() || event.owner == watch.who.user || watch.who.is_admin();
}

Task<bool> still_may(const Watch& watch) {
  Accounts& accounts = watch.server->world.accounts;
  if (watch.who.via != "api_key") {
    co_return accounts.check_token(watch.token).has_value();
  }
  const auto who = co_await accounts.check_key(watch.token);
  co_return who.has_value();
}

/// True: all there was is sent, and there may be more.
Task<bool> send_new(Watch& watch, http::EventSink& sink, bool& of_task) {
  const std::vector<FleetEvent> events = watch.server->world.fleet.events_after(watch.after);
  for (const FleetEvent& event : events) {
    watch.after = event.id;
    if (!sees(watch, event)) {
      continue;
    }
    of_task = of_task || event.name == "task";
    const auto sent = co_await sink.event(event.id, event.name, event.json);
    if (!sent || watch.server->closed) {
      co_return false;
    }
  }
  co_return true;
}

Task<bool> is_over(const Watch& watch) {
  if (watch.task.empty()) {
    co_return false;
  }
  const TaskId id = watch.task;
  const auto task = co_await watch.server->world.fleet.task(id, std::nullopt);
  co_return !task || is_final(task->state);
}

Task<void> follow(Watch watch, http::EventSink& sink) {
  Clock& clock = watch.server->world.clock;
  Instant checked = clock.now();
  bool of_task = true;
  while (!watch.server->closed) {
    // Asked before what is sent: what comes between them is sent in the next round.
    bool over = false;
    if (of_task) {
      over = co_await is_over(watch);
    }
    of_task = false;
    const bool more = co_await send_new(watch, sink, of_task);
    if (!more || over || watch.server->closed || watch.server->draining) {
      co_return;
    }
    const std::uint64_t seen = watch.after;
    const Deadline deadline = clock.deadline_after(kWait);
    co_await watch.server->world.fleet.wait_events(seen, deadline);
    if (watch.server->closed) {
      co_return;
    }
    if (clock.now() - checked >= kKeepAlive) {
      checked = clock.now();
      const bool may = co_await still_may(watch);
      const auto alive = co_await sink.keep_alive();
      if (!may || !alive) {
        co_return;
      }
    }
  }
}

/// The event to go on after; nothing for a text that is no number.
Result<std::optional<std::uint64_t>> last_seen(const Call& call) {
  const std::string& text = call.request.last_event_id;
  if (text.empty()) {
    return std::nullopt;
  }
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(Code::invalid_argument, "Last-Event-ID: expected a whole number");
  }
  // Of a coordinator that was started since: its numbers begin again.
  return std::optional(out > call.fleet().last_event() ? 0 : out);
}

Result<http::Reply> watch_reply(Call& call, TaskId task, std::uint64_t otherwise) {
  PHASE_TRY(const auto seen, last_seen(call));
  if (call.server->streams >= call.server->options.event_streams_max) {
    return fail(Code::busy, "too many event streams are open", "close one, or ask now and then");
  }
  auto watch = std::make_shared<Watch>();
  watch->server = call.server;
  watch->place = std::make_shared<Place>(call.server);
  watch->who = call.who;
  watch->token = call.token;
  watch->task = std::move(task);
  watch->after = seen.value_or(otherwise);
  return http::Reply{
      http::EventSource{[watch](http::EventSink& sink) { return follow(*watch, sink); }}};
}

}  // namespace

Task<Result<http::Reply>> task_events(Call& call) {
  TaskId id = call.parameter(0);
  std::optional<UserId> by = call.by();
  auto task = co_await call.fleet().task(id, std::move(by));
  PHASE_CO_TRY_VOID(task);
  co_return watch_reply(call, std::move(id), 0);
}

Task<Result<http::Reply>> all_events(Call& call) {
  co_return watch_reply(call, {}, call.fleet().last_event());
}

}  // namespace phase::vcp::api
