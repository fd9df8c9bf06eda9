// frame.h — the frames of /phase/fleet/1.0.0 between a node and its coordinator. Normative:
// spec/fleet.md §2.
//
// A frame is u32be length ‖ u8 type ‖ body; length counts type and body. Bodies are deterministic
// CBOR. Pure values: nothing here decides who may join.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/stream.h"
#include "vcp/health/telemetry.h"
#include "vcp/task/task.h"

namespace phase::vcp {

inline constexpr std::string_view kFleetProtocol = "/phase/fleet/1.0.0";

/// One piece of a bandwidth probe; the largest frame carries one.
inline constexpr std::size_t kProbePieceBytes = 64_KiB;
inline constexpr std::size_t kFleetFrameBytesMax = kProbePieceBytes + 64;
/// One probe in one direction; what a probe costs at most.
inline constexpr std::uint64_t kProbeBytesMax = 16_MiB;
inline constexpr std::size_t kFleetTextBytesMax = 256;  ///< texts for people, agent versions
inline constexpr std::size_t kJoinTokenBytesMax = 128;
inline constexpr std::uint64_t kFleetCoresMax = 65'536;
inline constexpr std::uint64_t kFleetMemoryBytesMax = 1ULL << 50U;
inline constexpr std::uint64_t kFleetBandwidthKbpsMax = 1'000'000'000;
inline constexpr std::uint64_t kHeartbeatMsMin = 100, kHeartbeatMsMax = 600'000;

/// N → C, first.
struct Hello {
  NodeName name;
  std::string region, type;
  std::optional<std::string> join_token;  ///< of POST /nodes; not needed once the key is known
  std::uint64_t cpu_cores = 0;
  std::uint64_t memory_bytes = 0;  ///< what one job can be given
  bool gpu = false;
  std::uint64_t bandwidth_claimed_kbps = 0;  ///< 0: says nothing
  std::uint64_t jobs_max = 0;                ///< jobs it runs at once
  std::string agent;                         ///< "ambient-vcp/0.1.0"
  std::optional<std::uint16_t> observability_port;
  bool draining = false;
  friend bool operator==(const Hello&, const Hello&) = default;
};
/// C → N: joined.
struct Welcome {
  NodeName name;
  std::uint64_t heartbeat_ms = 0;
  std::uint64_t session = 0;  ///< random; every telemetry document names it
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
enum class RefusalReason : std::uint8_t {
  unknown_node = 1,   ///< nobody registered that name
  token_needed = 2,   ///< the first join of a name needs its token
  token_wrong = 3,    ///< not the token of that name, or used before
  key_wrong = 4,      ///< the name belongs to another key
  rejected = 5,       ///< its owner or an administrator said no
  full = 6,           ///< too many nodes; trying later can help
  shutting_down = 7,  ///< trying later helps
};
/// For example "token_wrong".
[[nodiscard]] std::string_view refusal_name(RefusalReason reason) noexcept;
/// False where only a person can help: the agent ends instead of trying again.
[[nodiscard]] bool refusal_retryable(RefusalReason reason) noexcept;
/// C → N, instead of welcome.
struct Refused {
  RefusalReason reason = RefusalReason::unknown_node;
  std::string text;  ///< for the node's operator, with the next step
  friend bool operator==(const Refused&, const Refused&) = default;
};
/// C → N, each heartbeat. The nonce is random: a pong cannot be sent ahead.
struct Ping {
  std::uint64_t nonce = 0;
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct Pong {
  std::uint64_t nonce = 0;
  friend bool operator==(const Pong&, const Pong&) = default;
};
/// N → C, each heartbeat.
struct TelemetryFrame {
  Bytes envelope;
  friend bool operator==(const TelemetryFrame&, const TelemetryFrame&) = default;
};
enum class ProbeDirection : std::uint8_t {
  down = 1,  ///< coordinator to node
  up = 2,    ///< node to coordinator
};
/// C → N: `bytes` of probe data follow (down), or are asked for (up).
struct Probe {
  std::uint64_t nonce = 0;
  std::uint64_t bytes = 0;  ///< 1 … kProbeBytesMax
  ProbeDirection direction = ProbeDirection::down;
  friend bool operator==(const Probe&, const Probe&) = default;
};
/// Either way. Carries the probe's nonce, so that it cannot be sent before it was asked for.
struct ProbeData {
  std::uint64_t nonce = 0;
  Bytes data;  ///< 1 … kProbePieceBytes
  friend bool operator==(const ProbeData&, const ProbeData&) = default;
};
/// N → C: all of a probe was received (down) or sent (up). The stream is ordered: who knows the
/// last piece has had the ones before.
struct ProbeEnd {
  std::uint64_t nonce = 0;
  std::uint64_t bytes = 0;
  Sha256 last_piece;  ///< SHA-256 of the last piece's data
  friend bool operator==(const ProbeEnd&, const ProbeEnd&) = default;
};
/// N → C: takes no new jobs, ends those it has, then leaves.
struct Draining {
  friend bool operator==(const Draining&, const Draining&) = default;
};
enum class ByeReason : std::uint8_t {
  superseded = 1,     ///< the same node joined again by another connection
  removed = 2,        ///< the node is not registered any more
  rejected = 3,       ///< its owner or an administrator said no
  shutting_down = 4,  ///< the coordinator stops; come back later
  protocol = 5,       ///< the other side broke the protocol
};
[[nodiscard]] std::string_view bye_name(ByeReason reason) noexcept;
/// C → N, last.
struct Bye {
  ByeReason reason = ByeReason::removed;
  friend bool operator==(const Bye&, const Bye&) = default;
};

using FleetFrame = std::variant<Hello, Welcome, Refused, Ping, Pong, TelemetryFrame, Probe,
                                ProbeData, ProbeEnd, Draining, Bye>;

/// With the length in front.
[[nodiscard]] Bytes encode(const FleetFrame& frame);
/// Type and body. Errors: Code::malformed, too_large.
[[nodiscard]] Result<FleetFrame> decode_fleet(ByteView type_and_body);

/// Errors: those of read_framed and decode_fleet.
[[nodiscard]] Task<Result<FleetFrame>> read_fleet(ByteStream& stream);
/// Errors: Code::connection_closed.
[[nodiscard]] Task<Result<void>> write_fleet(ByteStream& stream, FleetFrame frame);

}  // namespace phase::vcp
