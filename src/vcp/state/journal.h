// journal.h — what a coordinator must still know after it died: nodes, tasks, runs, the ledger.
//
// Written by one owner, in batches; a batch is durable as a whole or not at all. Twins:
// DatabaseJournal (a file) and MemoryJournal (the simulation).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/identity.h"
#include "vcp/ledger/ledger.h"
#include "vcp/task/task.h"

namespace phase::vcp {

struct NodeRow {
  NodeName name;
  UserId owner;
  std::string region, type;
  std::uint64_t bandwidth_mbps = 0;
  std::uint32_t cpu_cores = 0;
  std::uint64_t memory_mb = 0;
  bool gpu = false;
  std::optional<std::uint16_t> observability_port;
  std::optional<identity::PublicKey> key;  ///< bound by the first join
  std::optional<Sha256> join_token_hash;   ///< until the key is bound
  UtcTime registered, last_seen;
  bool cordoned = false, rejected = false, removed = false;
  std::uint64_t completed = 0, failed = 0, disputes = 0;
  std::string record;  ///< what reputation is made of; its form is the coordinator's
};

struct TaskRow {
  Spec spec;
  TaskState state = TaskState::pending;
  std::string reason;
  std::string result_json;
  UtcTime updated;
  Credits paid = 0, refunded = 0;
};

struct RunRow {
  TaskId task;
  NodeName node;
  std::uint32_t attempt = 1;  ///< with the task the key
  RunState state = RunState::assigned;
  UtcTime assigned;
  std::optional<UtcTime> ended;
  std::string reason;
  std::optional<Sha256> output_commitment;
  std::optional<std::uint64_t> fuel, wall_ms, energy_mj;
  std::string job_id;
  std::optional<bool> verified;
  Credits paid = 0;
  Bytes manifest, receipt;  ///< COSE envelopes; empty before the end
};

/// What happened together. Rows replace those of the same key.
struct Batch {
  std::vector<NodeRow> nodes;
  std::vector<TaskRow> tasks;
  std::vector<RunRow> runs;
  std::vector<Entry> entries;
  std::vector<ConnectSession> sessions;
  std::vector<DestinationPolicy> policies;  ///< one without rules goes
  [[nodiscard]] bool empty() const noexcept {
    return nodes.empty() && tasks.empty() && runs.empty() && entries.empty() && sessions.empty() &&
           policies.empty();
  }
};

/// What a coordinator begins with. Only tasks that are not final, with their runs and sessions.
struct Loaded {
  std::vector<NodeRow> nodes;
  std::vector<TaskRow> tasks;
  std::vector<RunRow> runs;
  std::vector<ConnectSession> sessions;                    ///< by the time they began
  std::vector<DestinationPolicy> policies;                 ///< all
  Book book;                                               ///< the whole chain was checked
  std::uint64_t completed = 0, failed = 0, cancelled = 0;  ///< tasks that are final
};

/// Newest first. `before`: the number of the last one seen; 0: from the newest.
struct TaskQuery {
  std::optional<UserId> owner;
  std::optional<TaskState> state;
  std::optional<TaskType> type;
  std::uint64_t before = 0;
  std::size_t limit = 100;
};
struct TaskPage {
  std::vector<TaskRow> tasks;
  std::uint64_t next = 0;  ///< 0: no more
};

class Journal {
 public:
  virtual ~Journal() = default;

  [[nodiscard]] virtual Task<Result<Loaded>> load() = 0;
  /// Begins to write; batches become durable in the order of these calls. Never fails here.
  virtual void append(Batch batch) = 0;
  /// All that was appended before this call is durable. Errors: those of the write that failed;
  /// after one every call fails, and what memory says is not what the disk says: stop.
  [[nodiscard]] virtual Task<Result<void>> settled() = 0;
  /// Number of batches that are not durable yet.
  [[nodiscard]] virtual std::size_t waiting() const = 0;

  [[nodiscard]] virtual Task<Result<std::optional<TaskRow>>> task(TaskId id) = 0;
  [[nodiscard]] virtual Task<Result<std::vector<RunRow>>> runs(TaskId id) = 0;
  [[nodiscard]] virtual Task<Result<TaskPage>> tasks(TaskQuery query) = 0;
  [[nodiscard]] virtual Task<Result<std::optional<ConnectSession>>> session(std::string id) = 0;
  /// Entries of one account (empty: all) after `sequence`, oldest first.
  [[nodiscard]] virtual Task<Result<std::vector<Entry>>> entries(std::string account,
                                                                 std::uint64_t sequence,
                                                                 std::size_t limit) = 0;
};

}  // namespace phase::vcp
