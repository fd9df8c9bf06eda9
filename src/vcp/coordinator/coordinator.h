// coordinator.h — a fleet's nodes, tasks, results and credits: places, runs, compares, pays.
//
// The one writer of all of it, in memory, on one executor; what happens is appended to a journal,
// and answers wait until their rows are durable. The world comes in: clock, randomness, journal,
// runners. So the same object files serve the program and the simulation.
#pragma once

#include <functional>
#include <memory>

#include <spdlog/logger.h>

#include "base/random.h"
#include "vcp/coordinator/peers.h"
#include "vcp/coordinator/runner.h"
#include "vcp/coordinator/view.h"
#include "vcp/health/health.h"
#include "vcp/scheduler/scheduler.h"
#include "vcp/session/session.h"
#include "vcp/state/journal.h"

namespace phase::vcp {

/// Of connect_only tasks.
struct ConnectOptions {
  Duration sweep = 15s;                 ///< how often sessions are looked at though nothing happens
  Duration silence_max = 120s;          ///< without a heartbeat of its client a session expires
  Duration active_within = 30s;         ///< of a heartbeat: its client is there
  Duration gateway_within = 30s;        ///< since it asked: a gateway is where it said
  Duration start_max = 300s;            ///< from a place to a session
  std::size_t tasks_of_owner_max = 20;  ///< under way: they cost nothing and hold nodes
  Duration node_lost_after = 30s;       ///< a node that is away for so long is lost to its session
};
/// Policies of one owner, of all, and the bytes of all their rules.
inline constexpr std::size_t kPoliciesOfOwnerMax = 100, kPoliciesMax = 10'000;
inline constexpr std::size_t kPolicyBytesMax = 64_MiB;

struct CoordinatorOptions {
  Strategy strategy = Strategy::weighted;
  SchedulerLimits scheduler;
  HealthLimits health;
  Credits grant = 100'000;  ///< of a new user
  Credits bond = 100;       ///< of a node; what a proven lie costs
  std::uint32_t runs_per_node_max = 50;
  Duration node_tick = 5s;  ///< how often breakers and ages are looked at though nothing happens
  Duration series_every = 10s;
  std::size_t series_kept = 2'160;  ///< six hours of series_every
  std::uint32_t audit_permille =
      10;                          ///< tasks of one node that are run here too, before they count
  std::size_t peers_max = 0;       ///< providers of the mesh that may be shown and asked; 0: none
  Duration hedge_min = 2s;         ///< no run is a straggler before
  std::uint32_t hedge_factor = 3;  ///< times the mean of runs of the same module
  Duration modules_kept = std::chrono::days(30);  ///< unused, while no task needs them
  Duration modules_swept_every = std::chrono::hours(24);
  std::uint64_t fuel_limit_max = 1'000'000'000'000;
  ConnectOptions connect;
  /// The module that `computation` tasks run; absent: such tasks are refused.
  std::shared_ptr<const Bytes> computation;
};

class Coordinator final : public Fleet {
 public:
  struct World {
    Clock& clock;
    Random& random;
    Journal& journal;
    ModuleStore& modules;
    Runner& nodes;  ///< runs on nodes
    Runner& own;    ///< runs here: the second look at results that differ
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Takes up what the journal holds; tasks that were under way begin anew.
  /// Errors: those of Journal::load.
  [[nodiscard]] static Task<Result<std::unique_ptr<Coordinator>>> open(World world,
                                                                       CoordinatorOptions options);
  ~Coordinator() override;

  /// What sessions with nodes report to.
  [[nodiscard]] SessionSink& sink() noexcept;
  /// What whoever looks for peers reports to.
  [[nodiscard]] PeerSink& peers() noexcept;
  /// Says bye to a node's session; set by whoever owns the sessions.
  void on_dismiss(std::function<void(const NodeName&, ByeReason)> dismiss);
  void on_mesh_address(std::function<MeshAddress()> address);
  /// Called once when the journal cannot be written any more: memory and disk differ, so stop.
  void on_broken(std::function<void(const Error&)> broken);
  /// Takes no more submissions, waits for runs under way, at most until `deadline`.
  [[nodiscard]] Task<void> drain(Deadline deadline);

  [[nodiscard]] Task<Result<Registered>> register_node(NodeRegistration registration,
                                                       UserId owner) override;
  [[nodiscard]] Task<Result<NodeView>> change_node(NodeName name, NodeChange change,
                                                   std::optional<UserId> by) override;
  [[nodiscard]] Task<Result<NodeView>> node(NodeName name) override;
  [[nodiscard]] Task<Result<PageOf<NodeView>>> nodes(NodeFilter filter, Page page) override;
  [[nodiscard]] std::vector<NodeActivity> activity(const NodeName& name) const override;
  [[nodiscard]] Task<Result<job::ArtifactRef>> keep_module(Bytes module, UserId owner) override;
  [[nodiscard]] Task<Result<TaskView>> submit(Submission submission, UserId owner) override;
  [[nodiscard]] Task<Result<TaskView>> cancel(TaskId id, std::optional<UserId> by) override;
  [[nodiscard]] Task<Result<TaskView>> task(TaskId id, std::optional<UserId> by) override;
  [[nodiscard]] Task<Result<PageOf<TaskView>>> tasks(TaskFilter filter, Page page) override;
  [[nodiscard]] Task<Result<std::vector<RunReceipt>>> receipts(TaskId id,
                                                               std::optional<UserId> by) override;
  [[nodiscard]] Task<Result<StartedSession>> start_session(TaskId task, Tunnel tunnel,
                                                           UserId by) override;
  [[nodiscard]] Task<Result<SessionView>> ask_session(std::string id, SessionAsk ask,
                                                      UserId by) override;
  [[nodiscard]] Task<Result<std::vector<GatewaySession>>> gateway_sessions(
      NodeName node, std::optional<UserId> by, std::string address) override;
  [[nodiscard]] Task<Result<DestinationPolicy>> put_policy(DestinationPolicy policy) override;
  [[nodiscard]] Task<Result<DestinationPolicy>> policy(std::string id, UserId owner) override;
  [[nodiscard]] Task<Result<DestinationPolicy>> remove_policy(std::string id,
                                                              UserId owner) override;
  [[nodiscard]] Task<Result<PageOf<DestinationPolicy>>> policies(UserId owner, Page page) override;
  [[nodiscard]] ClusterStats stats() const override;
  [[nodiscard]] std::vector<SeriesPoint> series() const override;
  [[nodiscard]] MeshAddress mesh() const override;
  [[nodiscard]] Result<void> set_strategy(std::string_view name) override;
  [[nodiscard]] Task<Result<void>> grant(UserId user) override;
  [[nodiscard]] Task<Result<Credits>> balance(std::string account) override;
  [[nodiscard]] Task<Result<PageOf<LedgerEntry>>> ledger(std::string account, Page page) override;
  [[nodiscard]] std::vector<FleetEvent> events_after(std::uint64_t id) const override;
  [[nodiscard]] std::uint64_t last_event() const override;
  [[nodiscard]] Task<void> wait_events(std::uint64_t id, Deadline deadline) override;

  struct State;

 private:
  explicit Coordinator(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines of runs; they stop when it is closed
};

}  // namespace phase::vcp
