// Tasks of connect_only: a place beside a gateway, a session on it, its end.
#include <algorithm>

#include <boost/json/serialize.hpp>

#include "vcp/coordinator/inputs.h"
#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kSecond_ms = 1'000;
constexpr std::string_view kWaitsForSession = "waiting for its session";

/// Gateways know whole seconds.
UtcTime up_to_the_second(std::uint64_t unix_ms) {
  return UtcTime{(unix_ms + kSecond_ms - 1) / kSecond_ms * kSecond_ms};
}

std::string in_seconds(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::uint64_t lasted_ms(const ConnectSession& session) {
  const std::uint64_t end = session.ended.value_or(session.created).unix_ms;
  return end > session.created.unix_ms ? end - session.created.unix_ms : 0;
}

/// What is known of a task that was: its sessions, as the coordinator saw them.
std::string result_of(const std::vector<ConnectSession>& sessions) {
  json::array all;
  std::uint64_t together_ms = 0;
  for (const ConnectSession& one : sessions) {
    together_ms += lasted_ms(one);
    all.push_back(json::object{{"session_id", one.id},
                               {"node_id", one.node},
                               {"status", json::string(session_state_name(one.state))},
                               {"reason", one.reason},
                               {"connected_ms", lasted_ms(one)}});
  }
  const ConnectSession& last = sessions.back();
  return json::serialize(json::object{{"status", json::string(session_state_name(last.state))},
                                      {"reason", last.reason},
                                      {"connected_ms", together_ms},
                                      {"requested_seconds", last.wish.seconds},
                                      {"sessions", std::move(all)}});
}

}  // namespace

Need need_of(const Spec& spec, const CoordinatorOptions& options) {
  if (!spec.connect) return {spec.requirements, "compute"};
  return {spec.requirements, "open_internet", true, options.connect.start_max};
}

Result<void> Coordinator::State::make_connect(const Submission& submission, Spec& spec) const {
  const auto wrong = [](std::string text, std::string hint = {}) {
    return fail(Code::invalid_argument, std::move(text), std::move(hint));
  };
  const Requirements& wants = spec.requirements;
  if (submission.module || submission.module_sha256) {
    return wrong("wasm_module: a connect_only task runs none");
  }
  if (wants.min_nodes != 1) return wrong("requirements.min_nodes: 1 for connect_only");
  if (wants.gpu) return wrong("requirements.require_gpu: false for connect_only");
  if (wants.allow_peers) {
    return wrong("requirements.allow_peers: false for connect_only: peers have no gateway");
  }
  if (submission.bid.value_or(0) != 0) {
    return wrong(
        "bid: 0 for connect_only: what a gateway relays is not verified, so it is not paid");
  }
  PHASE_TRY(ConnectWish wish, read_connect_inputs(submission.inputs_json));
  if (wish.seconds > wants.max_execution_seconds) {
    return wrong("inputs.duration_seconds: above requirements.max_execution_time_sec");
  }
  if (wish.egress == Egress::allowlist_domains && find_policy(spec.owner, wish.policy) == nullptr) {
    return wrong("inputs.destination_policy_id: you have no policy \"" + printable(wish.policy) +
                     "\", and allowlist_domains leads nowhere without one",
                 "PUT /api/v1/destination-policies/{policy_id} makes it");
  }
  const auto own = static_cast<std::size_t>(std::ranges::count_if(
      connecting, [&](const TaskId& id) { return tasks.at(id)->spec->owner == spec.owner; }));
  if (own >= options.connect.tasks_of_owner_max) {
    return fail(Code::busy, std::to_string(own) + " connect_only tasks of yours are under way",
                "stop a session, or wait for its end");
  }
  spec.connect = std::move(wish);
  return {};
}

void Coordinator::State::placed(LiveTask& task, const LiveRun& run) {
  Connection& at = *task.connection;
  at.run = run.id;
  at.placed = world.clock.now();
  task.stage = kWaitsForSession;
  sweep_connections_at(at.placed + options.connect.start_max);
}

