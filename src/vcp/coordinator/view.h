// view.h — what people and programs may ask of a coordinator. The REST API is a face over this; the
// coordinator implements it. Belongs to the coordinator's executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "vcp/task/task.h"

namespace phase::vcp {

// ── Nodes ────────────────────────────────────────────────────────────────────────────────────────

struct NodeRegistration {
  NodeName name;
  std::string region;
  std::string type;  ///< compute, gateway, storage, validator, open_internet, any, feen_resonator
  std::uint64_t bandwidth_mbps = 0;  ///< said by the owner; placement uses what was measured
  std::uint32_t cpu_cores = 0;
  std::uint64_t memory_mb = 0;
  bool gpu = false;
  std::optional<std::uint16_t> observability_port;
};

/// One term of the health score. Unknown scores 0 and is shown as unknown.
struct TermView {
  std::optional<double> value;  ///< as measured, in `unit`
  std::string unit;             ///< "Mbps", "ms", "%", ""
  double score = 0;             ///< 0 … 1
  std::string evidence;  ///< "measured by the coordinator", "signed by the node", "unknown: …"
  std::optional<std::uint64_t> age_ms;
};
struct BreakerView {
  std::string name;   ///< temperature, latency, failures
  std::string state;  ///< closed, open, half_open
  std::string detail;
};
struct NodeHealthView {
  double score = 0;  ///< 0 … 100
  TermView bandwidth, latency, compute, reputation;
  std::vector<BreakerView> breakers;
  // Said by the node, signed; absent: unknown.
  std::optional<double> cpu_percent, memory_percent, temperature_c, power_watts, gpu_percent;
  std::optional<double> energy_joules;  ///< since the node started
};

struct NodeView {
  NodeRegistration registration;
  UserId owner;
  std::string status;  ///< online, offline, rejected
  bool cordoned = false, draining = false;
  std::string public_key;  ///< hex; empty until the node joined
  UtcTime registered, last_seen;
  NodeHealthView health;
  std::vector<TaskId> tasks;  ///< that run on it now
  std::uint64_t completed = 0, failed = 0, disputes = 0;
  Credits bond = 0, earned = 0;
  bool internet_active = false;  ///< of a session of a connect_only task on it
};

/// Something that happened to a node. Kept in memory, since the coordinator began.
struct NodeActivity {
  UtcTime at;
  std::string event;   ///< joined, gone, draining, breaker_open, breaker_half_open, breaker_closed,
                       ///< task_connected, task_cleared
  std::string detail;  ///< why; which breaker, and what it says; or empty
  TaskId task = {};    ///< of the last two: the connect_only task,
  std::string session = {};  ///< and its session
};
/// Of each node, the newest.
inline constexpr std::size_t kActivityKept = 50;

// ── Tasks ────────────────────────────────────────────────────────────────────────────────────────

struct Submission {
  TaskType type = TaskType::wasm_execution;
  std::optional<Bytes> module;          ///< as uploaded with the task
  std::optional<Sha256> module_sha256;  ///< or of one uploaded before
  std::string inputs_json;              ///< checked for depth and sizes
  Requirements requirements;
  std::optional<Credits> bid;  ///< absent: what the coordinator asks for such a task
  /// Chosen by the caller, so that a repeated submission is the same task. Empty: a new one.
  TaskId id;
};

struct RunView {
  NodeName node;
  RunState state = RunState::assigned;
  std::uint32_t attempt = 1;
  UtcTime assigned;
  std::optional<UtcTime> ended;
  std::string reason;  ///< of failed, refuted, superseded
  std::optional<std::string> output_commitment;
  std::optional<std::uint64_t> fuel;  ///< comparable: agreed by two nodes, or re-run
  std::optional<std::uint64_t> claimed_wall_ms, claimed_energy_mj;
  std::string job_id;  ///< hex; empty before the offer
  std::optional<bool> receipt_verified;
  Credits paid = 0;
};

struct TaskView {
  Spec spec;
  TaskState state = TaskState::pending;
  std::string stage;   ///< waiting for nodes, running, comparing, re-running, done
  std::string reason;  ///< of a final state; of waiting, the missing resource
  UtcTime updated;
  std::string result_json;  ///< empty until completed
  std::vector<RunView> runs;
  Credits escrowed = 0, paid = 0, refunded = 0;
};

/// Proof of one run, as received.
struct RunReceipt {
  NodeName node;
  Bytes manifest, receipt;  ///< COSE envelopes
  std::string verdict;      ///< verified, or the check that failed
};

struct Page {
  std::size_t limit = 100;  ///< at most kPageMax
  std::string after;        ///< a cursor of an earlier page; empty: from the beginning
};
inline constexpr std::size_t kPageMax = 500;
template <typename Item>
struct PageOf {
  std::vector<Item> items;
  std::string next;  ///< cursor; empty at the end
};
struct TaskFilter {
  std::optional<UserId> owner;
  std::optional<TaskState> state;
  std::optional<TaskType> type;
};
struct NodeFilter {
  std::optional<UserId> owner;
  std::string status, region, type;
};

// ── Sessions of connect_only tasks ───────────────────────────────────────────────────────────────

struct SessionView {
  ConnectSession session;
  /// Its client was heard of within ConnectOptions::active_within, and its node is connected.
  bool internet_active = false;
  /// host:port of its gateway; empty: none that says where it is asked within
  /// ConnectOptions::gateway_within.
  std::string gateway_address;
};
struct StartedSession {
  SessionView view;
  std::string token;  ///< shown once
};
/// What a gateway has to know (spec/gateway.md §4).
struct GatewaySession {
  ConnectSession session;
  std::vector<std::string> rules;  ///< of its policy as it is now; for allowlist_domains only
};

// ── The fleet ────────────────────────────────────────────────────────────────────────────────────

struct ClusterStats {
  std::uint64_t total_nodes = 0, healthy_nodes = 0;
  std::uint64_t total_tasks = 0, completed_tasks = 0, failed_tasks = 0, running_tasks = 0,
                pending_tasks = 0;
  double avg_health_score = 0;        ///< 0 … 100
  double total_compute_capacity = 0;  ///< sum of cores × GB
  std::string strategy;
  std::optional<double> energy_joules;  ///< claimed by nodes for finished runs; absent: none does
};

/// For charts. Oldest first.
struct SeriesPoint {
  UtcTime at;
  std::uint64_t nodes_online = 0, tasks_completed = 0, tasks_failed = 0;
  double avg_health_score = 0;
  std::optional<double> power_watts, energy_joules;  ///< absent: no node says
  Credits credits_paid = 0;
};

struct LedgerEntry {
  std::uint64_t sequence = 0;
  UtcTime at;
  std::string kind;      ///< grant, bond, escrow, pay, refund, slash
  std::string from, to;  ///< "mint", "user:…", "node:…", "bond:…", "escrow:…", "treasury"
  Credits amount = 0;
  std::string reference;       ///< task id or node name
  std::string previous, hash;  ///< hex
};

/// What happened, for those who watch. `json` is one line.
struct FleetEvent {
  std::uint64_t id = 0;  ///< counts from 1 in this process
  std::string name;      ///< node, task, run, output, ledger
  UserId owner;          ///< whom it concerns; empty: everybody
  TaskId task;           ///< of task, run and output
  std::string json;
};

struct MeshAddress {
  std::string peer_id;
  std::vector<std::string> addresses;  ///< multiaddrs nodes can dial, with /p2p/…
};

/// Implemented by the coordinator. What changes state returns once it is durable, and what is shown
/// is durable too: an answer waits for the rows it was made of.
class Fleet {
 public:
  virtual ~Fleet() = default;

