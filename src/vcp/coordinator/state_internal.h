// state_internal.h — what a coordinator holds, and the steps of a task.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>

#include "base/event.h"
#include "base/waiters.h"
#include "vcp/coordinator/coordinator.h"
#include "vcp/coordinator/quorum.h"

namespace phase::vcp {

/// Events that wait for their rows to be durable; beyond it the oldest are let go unpublished.
inline constexpr std::size_t kEventsWaitingMax = 100'000;
/// Means of runs that are remembered, by module.
inline constexpr std::size_t kMeansMax = 1'024;

/// A node of the fleet.
struct FleetNode {
  explicit FleetNode(const HealthLimits& limits, const Reputation& reputation = {})
      : health(limits, reputation) {}
  NodeRow row;
  NodeHealth health;
  bool peer = false;  // of the mesh: nobody registered it, no row of it is kept
  bool online = false, draining = false;
  bool suspect = false;  // a run could not reach it; until it is heard of again
  Instant away_since{};  // when not online
  std::string gateway;   // host:port, as its gateway said
  Instant gateway_asked{};
  std::uint32_t cores = 0, slots = 1;  // as the agent found them
  std::uint64_t memory_mb = 0;
  bool gpu = false;
  std::set<RunId> runs;
  std::string told_status;  // what watchers heard last
  double told_score = 0;
  std::deque<NodeActivity> activity;  // newest first
  std::array<BreakerState, 3> breakers{};
};

struct LiveTask;

/// Of a session token, besides "cs_".
inline constexpr std::size_t kSessionTokenLetters = 64;

/// One run that is under way or has its result.
struct LiveRun final : RunWatch {
  LiveRun(Coordinator::State& in, LiveTask& of) : state(&in), task(&of) {}
  void accepted(const std::string& job_id) override;
  void committed() override;
  void output(const job::OutputPiece& piece) override;

  Coordinator::State* state;  // null once the coordinator is closed or the task is over
  LiveTask* task;
  RunId id = 0;
  RunRow row;
  NodeHealth::RunTicket ticket;
  requester::CancelToken cancel;
  requester::RevealGate gate;
  std::optional<RunResult> result;
  Sha256 answer;
  Instant began;
  bool stranger = false;  // on a peer: without a bond, and for nothing
  bool ended = false;
};

/// Where a connect_only task stands.
struct Connection {
  RunId run = 0;  // its place; 0: none
  Instant placed{}, heard{};
  std::optional<ConnectSession> live;
  std::vector<ConnectSession> past;
  std::optional<UtcTime> until;  // since its first session began
};

/// A task that is not final.
struct LiveTask {
  TaskRow row;
  std::shared_ptr<const Spec> spec;
  std::shared_ptr<const Bytes> module;  // once fetched
  std::map<RunId, std::shared_ptr<LiveRun>> runs;
  std::uint32_t attempt_base = 0;  // attempts of an earlier life of the coordinator
  std::vector<RunRow> history;     // of those
  std::string stage = "waiting for nodes";
  bool revealing = false;
  bool judging = false, looked = false;
  std::string doubt;            // why the coordinator has to run it itself; empty: an audit
  std::optional<Sha256> truth;  // what the coordinator computed itself
  std::optional<RunResult> own;
  std::optional<Connection> connection;  // of connect_only
};

struct Coordinator::State final : SessionSink, PeerSink, std::enable_shared_from_this<State> {
  State(World with, CoordinatorOptions chosen);

  // ── SessionSink (sessions.cpp) ──
  [[nodiscard]] Task<std::optional<Refused>> join(Hello hello, identity::PublicKey key) override;
  void joined(const NodeName& name, const identity::PublicKey& key, const Hello& hello) override;
  void telemetry(const NodeName& name, const Telemetry& telemetry) override;
  void telemetry_refused(const NodeName& name, const Error& why) override;
  void latency(const NodeName& name, Duration round_trip) override;
  void bandwidth(const NodeName& name, MeasuredBandwidth measured) override;
  void draining(const NodeName& name) override;
  void gone(const NodeName& name, GoneReason reason, const std::string& detail) override;
  [[nodiscard]] bool may_probe(const NodeName& name) const override;