Result<ConnectSession> Coordinator::State::start_session(LiveTask& task, Tunnel tunnel,
                                                         Sha256 token) {
  if (!task.connection) {
    return fail(Code::invalid_argument, "task_id: only tasks of connect_only have sessions");
  }
  if (closed || leaving || broken) return fail(Code::unavailable, "the coordinator stops");
  const TaskId id = task.spec->id;
  look_at_connection(task);  // what is over must not be in the way
  if (find_task(id) == nullptr) return fail(Code::already_exists, "the task is over");
  Connection& at = *task.connection;
  if (at.live) {
    return fail(Code::already_exists, "session " + at.live->id + " of this task is live",
                "go on with it, or stop it and submit another task: its token is shown once");
  }
  if (at.run == 0) {
    const std::string why = scheduler.waiting_for(id);
    return fail(Code::unavailable, "the task has no node yet" + (why.empty() ? "" : ": " + why),
                "GET /api/v1/tasks/{task_id} shows the stage: start at \"" +
                    std::string(kWaitsForSession) + "\"");
  }
  LiveRun& run = *runs.at(at.run);
  FleetNode* node = find_node(run.row.node);
  if (node == nullptr || !node->online) {
    return fail(Code::unavailable, "node " + run.row.node + " is not connected now", "try again");
  }
  const UtcTime now = world.clock.now_utc();
  if (!at.until)
    at.until = up_to_the_second(now.unix_ms + task.spec->connect->seconds * kSecond_ms);
  ConnectSession session;
  session.id = world.random.uuid();
  session.task = id;
  session.node = run.row.node;
  session.requester = task.spec->owner;
  session.tunnel = tunnel;
  session.wish = *task.spec->connect;
  session.token = token;
  session.created = session.heard = now;
  session.expires = *at.until;
  at.live = session;
  at.heard = world.clock.now();
  sessions.emplace(session.id, session.task);
  run.row.state = RunState::running;
  task.row.state = TaskState::running;
  task.row.updated = now;
  task.stage = "connected";
  Batch batch;
  batch.sessions.push_back(session);
  batch.runs.push_back(run.row);
  batch.tasks.push_back(task.row);
  append(std::move(batch));
  note(*node, "task_connected", {}, session.task, session.id);
  world.log.info("session {} of task {} began on {}", session.id, id, session.node);
  tell_run(task, run.row);
  tell_task(task);
  const auto left = std::chrono::milliseconds(session.expires.unix_ms - now.unix_ms);
  sweep_connections_at(at.heard + std::min<Duration>(left, options.connect.sweep));
  return session;
}

void Coordinator::State::end_session(LiveTask& task, SessionState how, std::string reason,
                                     UtcTime at, Batch& batch) {
  Connection& of = *task.connection;
  if (!of.live) return;
  ConnectSession session = *std::exchange(of.live, std::nullopt);
  session.state = how;
  session.reason = std::move(reason);
  session.ended = at;
  sessions.erase(session.id);
  if (FleetNode* node = find_node(session.node)) {
    note(*node, "task_cleared", session.reason, session.task, session.id);
  }
  world.log.info("session {} is over: {}", session.id, session.reason);
  batch.sessions.push_back(session);
  of.past.push_back(std::move(session));
}

void Coordinator::State::complete(LiveTask& task, SessionState how, std::string reason,
                                  UtcTime at) {
  // `finish` writes the end of the session and that of the task as one.
  ConnectSession& session = *task.connection->live;
  session.state = how;
  session.reason = std::move(reason);
  session.ended = at;
  finish(task, TaskState::completed, {});
}

void Coordinator::State::close_connection(LiveTask& task, TaskState end, const std::string& reason,
                                          Batch& batch) {
  Connection& at = *task.connection;
  connecting.erase(task.spec->id);
  if (at.live) {
    const ConnectSession said = *at.live;
    const bool decided = said.state != SessionState::active;
    end_session(task, decided ? said.state : SessionState::ended, decided ? said.reason : reason,
                said.ended.value_or(world.clock.now_utc()), batch);
    LiveRun& run = *runs.at(at.run);
    end_run(run, RunState::ended, at.past.back().reason, RunEnd::no_fault);
  }
  if (end == TaskState::completed) task.row.result_json = result_of(at.past);
}

void Coordinator::State::lose_connection(LiveTask& task, const std::string& reason, Batch& batch) {
  Connection& at = *task.connection;
  const UtcTime now = world.clock.now_utc();
  end_session(task, SessionState::ended, reason, now, batch);
  at.run = 0;
  task.row.state = TaskState::pending;
  task.row.updated = now;
  task.stage = "waiting for nodes";
  batch.tasks.push_back(task.row);
  tell_task(task);
  sweep_connections_at(world.clock.now());
}

