// Events for those who watch, told once their rows are durable; and what happens by time alone.
#include <cmath>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/serialize.hpp>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {

namespace json = boost::json;

void Coordinator::State::append(Batch batch) {
  for (const Entry& entry : batch.entries) {
    tell_entry(entry);
  }
  world.journal.append(std::move(batch));
  to_publish.notify();
}

void Coordinator::State::tell(std::string name, UserId owner, TaskId task, std::string text,
                              bool now) {
  FleetEvent event{0, std::move(name), std::move(owner), std::move(task), std::move(text)};
  if (now && waiting_events.empty()) {
    event.id = ++last_event;
    events.push_back(std::move(event));
    if (events.size() > kEventsKept) events.pop_front();
    heard.notify_all();
    return;
  }
  waiting_events.push_back(std::move(event));
  if (waiting_events.size() > kEventsWaitingMax) waiting_events.pop_front();
  to_publish.notify();
}

void Coordinator::State::tell_task(const LiveTask& task) {
  json::object out;
  out["task_id"] = task.spec->id;
  out["status"] = task_state_name(task.row.state);
  out["stage"] = task.stage;
  out["reason"] = task.row.reason;
  tell("task", task.spec->owner, task.spec->id, json::serialize(out));
}

void Coordinator::State::tell_run(const LiveTask& task, const RunRow& run) {
  json::object out;
  out["task_id"] = task.spec->id;
  out["node_id"] = run.node;
  out["attempt"] = run.attempt;
  out["state"] = run_state_name(run.state);
  out["reason"] = run.reason;
  tell("run", task.spec->owner, task.spec->id, json::serialize(out));
}

/// To the user whose account it moves; what moves between other accounts concerns no user alone.
void Coordinator::State::tell_entry(const Entry& entry) {
  constexpr std::string_view kUser = "user:";
  const Transfer& moved = entry.transfer;
  const std::string& account = moved.to.starts_with(kUser) ? moved.to : moved.from;
  if (!account.starts_with(kUser)) return;
  json::object out;
  out["sequence"] = entry.sequence;
  out["kind"] = transfer_kind_name(moved.kind);
  out["amount"] = moved.amount;
  out["reference"] = moved.reference;
  tell("ledger", account.substr(kUser.size()), {}, json::serialize(out));
}

/// Not every heartbeat is news.
void Coordinator::State::tell_node(FleetNode& node) {
  constexpr double kScoreNews = 0.5;
  const double score = node.health.score(world.clock.now(), world.clock.now_utc()).total * 100;
  std::string status = node.row.removed    ? "removed"
                       : node.row.rejected ? "rejected"
                       : node.online       ? "online"
                                           : "offline";
  if (node.row.cordoned) status += ", cordoned";
  if (node.draining) status += ", draining";
  if (status == node.told_status && std::abs(score - node.told_score) < kScoreNews) return;
  node.told_status = status;
  node.told_score = score;
  json::object out;
  out["node_id"] = node.row.name;
  out["status"] = status;
  out["health_score"] = score;
  tell("node", {}, {}, json::serialize(out));
}

Task<void> Coordinator::State::publish(std::shared_ptr<State> self) {
  while (!self->closed) {
    const bool woken = co_await self->to_publish.wait();
    if (!woken || self->closed) co_return;
    const std::size_t count = self->waiting_events.size();
    const auto settled = co_await self->world.journal.settled();
    if (self->closed) co_return;
    if (!settled) {
      if (self->broken) co_return;
      self->broken = settled.error();
      self->world.log.critical("the state cannot be written any more: {}", settled.error().text());
      if (self->tell_broken) self->tell_broken(*self->broken);
      co_return;
    }
    for (std::size_t i = 0; i < count && !self->waiting_events.empty(); ++i) {
      FleetEvent event = std::move(self->waiting_events.front());
      self->waiting_events.pop_front();
      event.id = ++self->last_event;
      self->events.push_back(std::move(event));
    }
    while (self->events.size() > kEventsKept) self->events.pop_front();
    if (count > 0) self->heard.notify_all();
    if (!self->waiting_events.empty()) self->to_publish.notify();
  }
}

void Coordinator::State::sample() {
  SeriesPoint point;
  point.at = world.clock.now_utc();
  double sum = 0;
  const Instant now = world.clock.now();
  for (const auto& [name, node] : nodes) {
    if (!node->online) continue;
    ++point.nodes_online;
    sum += node->health.score(now, point.at).total * 100;
    const Telemetry* said = node->health.telemetry(now);
    if (said != nullptr && said->power_milliwatts) {
      point.power_watts =
          point.power_watts.value_or(0) + static_cast<double>(*said->power_milliwatts) / 1000;
    }
  }
  if (point.nodes_online > 0) {
    point.avg_health_score = sum / static_cast<double>(point.nodes_online);
  }
  point.tasks_completed = completed;
  point.tasks_failed = failed;
  if (energy_mj) point.energy_joules = static_cast<double>(*energy_mj) / 1000;
  point.credits_paid = paid;
  points.push_back(point);
  if (points.size() > options.series_kept) points.pop_front();
}

/// Breakers and ages change by time alone.
Task<void> Coordinator::State::tick(std::shared_ptr<State> self) {
  Instant sampled = self->world.clock.now(), swept = sampled;
  self->sample();
  while (!self->closed) {
    const auto slept = co_await self->world.clock.sleep_for(self->options.node_tick);
    if (!slept || self->closed) co_return;
    for (const auto& [name, node] : self->nodes) {
      if (node->online) self->refresh(*node);
    }
    if (self->world.clock.now() - sampled >= self->options.series_every) {
      sampled = self->world.clock.now();
      self->sample();
    }
    if (self->world.clock.now() - swept >= self->options.modules_swept_every) {
      swept = self->world.clock.now();
      asio::co_spawn(self->world.executor, sweep_modules(self), asio::detached);
    }
    self->pump();
  }
}

void Coordinator::State::close() {
  closed = true;
  alarm.stop();
  connect_alarm.stop();
  for (const auto& [id, run] : runs) {
    run->cancel.request();
    run->state = nullptr;
  }
  runs.clear();
  to_publish.notify();
  heard.notify_all();
  idle.notify_all();
}

}  // namespace phase::vcp