  // ── PeerSink (peers.cpp) ──
  void peer_seen(const PeerOffer& offer) override;
  void peer_latency(const identity::PublicKey& key, Duration round_trip) override;
  void peer_gone(const identity::PublicKey& key, const std::string& detail) override;
  [[nodiscard]] std::vector<identity::PublicKey> peers_online() const override;
  [[nodiscard]] FleetNode* find_peer(const identity::PublicKey& key);
  [[nodiscard]] FleetNode* add_peer(const identity::PublicKey& key);
  [[nodiscard]] bool make_room_for_peer();
  /// A peer that lied; nothing for a node of the fleet.
  void dismiss_peer(FleetNode& node, std::string_view why);
  [[nodiscard]] bool only_strangers(const LiveTask& task, const std::vector<RunId>& agreed) const;

  // ── Nodes (nodes.cpp) ──
  [[nodiscard]] Result<std::string> add_node(NodeRegistration registration, const UserId& owner);
  /// From a user's account. Errors: Code::rejected when it does not hold so much.
  [[nodiscard]] Result<Entry> take_credits(Transfer transfer);
  [[nodiscard]] Result<void> change(FleetNode& node, NodeChange change);
  [[nodiscard]] Result<void> change_peer(FleetNode& node, NodeChange change);
  void give_up_runs(FleetNode& node);
  [[nodiscard]] Result<FleetNode*> owned(const NodeName& name, const std::optional<UserId>& by);
  /// After anything that placement looks at has changed.
  void refresh(FleetNode& node);
  /// Notes what its owner may look up.
  void note(FleetNode& node, std::string event, std::string detail = {}, TaskId task = {},
            std::string session = {}) const;
  void note_breakers(FleetNode& node) const;
  /// Adds its row as it is to be kept now; of a peer nothing is kept.
  static void keep(FleetNode& node, Batch& batch);
  [[nodiscard]] FleetNode* find_node(const NodeName& name);
  [[nodiscard]] NodeView view(FleetNode& node);
  [[nodiscard]] bool placeable(FleetNode& node);

  // ── Tasks (tasks.cpp) ──
  [[nodiscard]] Task<Result<Spec>> make_spec(Submission submission, UserId owner);
  [[nodiscard]] Result<void> accept(Spec spec, std::shared_ptr<const Bytes> module);
  void finish(LiveTask& task, TaskState end, std::string reason);
  void pay(LiveTask& task, Batch& batch);
  [[nodiscard]] TaskView view(const LiveTask& task);
  [[nodiscard]] TaskView view(const TaskRow& row, const std::vector<RunRow>& runs) const;
  [[nodiscard]] LiveTask* find_task(const TaskId& id);
  /// Lets modules go that nobody uses any more.
  static Task<void> sweep_modules(std::shared_ptr<State> self);

  // ── Runs (runs.cpp) ──
  /// Does what the scheduler decides until it decides nothing.
  void pump();
  void begin(const Place& place);
  static Task<void> carry_out(std::shared_ptr<State> self, std::shared_ptr<LiveRun> run);
  [[nodiscard]] Task<Result<RunResult>> order(std::shared_ptr<LiveRun> run);
  void take_result(LiveRun& run, RunResult result);
  void fail_run(LiveRun& run, std::string reason, RunEnd fault);
  void end_run(LiveRun& run, RunState end, std::string reason, RunEnd fault);
  void commits_changed(LiveTask& task);
  /// Compares what is there; ends the task, asks for more, or computes the result here.
  void consider(LiveTask& task);
  [[nodiscard]] bool audits(LiveTask& task);
  static Task<void> look_again(std::shared_ptr<State> self, TaskId id);
  [[nodiscard]] Task<Result<RunResult>> run_here(std::shared_ptr<const Spec> spec,
                                                 std::shared_ptr<const Bytes> module);
  void conclude(LiveTask& task, const Judgement& judged);
  void slash(const NodeName& node, const TaskId& task, Batch& batch);
  void note_duration(const LiveRun& run);
  void plan_hedge(LiveRun& run);

  /// A task that was not final when the journal was read (coordinator.cpp).
  [[nodiscard]] Result<void> take_up(TaskRow row, const Loaded& loaded, Batch& batch);