bool Coordinator::State::lost_to_sessions(const NodeName& name) {
  const FleetNode* node = find_node(name);
  if (node == nullptr || node->row.removed || node->row.rejected) return true;
  return !node->online && world.clock.now() - node->away_since >= options.connect.node_lost_after;
}

/// Ends what is over by time, or because its node is gone.
void Coordinator::State::look_at_connection(LiveTask& task) {
  Connection& at = *task.connection;
  const Instant now = world.clock.now();
  const UtcTime utc = world.clock.now_utc();
  const ConnectOptions& limits = options.connect;
  if (at.live && utc >= at.live->expires) {
    return complete(task, SessionState::expired, "its time was up", at.live->expires);
  }
  if (at.live && now - at.heard >= limits.silence_max) {
    return complete(task, SessionState::expired,
                    "nothing was heard of its client for " + in_seconds(limits.silence_max), utc);
  }
  if (at.run != 0 && lost_to_sessions(runs.at(at.run)->row.node)) {
    fail_run(*runs.at(at.run), "its node was lost", RunEnd::failed);
  }
  if (at.live) return;
  if (at.until && utc >= *at.until) {
    return finish(task, TaskState::failed,
                  at.past.back().reason + ", and its time was up before it had another session");
  }
  if (at.run != 0 && now - at.placed >= limits.start_max) {
    finish(task, TaskState::failed,
           "no session was started within " + in_seconds(limits.start_max) + " of its placement");
  }
}

void Coordinator::State::sweep_connections_at(Instant at) {
  if (closed || (next_sweep && *next_sweep <= at)) return;
  next_sweep = at;
  connect_alarm.set(at, [this] { sweep_connections(); });
}

void Coordinator::State::sweep_connections() {
  next_sweep.reset();
  if (closed || leaving) return;  // who leads next goes on
  const std::set<TaskId> all = connecting;
  for (const TaskId& id : all) {
    if (LiveTask* task = find_task(id)) look_at_connection(*task);
  }
  pump();
  if (connecting.empty()) return;
  const Instant now = world.clock.now();
  const UtcTime utc = world.clock.now_utc();
  Instant next = now + options.connect.sweep;
  for (const TaskId& id : connecting) {
    const auto& until = find_task(id)->connection->until;
    if (!until || until->unix_ms <= utc.unix_ms) continue;
    next = std::min(next, now + std::chrono::milliseconds(until->unix_ms - utc.unix_ms));
  }
  sweep_connections_at(next);
}

bool Coordinator::State::internet_active(const ConnectSession& session) {
  const FleetNode* node = find_node(session.node);
  const auto within =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.connect.active_within).count();
  const std::uint64_t now = world.clock.now_utc().unix_ms;
  return session.state == SessionState::active && node != nullptr && node->online &&
         now < session.heard.unix_ms + static_cast<std::uint64_t>(within);
}

SessionView Coordinator::State::view(const ConnectSession& session) {
  SessionView out{session, internet_active(session), {}};
  const FleetNode* node = find_node(session.node);
  if (node == nullptr || node->gateway.empty()) return out;
  const Duration ago = world.clock.now() - node->gateway_asked;
  if (ago < options.connect.gateway_within) out.gateway_address = node->gateway;
  return out;
}

const ConnectSession* Coordinator::State::session_on(RunId run) const {
  const auto found = runs.find(run);
  if (found == runs.end() || found->second->task == nullptr) return nullptr;
  const auto& connection = found->second->task->connection;
  return connection && connection->live ? &*connection->live : nullptr;
}

