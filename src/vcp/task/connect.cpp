#include "vcp/task/connect.h"

#include <algorithm>

namespace phase::vcp {
namespace {

constexpr std::array<std::string_view, 3> kTunnels = {"mtls", "wireguard", "quic"};
constexpr std::array<std::string_view, 3> kStates = {"active", "ended", "expired"};

}  // namespace

std::string_view tunnel_name(Tunnel tunnel) noexcept {
  return kTunnels[static_cast<std::size_t>(tunnel)];
}

std::optional<Tunnel> tunnel_of(std::string_view name) noexcept {
  const auto found = std::ranges::find(kTunnels, name);
  if (found == kTunnels.end()) return std::nullopt;
  return static_cast<Tunnel>(found - kTunnels.begin());
}

std::string_view session_state_name(SessionState state) noexcept {
  return kStates[static_cast<std::size_t>(state)];
}

bool is_policy_id(std::string_view text) noexcept {
  constexpr std::string_view kAll =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
  return !text.empty() && text.size() <= kConnectIdBytesMax &&
         text.find_first_not_of(kAll) == std::string_view::npos;
}

}  // namespace phase::vcp
