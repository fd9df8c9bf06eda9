// task.h — what somebody submits to a coordinator, and where it stands.
//
// A task becomes jobs: one signed job per node that runs it (decision 0008). Pure values: nothing
// here blocks, reads a clock or throws. Sizes of texts were checked where they came in.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "identity/identity.h"
#include "protocol/job/job.h"
#include "vcp/task/connect.h"

namespace phase::vcp {

/// A node's name in its fleet: 1–64 of [A-Za-z0-9_-].
using NodeName = std::string;
/// Errors: Code::invalid_argument, saying what a name is.
[[nodiscard]] Result<void> check_node_name(std::string_view name);
/// A UUID (RFC 9562) in its 36-character text form.
using TaskId = std::string;
using UserId = std::string;
/// Credits are integers; nothing smaller exists.
using Credits = std::uint64_t;

inline constexpr std::size_t kNodeNameBytesMax = 64;
inline constexpr std::size_t kRegionBytesMax = 32;
inline constexpr std::uint32_t kQuorumMax = 1'000;
inline constexpr std::uint64_t kTaskSecondsMax = 3'600;

/// The words of the published API for kinds of tasks.
enum class TaskType : std::uint8_t {
  federated_learning,
  zk_proof,
  wasm_execution,
  computation,
  connect_only,
  feen_connectivity,
};
[[nodiscard]] std::string_view task_type_name(TaskType type) noexcept;
/// Nothing for an unknown word.
[[nodiscard]] std::optional<TaskType> task_type_of(std::string_view name) noexcept;

/// What a node must have. Zero or empty: no matter.
struct Requirements {
  std::uint32_t min_nodes = 1;               ///< the quorum: so many nodes run it and are compared
  std::uint64_t max_execution_seconds = 60;  ///< of one run
  bool gpu = false;
  std::uint32_t health_min_permille = 0;  ///< of the health score
  std::uint64_t bandwidth_kbps_min = 0;   ///< as measured by the coordinator
  std::uint64_t latency_us_max = 0;       ///< as measured by the coordinator
  std::uint32_t cpu_cores = 0;
  std::uint64_t memory_mb = 0;
  std::string region;
  bool allow_peers = false;  ///< providers of the mesh may be asked, besides nodes of the fleet
  std::optional<UtcTime> deadline;  ///< the task fails when it is not done by then
  friend bool operator==(const Requirements&, const Requirements&) = default;
};

/// The wasm job that a task is, equal on every node, so that results can be compared. The module is
/// kept by its hash.
struct Work {
  job::WasmJob job;   ///< its stdin commitment is that of `stdin_bytes`
  Bytes stdin_bytes;  ///< at most kTaskInputBytesMax
};
inline constexpr std::size_t kTaskInputBytesMax = 50_MiB;
/// What one run may write: nodes hold it back until all have committed (spec/job-stream.md).
inline constexpr std::uint64_t kTaskOutputBytesMax = 16_MiB;

struct Spec {
  TaskId id;
  UserId owner;
  TaskType type = TaskType::wasm_execution;
  Requirements requirements;
  Work work;                           ///< of all but connect_only
  std::optional<ConnectWish> connect;  ///< of connect_only: nothing is run
  Credits bid = 0;                     ///< held in escrow from submission to the end
  UtcTime submitted;
};

/// A session of a connect_only task with the gateway beside a node.
struct ConnectSession {
  std::string id;  ///< a UUID
  TaskId task;
  NodeName node;
  UserId requester;  ///< who owns the task
  Tunnel tunnel = Tunnel::mtls;
  ConnectWish wish;
  Sha256 token;  ///< of the session token, which is kept nowhere
  SessionState state = SessionState::active;
  UtcTime created, expires;  ///< `expires` in whole seconds
  UtcTime heard;             ///< its start, or the last heartbeat of its client
  std::optional<UtcTime> ended;
  std::string reason;  ///< of the end
  friend bool operator==(const ConnectSession&, const ConnectSession&) = default;
};

/// Where sessions of allowlist_domains may lead.
struct DestinationPolicy {
  UserId owner;
  std::string id;                  ///< with the owner the key
  std::vector<std::string> rules;  ///< 1 … kDestinationsMax, as parse_rule spells them
  UtcTime updated;
  friend bool operator==(const DestinationPolicy&, const DestinationPolicy&) = default;
};

/// Final are completed, failed and cancelled; a task is in exactly one of them, with a reason.
enum class TaskState : std::uint8_t { pending, running, completed, failed, cancelled };
[[nodiscard]] std::string_view task_state_name(TaskState state) noexcept;
[[nodiscard]] constexpr bool is_final(TaskState state) noexcept {
  return state >= TaskState::completed;
}

/// Where one run of a task on one node stands.
enum class RunState : std::uint8_t {
  assigned,   ///< placed; the node was not heard of it yet
  running,    ///< the node accepted
  committed,  ///< the node said what its output is, and waits for the others before it shows it
  verified,   ///< receipt verified and, in a quorum, equal to the majority
  refuted,    ///< another result than the majority's, and than what the coordinator computed itself
  failed,     ///< no result; the reason says why
  superseded,  ///< not needed any more
  ended        ///< of connect_only: its session is over; there is nothing to verify
};
[[nodiscard]] std::string_view run_state_name(RunState state) noexcept;

}  // namespace phase::vcp