void Coordinator::State::take_up(LiveTask& task, const std::vector<ConnectSession>& known,
                                 const std::optional<RunRow>& open, Batch& batch) {
  Connection& at = task.connection.emplace();
  const TaskId& id = task.spec->id;
  const Instant now = world.clock.now();
  connecting.insert(id);
  for (const ConnectSession& one : known) {
    if (one.task != id) continue;
    at.until = one.expires;
    if (one.state == SessionState::active) {
      at.live = one;
      sessions.emplace(one.id, id);
    } else {
      at.past.push_back(one);
    }
  }
  const auto run_id = open ? scheduler.adopt(id, open->node, now) : std::optional<RunId>{};
  if (run_id) {
    auto run = std::make_shared<LiveRun>(*this, task);
    run->id = *run_id;
    run->row = *open;
    run->began = now;
    find_node(open->node)->runs.insert(*run_id);
    task.runs.emplace(*run_id, run);
    runs.emplace(*run_id, run);
    placed(task, *run);
    at.heard = now;  // while nobody listened nobody was silent
    if (at.live) task.stage = "connected";
  } else {
    if (open) {
      RunRow lost = *open;
      lost.state = RunState::failed;
      lost.reason = "its node was lost";
      lost.ended = world.clock.now_utc();
      batch.runs.push_back(lost);
      task.history.push_back(std::move(lost));
    }
    if (at.live) lose_connection(task, "its node was lost", batch);
  }
  task.row.state = at.live ? TaskState::running : TaskState::pending;
  sweep_connections_at(now);
}

// ── What requesters and gateways ask ──

Task<Result<StartedSession>> Coordinator::start_session(TaskId id, Tunnel tunnel, UserId by) {
  const auto state = state_;
  LiveTask* live = state->find_task(id);
  if (live == nullptr || live->spec->owner != by) {
    auto before = co_await task(id, by);
    if (!before) co_return fail(std::move(before).error());
    co_return fail(Code::already_exists,
                   "the task is over: " + std::string(task_state_name(before->state)),
                   "submit another one");
  }
  const std::string token = "cs_" + state->world.random.letters_and_digits(kSessionTokenLetters);
  PHASE_CO_TRY(ConnectSession session,
               state->start_session(*live, tunnel, sha256(as_bytes(token))));
  StartedSession out{state->view(session), token};
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<SessionView>> Coordinator::ask_session(std::string id, SessionAsk ask, UserId by) {
  const auto state = state_;
  const auto found = state->sessions.find(id);
  LiveTask* live = found == state->sessions.end() ? nullptr : state->find_task(found->second);
  if (live != nullptr && live->spec->owner == by) {
    state->look_at_connection(*live);
    live = state->sessions.contains(id) ? live : nullptr;
  }
  std::optional<SessionView> out;
  if (live != nullptr && live->spec->owner == by) {
    ConnectSession& session = *live->connection->live;
    if (ask == SessionAsk::heartbeat) {
      live->connection->heard = state->world.clock.now();
      session.heard = state->world.clock.now_utc();
      Batch batch;
      batch.sessions.push_back(session);
      state->append(std::move(batch));
    }
    if (ask == SessionAsk::stop) {
      state->complete(*live, SessionState::ended, "stopped by its requester",
                      state->world.clock.now_utc());
    } else {
      out = state->view(session);
    }
  }
  state->pump();
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  if (out) co_return *std::move(out);
  auto kept = co_await state->world.journal.session(id);
  if (!kept) co_return fail(std::move(kept).error());
  if (!*kept || (*kept)->requester != by) co_return fail(Code::not_found, "no such session");
  if (ask == SessionAsk::heartbeat) {
    co_return fail(Code::already_exists, "the session is over: " + (*kept)->reason,
                   "submit another connect_only task");
  }
  SessionView over{**kept, false, {}};
  co_return over;
}

Task<Result<std::vector<GatewaySession>>> Coordinator::gateway_sessions(NodeName name,
                                                                        std::optional<UserId> by,
                                                                        std::string address) {
  const auto state = state_;
  PHASE_CO_TRY(FleetNode * node, state->owned(name, by));
  if (!address.empty()) {
    const auto where = parse_destination(address);
    if (!where) co_return fail(Code::invalid_argument, "address: " + where.error().message);
    node->gateway = where->text();
    node->gateway_asked = state->world.clock.now();
  }
  std::vector<GatewaySession> out;
  for (const RunId run : node->runs) {
    const ConnectSession* session = state->session_on(run);
    if (session == nullptr || state->world.clock.now_utc() >= session->expires) continue;
    GatewaySession one{*session, {}};
    const bool ruled = session->wish.egress == Egress::allowlist_domains;
    const DestinationPolicy* policy =
        ruled ? state->find_policy(session->requester, session->wish.policy) : nullptr;
    if (policy != nullptr) one.rules = policy->rules;
    out.push_back(std::move(one));
  }
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

}  // namespace phase::vcp
