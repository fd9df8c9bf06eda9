// egress.h — where a session with a gateway may lead: profiles, destinations and rules, in the one
// spelling that is compared. What a coordinator keeps and a gateway applies is checked here
// (spec/gateway.md §2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace phase::vcp {

/// A name of the DNS (RFC 1035 §2.3.4), and a part of it.
inline constexpr std::size_t kHostBytesMax = 253;
inline constexpr std::size_t kLabelBytesMax = 63;
/// Rules of one session.
inline constexpr std::size_t kDestinationsMax = 256;

enum class Egress : std::uint8_t {
  allowlist_domains,      ///< to hosts that a rule names
  protocol_limited,       ///< to any host that is named, not given as an address
  metered_general_egress  ///< anywhere
};
[[nodiscard]] std::string_view egress_name(Egress egress) noexcept;
/// Nothing for an unknown word.
[[nodiscard]] std::optional<Egress> egress_of(std::string_view name) noexcept;

struct Destination {
  std::string host;  ///< lower case, no dot at its end; an IPv6 address without brackets
  std::uint16_t port = 0;
  bool is_address = false;  ///< IPv4 with four numbers, or IPv6

  [[nodiscard]] std::string text() const;
  friend bool operator==(const Destination&, const Destination&) = default;
};
/// "host:port", "192.0.2.1:443", "[2001:db8::1]:443". Refuses what resolvers take for an address
/// though it is not written as one ("127.1", "0x7f000001"). Errors: Code::malformed.
[[nodiscard]] Result<Destination> parse_destination(std::string_view text);

/// A rule in the spelling that is compared: "example.org", "*.example.org", an address.
/// Errors: Code::malformed.
[[nodiscard]] Result<std::string> parse_rule(std::string_view text);
/// Whether one of `rules`, as parse_rule spells them, names the host; `*.suffix` means the suffix
/// itself, too. Any port.
[[nodiscard]] bool named_by(const std::vector<std::string>& rules, const Destination& destination);

}  // namespace phase::vcp