  // ── Sessions of connect_only tasks (connects.cpp) ──
  [[nodiscard]] Result<void> make_connect(const Submission& submission, Spec& spec) const;
  [[nodiscard]] Result<ConnectSession> start_session(LiveTask& task, Tunnel tunnel, Sha256 token);
  /// It has a place.
  void placed(LiveTask& task, const LiveRun& run);
  /// What it knew before a restart; `open`: its run that did not end.
  void take_up(LiveTask& task, const std::vector<ConnectSession>& sessions,
               const std::optional<RunRow>& open, Batch& batch);
  /// Its live session is over, completing the task.
  void complete(LiveTask& task, SessionState how, std::string reason, UtcTime at);
  void end_session(LiveTask& task, SessionState how, std::string reason, UtcTime at, Batch& batch);
  /// Before its final row is written.
  void close_connection(LiveTask& task, TaskState end, const std::string& reason, Batch& batch);
  /// Its run came to nothing.
  void lose_connection(LiveTask& task, const std::string& reason, Batch& batch);
  void look_at_connection(LiveTask& task);
  void sweep_connections();
  void sweep_connections_at(Instant at);
  [[nodiscard]] bool lost_to_sessions(const NodeName& name);
  [[nodiscard]] bool internet_active(const ConnectSession& session);
  [[nodiscard]] SessionView view(const ConnectSession& session);
  [[nodiscard]] const ConnectSession* session_on(RunId run) const;

  // ── Policies (policies.cpp) ──
  [[nodiscard]] Result<DestinationPolicy> keep_policy(DestinationPolicy policy);
  [[nodiscard]] Result<DestinationPolicy> drop_policy(const UserId& owner, const std::string& id);
  [[nodiscard]] const DestinationPolicy* find_policy(const UserId& owner,
                                                     const std::string& id) const;
  void take_up(std::vector<DestinationPolicy> kept);

  // ── Events and the journal (events.cpp) ──
  void append(Batch batch);
  void tell(std::string name, UserId owner, TaskId task, std::string json, bool now = false);
  void tell_task(const LiveTask& task);
  void tell_run(const LiveTask& task, const RunRow& run);
  void tell_node(FleetNode& node);
  void tell_entry(const Entry& entry);
  static Task<void> publish(std::shared_ptr<State> self);
  static Task<void> tick(std::shared_ptr<State> self);
  void sample();
  void close();

  World world;
  CoordinatorOptions options;
  bool closed = false, leaving = false;
  std::optional<Error> broken;
  Scheduler scheduler;
  Book book;
  std::map<NodeName, std::unique_ptr<FleetNode>> nodes;
  std::deque<identity::PublicKey> liars;  // peers, at most kLiarsKept
  std::unordered_map<TaskId, std::unique_ptr<LiveTask>> tasks;
  std::unordered_map<RunId, std::shared_ptr<LiveRun>> runs;
  std::uint64_t completed = 0, failed = 0, cancelled = 0;  // tasks that are final
  std::optional<std::uint64_t> energy_mj;                  // claimed for finished runs
  Credits paid = 0;                                        // since the start
  std::set<TaskId> connecting;                             // tasks of connect_only
  std::map<std::string, TaskId> sessions;                  // live ones
  std::map<std::pair<UserId, std::string>, DestinationPolicy> policies;
  std::size_t policy_bytes = 0;
  std::optional<Instant> next_sweep;
  std::map<Sha256, double> means;  // seconds of runs, by module
  bool pumping = false;

  std::deque<FleetEvent> waiting_events, events;
  std::uint64_t last_event = 0;
  Waiters heard, idle;
  Event to_publish;
  Alarm alarm, connect_alarm;
  std::deque<SeriesPoint> points;

  std::function<void(const NodeName&, ByeReason)> dismiss;
  std::function<MeshAddress()> address;
  std::function<void(const Error&)> tell_broken;
};

/// What a node must have for a task.
[[nodiscard]] Need need_of(const Spec& spec, const CoordinatorOptions& options);
/// What a node's reputation is made of, as a row keeps it.
[[nodiscard]] std::string reputation_text(const Reputation& reputation);
[[nodiscard]] Reputation reputation_of(const std::string& text);
/// The result of a completed task, as the REST API shows it.
[[nodiscard]] std::string result_json(const RunResult& result, const std::vector<NodeName>& agreed);

}  // namespace phase::vcp