  struct Registered {
    NodeView node;
    std::string join_token;  ///< shown once; binds the key of the node that brings it
  };
  /// Errors: Code::already_exists (another owner's, or joined), invalid_argument, rejected (credits
  /// do not reach for the bond).
  [[nodiscard]] virtual Task<Result<Registered>> register_node(NodeRegistration registration,
                                                               UserId owner) = 0;
  enum class NodeChange : std::uint8_t { remove, reject, cordon, uncordon, drain };
  /// `by` absent: an administrator. Errors: Code::not_found also for another owner's.
  [[nodiscard]] virtual Task<Result<NodeView>> change_node(NodeName name, NodeChange change,
                                                           std::optional<UserId> by) = 0;
  [[nodiscard]] virtual Task<Result<NodeView>> node(NodeName name) = 0;
  [[nodiscard]] virtual Task<Result<PageOf<NodeView>>> nodes(NodeFilter filter, Page page) = 0;
  /// Newest first; empty for a name that is not there.
  [[nodiscard]] virtual std::vector<NodeActivity> activity(const NodeName& name) const = 0;

  /// Keeps a module so that tasks can name it. Errors: Code::too_large, malformed.
  [[nodiscard]] virtual Task<Result<job::ArtifactRef>> keep_module(Bytes module, UserId owner) = 0;
  /// With an id that a task of the same owner has already, that task is answered. Errors:
  /// Code::invalid_argument, unavailable (no node can ever do it; the message names what is
  /// missing), busy (queue full), rejected (credits), unsupported (not available yet),
  /// already_exists (the id is another owner's).
  [[nodiscard]] virtual Task<Result<TaskView>> submit(Submission submission, UserId owner) = 0;
  [[nodiscard]] virtual Task<Result<TaskView>> cancel(TaskId id, std::optional<UserId> by) = 0;
  [[nodiscard]] virtual Task<Result<TaskView>> task(TaskId id, std::optional<UserId> by) = 0;
  [[nodiscard]] virtual Task<Result<PageOf<TaskView>>> tasks(TaskFilter filter, Page page) = 0;
  [[nodiscard]] virtual Task<Result<std::vector<RunReceipt>>> receipts(
      TaskId id, std::optional<UserId> by) = 0;

