// telemetry.h — what a node says of its machine, signed. Normative: spec/fleet.md §4.
//
// Integers only, in thousandths. A field that is absent is unknown: nothing is invented, and
// nothing unknown counts as good. All of it is the node's own word; what a node could gain by lying
// about (latency, bandwidth) is not in it. Pure values: nothing here blocks, reads a clock or
// throws.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "identity/identity.h"

namespace phase::vcp {

/// Largest envelope of a telemetry document, in bytes: three times the largest possible.
inline constexpr std::size_t kTelemetryBytesMax = 512;
/// Readings above these are refused, not clamped: such a document has a broken sensor or author.
inline constexpr std::uint64_t kMilliPercentMax = 100'000;
inline constexpr std::int64_t kMilliCelsiusMin = -50'000, kMilliCelsiusMax = 200'000;
inline constexpr std::uint64_t kMilliWattsMax = 100'000'000;   ///< 100 kW
inline constexpr std::uint64_t kMilliJoulesMax = 1ULL << 53U;  ///< exact in JSON
inline constexpr std::uint64_t kTelemetryJobsMax = 100'000;
/// How far the clocks of node and coordinator may differ.
inline constexpr Duration kTelemetrySkewMax = 300s;

struct Telemetry {
  std::uint64_t session = 0;   ///< as the coordinator named it in `welcome`: no use in another
  std::uint64_t sequence = 0;  ///< 1, 2, … within one session; must grow
  UtcTime created;             ///< by the node's clock
  std::optional<std::uint64_t> cpu_millipercent, memory_millipercent, gpu_millipercent;
  std::optional<std::int64_t> temperature_millicelsius;  ///< of the hottest sensor
  std::optional<std::uint64_t> power_milliwatts;
  std::optional<std::uint64_t> energy_millijoules;  ///< since the node started
  std::uint64_t jobs_running = 0, jobs_queued = 0;
  friend bool operator==(const Telemetry&, const Telemetry&) = default;
};

[[nodiscard]] Bytes encode_payload(const Telemetry& telemetry);
/// Errors: Code::malformed, too_large (a value above its limit), version_unknown.
[[nodiscard]] Result<Telemetry> decode_payload(ByteView payload);

/// COSE_Sign1 under `phase/telemetry/1`.
[[nodiscard]] Bytes seal(const Telemetry& telemetry, const identity::KeyPair& key);
/// Errors: those of decode_payload; Code::verification_failed; Code::unauthorized when `key` did
/// not sign it.
[[nodiscard]] Result<Telemetry> open_telemetry(ByteView envelope, const identity::PublicKey& key);

/// Takes each document of one session once, in order.
class TelemetryOrder {
 public:
  explicit TelemetryOrder(std::uint64_t session) : session_(session) {}
  /// Errors: Code::replayed (another session's, or not newer than the last), Code::expired (its
  /// clock is off by more than kTelemetrySkewMax). What is refused changes nothing.
  [[nodiscard]] Result<void> take(const Telemetry& telemetry, UtcTime now);

 private:
  std::uint64_t session_;
  std::uint64_t last_ = 0;
};

}  // namespace phase::vcp
