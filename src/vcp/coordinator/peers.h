// peers.h — providers of the mesh that a coordinator may ask besides its fleet, for tasks that
// allow it. Nobody registered them and nothing of theirs is at stake, so what they say is checked
// (README.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/identity.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// Peers that lied are remembered, the last so many, while the coordinator runs.
inline constexpr std::size_t kLiarsKept = 4'096;
/// A peer gets nothing for a while after more failed runs in a row.
inline constexpr double kPeerFailuresMax = 3;
/// Of what a peer says of its machine no more is taken; a requirement can ask for no more.
inline constexpr std::uint64_t kPeerCoresMax = 256, kPeerMemoryMbMax = 2'048ULL * 1'024;
/// The region of a peer that names none, or none that a fleet could have.
inline constexpr std::string_view kPeerRegion = "mesh";

/// What a peer signed about itself, and the round trip as measured here.
struct PeerOffer {
  identity::PublicKey key;
  std::string region;
  std::uint64_t cpu_cores = 0, memory_bytes = 0, jobs_max = 1;
  std::optional<Duration> round_trip;
};

/// "peer-" and the end of its peer id.
[[nodiscard]] NodeName peer_name(const identity::PublicKey& key);

/// What whoever looks for peers reports to. Belongs to the coordinator's executor.
class PeerSink {
 public:
  virtual ~PeerSink() = default;
  /// It answered. Beyond the peers there may be at once the new one is left out.
  virtual void peer_seen(const PeerOffer& offer) = 0;
  virtual void peer_latency(const identity::PublicKey& key, Duration round_trip) = 0;
  /// It answers no more, or takes no jobs of ours.
  virtual void peer_gone(const identity::PublicKey& key, const std::string& detail) = 0;
  [[nodiscard]] virtual std::vector<identity::PublicKey> peers_online() const = 0;
};

}  // namespace phase::vcp
