// memory_fleet.h — for tests of the shape of HTTP only: a fleet that keeps what it is told and runs
// nothing. A task ends when the test says so.
#pragma once

#include <deque>
#include <map>

#include "base/random.h"
#include "vcp/coordinator/view.h"

namespace phase::vcp::api {

class MemoryFleet final : public Fleet {
 public:
  MemoryFleet(Clock& clock, Random& random) : clock_(clock), random_(random) {}

  // ── What a test does ──
  void finish(const TaskId& id, std::string result_json);
  void add_output(const TaskId& id, std::string json);
  std::size_t submissions = 0;
  Submission last_submission;
  UserId last_owner;
  std::optional<Error> refusal;  ///< of the next submission

  // ── Fleet ──
  Task<Result<Registered>> register_node(NodeRegistration registration, UserId owner) override;
  Task<Result<NodeView>> change_node(NodeName name, NodeChange change,
                                     std::optional<UserId> by) override;
  Task<Result<NodeView>> node(NodeName name) override;
  Task<Result<PageOf<NodeView>>> nodes(NodeFilter filter, Page page) override;
  [[nodiscard]] std::vector<NodeActivity> activity(const NodeName& name) const override;
  Task<Result<job::ArtifactRef>> keep_module(Bytes module, UserId owner) override;
  Task<Result<TaskView>> submit(Submission submission, UserId owner) override;
  Task<Result<TaskView>> cancel(TaskId id, std::optional<UserId> by) override;
  Task<Result<TaskView>> task(TaskId id, std::optional<UserId> by) override;
  Task<Result<PageOf<TaskView>>> tasks(TaskFilter filter, Page page) override;
  Task<Result<std::vector<RunReceipt>>> receipts(TaskId id, std::optional<UserId> by) override;
  Task<Result<StartedSession>> start_session(TaskId task, Tunnel tunnel, UserId by) override;
  Task<Result<SessionView>> ask_session(std::string id, SessionAsk ask, UserId by) override;
  Task<Result<std::vector<GatewaySession>>> gateway_sessions(NodeName node,
                                                             std::optional<UserId> by,
                                                             std::string address) override;
  Task<Result<DestinationPolicy>> put_policy(DestinationPolicy policy) override;
  Task<Result<DestinationPolicy>> policy(std::string id, UserId owner) override;
  Task<Result<DestinationPolicy>> remove_policy(std::string id, UserId owner) override;
  Task<Result<PageOf<DestinationPolicy>>> policies(UserId owner, Page page) override;
  [[nodiscard]] ClusterStats stats() const override;
  [[nodiscard]] std::vector<SeriesPoint> series() const override;
  [[nodiscard]] MeshAddress mesh() const override;
  [[nodiscard]] Result<void> set_strategy(std::string_view name) override;
  Task<Result<void>> grant(UserId user) override;
  Task<Result<Credits>> balance(std::string account) override;
  Task<Result<PageOf<LedgerEntry>>> ledger(std::string account, Page page) override;
  [[nodiscard]] std::uint64_t last_event() const override { return events_.size(); }
  [[nodiscard]] std::vector<FleetEvent> events_after(std::uint64_t id) const override;
  Task<void> wait_events(std::uint64_t id, Deadline deadline) override;

 private:
  void say(std::string name, const UserId& owner, const TaskId& task, std::string json);
  [[nodiscard]] Result<TaskView*> find(const TaskId& id, const std::optional<UserId>& by);

  Clock& clock_;
  Random& random_;
  std::string strategy_ = "weighted";
  std::vector<NodeView> nodes_;  // oldest first
  std::deque<TaskView> tasks_;
  std::vector<FleetEvent> events_;
  std::vector<LedgerEntry> entries_;
  std::map<std::string, Credits> balances_;
  std::vector<ConnectSession> sessions_;  // on any node
  std::vector<DestinationPolicy> policies_;
};

}  // namespace phase::vcp::api
