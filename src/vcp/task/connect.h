// connect.h — what a connect_only task asks for: a way through a gateway beside a node, for a
// while.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vcp/task/egress.h"

namespace phase::vcp {

/// Of policies and sessions.
inline constexpr std::size_t kConnectIdBytesMax = 128;
inline constexpr std::uint64_t kConnectMbpsMax = 10'000;

/// The inputs of a connect_only task, checked.
struct ConnectWish {
  std::uint64_t seconds = 0;  ///< 1 … kTaskSecondsMax, from the start of the first session
  std::uint64_t mbps = 0;     ///< 1 … kConnectMbpsMax, each way
  Egress egress = Egress::allowlist_domains;
  std::string policy;  ///< the owner's; must be there for allowlist_domains, else says nothing
  friend bool operator==(const ConnectWish&, const ConnectWish&) = default;
};

/// How the client means to reach the gateway. Kept and shown; nothing depends on it.
enum class Tunnel : std::uint8_t { mtls, wireguard, quic };
[[nodiscard]] std::string_view tunnel_name(Tunnel tunnel) noexcept;
[[nodiscard]] std::optional<Tunnel> tunnel_of(std::string_view name) noexcept;

enum class SessionState : std::uint8_t {
  active,
  ended,   ///< stopped, its task ended, or its node was lost
  expired  ///< its time was up, or nothing was heard of its client
};
[[nodiscard]] std::string_view session_state_name(SessionState state) noexcept;

/// 1–128 of [A-Za-z0-9._-].
[[nodiscard]] bool is_policy_id(std::string_view text) noexcept;

}  // namespace phase::vcp