  /// Errors: Code::not_found also for another owner's, invalid_argument (no connect_only task),
  /// already_exists (it has a live one, or is over), unavailable (no node was found yet).
  [[nodiscard]] virtual Task<Result<StartedSession>> start_session(TaskId task, Tunnel tunnel,
                                                                   UserId by) = 0;
  enum class SessionAsk : std::uint8_t { look, heartbeat, stop };
  /// To stop twice is no error. Errors: Code::not_found also for another requester's,
  /// already_exists (heartbeat of one that is over).
  [[nodiscard]] virtual Task<Result<SessionView>> ask_session(std::string id, SessionAsk ask,
                                                              UserId by) = 0;
  /// Live ones on one node. `address`: where clients reach the gateway that asks; empty: it does
  /// not say. Errors: Code::not_found also for another owner's, invalid_argument (address).
  [[nodiscard]] virtual Task<Result<std::vector<GatewaySession>>> gateway_sessions(
      NodeName node, std::optional<UserId> by, std::string address) = 0;

  /// Rules as they were given; kept as parse_rule spells them. Live sessions follow it.
  /// Errors: Code::invalid_argument (id, rules), busy (at a limit).
  [[nodiscard]] virtual Task<Result<DestinationPolicy>> put_policy(DestinationPolicy policy) = 0;
  [[nodiscard]] virtual Task<Result<DestinationPolicy>> policy(std::string id, UserId owner) = 0;
  /// What was removed. Errors: Code::not_found; already_exists (a task that is not over needs it).
  [[nodiscard]] virtual Task<Result<DestinationPolicy>> remove_policy(std::string id,
                                                                      UserId owner) = 0;
  /// By id.
  [[nodiscard]] virtual Task<Result<PageOf<DestinationPolicy>>> policies(UserId owner,
                                                                         Page page) = 0;

  [[nodiscard]] virtual ClusterStats stats() const = 0;
  [[nodiscard]] virtual std::vector<SeriesPoint> series() const = 0;
  [[nodiscard]] virtual MeshAddress mesh() const = 0;
  /// weighted, round-robin, least-loaded, latency-aware. Errors: Code::invalid_argument.
  [[nodiscard]] virtual Result<void> set_strategy(std::string_view name) = 0;

  /// Credits of a new user, given once. Idempotent.
  [[nodiscard]] virtual Task<Result<void>> grant(UserId user) = 0;
  [[nodiscard]] virtual Task<Result<Credits>> balance(std::string account) = 0;
  /// Entries from or to `account`, oldest first; of all accounts when it is empty.
  [[nodiscard]] virtual Task<Result<PageOf<LedgerEntry>>> ledger(std::string account,
                                                                 Page page) = 0;

  /// The newest event's; 0 before the first.
  [[nodiscard]] virtual std::uint64_t last_event() const = 0;
  /// Events after `id` that are still kept (at most kEventsKept), oldest first.
  [[nodiscard]] virtual std::vector<FleetEvent> events_after(std::uint64_t id) const = 0;
  /// Completes when there is an event after `id`, or at the deadline.
  [[nodiscard]] virtual Task<void> wait_events(std::uint64_t id, Deadline deadline) = 0;
};
inline constexpr std::size_t kEventsKept = 10'000;

}  // namespace phase::vcp
