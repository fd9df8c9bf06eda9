// health.h — what is known of one node becomes a score, term by term, and leave to give it work.
//
//   score = 0.4 bandwidth + 0.3 latency + 0.2 compute + 0.1 reputation, each 0 … 1:
//   bandwidth   min(down, up) / 1000 Mbps, as the coordinator measured it
//   latency     1 − round trip / 100 ms, as the coordinator measured it
//   compute     ((100 − CPU %) + (100 − memory %)) / 200, as the node signed it
//   reputation  reputation.h, as the coordinator saw it
//
// Unknown scores 0 and is shown as unknown; a reading that is too old is unknown; of compute, each
// half on its own. Pure: time comes in, nothing blocks. Belongs to whoever owns it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "vcp/health/breaker.h"
#include "vcp/health/reputation.h"
#include "vcp/health/telemetry.h"

namespace phase::vcp {

inline constexpr double kWeightBandwidth = 0.4, kWeightLatency = 0.3, kWeightCompute = 0.2,
                        kWeightReputation = 0.1;
inline constexpr double kBandwidthFullMbps = 1000, kLatencyNoneMs = 100;

struct HealthLimits {
  Duration heartbeat = 5s;
  int stale_heartbeats = 3;  ///< a reading older than so many heartbeats is unknown
  /// Bandwidth is measured seldom: known for so long, while the node is heard of.
  Duration bandwidth_stale = 1800s;
  BreakerLimits temperature{85, 80, 30s, 3600s, 600s};  ///< °C
  BreakerLimits latency{100, 80, 30s, 3600s, 600s};     ///< ms
  /// Failed runs in a row: more than 25 open it; time alone calms it.
  BreakerLimits failures{25, 1e18, 60s, 3600s, 600s};
};

/// Where a term comes from, or why it is unknown.
enum class Evidence : std::uint8_t {
  measured,  ///< by the coordinator
  signed_by_node,
  recorded,  ///< by the coordinator, run by run
  partial,   ///< signed by the node; half of it is unknown and scores 0
  never,     ///< unknown: nothing was read yet
  stale,     ///< unknown: the last reading is too old
  absent,    ///< unknown: the node has no such sensor
};
/// For example "measured by the coordinator".
[[nodiscard]] std::string_view evidence_text(Evidence evidence) noexcept;

struct HealthTerm {
  std::optional<double> value;  ///< as read: Mbps, ms, mean % in use, 0 … 1
  double score = 0;             ///< 0 … 1
  Evidence evidence = Evidence::never;
  std::optional<Duration> age;  ///< absent: never read, or a record
};

struct HealthScore {
  HealthTerm bandwidth, latency, compute, reputation;
  double total = 0;  ///< 0 … 1
};

struct BreakerReport {
  std::string_view name;  ///< temperature, latency, failures
  BreakerState state = BreakerState::closed;
  std::string detail;  ///< "91.5 °C, open above 85 °C", or what is unknown
};

/// May a node be given work?
enum class Leave : std::uint8_t {
  all,
  one,  ///< half open: one run, to see
  none,
};
/// How a run ended, for the node's record.
enum class RunEnd : std::uint8_t {
  verified,
  failed,    ///< by the node's doing: no result, broken off, too late
  refuted,   ///< a proven lie
  no_fault,  ///< cancelled, superseded, or the task's own end; says nothing of the node
};

class NodeHealth {
 public:
  explicit NodeHealth(HealthLimits limits = {}, Reputation reputation = {});

  // ── What was learned. `now` never goes back. ──
  void take_bandwidth(std::uint64_t effective_kbps, Instant now);
  void take_latency(Duration round_trip, Instant now);
  void take_telemetry(const Telemetry& telemetry, Instant now);
  /// The node is gone: its readings are of no use. Breakers and record stay.
  void forget_readings();

  /// Given back when the run ends: whether it was the one of a half-open breaker.
  struct RunTicket {
    bool trial = false;
  };
  /// Work was placed; asked of a node with leave only.
  [[nodiscard]] RunTicket run_began(Instant now);
  void run_ended(RunTicket ticket, RunEnd end, Instant now, UtcTime utc);

  // ── What follows from it ──
  [[nodiscard]] HealthScore score(Instant now, UtcTime utc) const;
  [[nodiscard]] Leave leave(Instant now);
  [[nodiscard]] std::array<BreakerReport, 3> breakers(Instant now);
  /// The last telemetry, unless it is stale.
  [[nodiscard]] const Telemetry* telemetry(Instant now) const;
  [[nodiscard]] const Reputation& reputation() const noexcept { return reputation_; }
  [[nodiscard]] std::uint32_t failures_in_row() const noexcept { return failures_in_row_; }

 private:
  template <typename T>
  struct Read {
    T value;
    Instant at;
  };
  [[nodiscard]] Duration stale_after() const {
    return limits_.heartbeat * limits_.stale_heartbeats;
  }
  [[nodiscard]] HealthTerm bandwidth_term(Instant now) const;
  [[nodiscard]] HealthTerm latency_term(Instant now) const;
  [[nodiscard]] HealthTerm compute_term(Instant now) const;

  HealthLimits limits_;
  Reputation reputation_;
  std::optional<Read<std::uint64_t>> bandwidth_kbps_;
  std::optional<Read<Duration>> latency_;
  std::optional<Read<Telemetry>> telemetry_;
  std::optional<Instant> heard_;
  Breaker hot_, far_, failing_;
  std::uint32_t failures_in_row_ = 0;
  bool trial_out_ = false;
};

}  // namespace phase::vcp
