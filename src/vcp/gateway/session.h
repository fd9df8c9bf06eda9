// session.h — what a gateway knows of a session, and what a client says first; as values, checked.
//
// Both come from outside. A sessions document is JSON as GET /api/v1/nodes/{id}/gateway-sessions
// answers it, a handshake is one line of JSON (spec/gateway.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "vcp/task/connect.h"

namespace phase::vcp::gateway {

/// The first line of a client, its newline included.
inline constexpr std::size_t kHandshakeBytesMax = 4_KiB;
/// A whole document, and what stands in it.
inline constexpr std::size_t kSessionsBytesMax = 4_MiB;
inline constexpr std::size_t kSessionsMax = 10'000;
inline constexpr std::size_t kSessionIdBytesMax = kConnectIdBytesMax;
inline constexpr std::size_t kSessionTokenBytesMax = 256;
inline constexpr std::uint64_t kSessionMbpsMax = kConnectMbpsMax;

struct Session {
  std::string id;
  Sha256 token;  ///< SHA-256 of the session token
  Egress egress = Egress::allowlist_domains;
  std::string policy;                ///< destination_policy_id, for the log
  std::vector<std::string> allowed;  ///< "example.org", "*.example.org"; lower case
  UtcTime expires;
  std::uint64_t mbps = 0;  ///< each way; 0: no limit

  /// By its egress and rules alone. `*.suffix` means the suffix itself, too.
  [[nodiscard]] bool allows(const Destination& destination) const;
};

/// A list of sessions, or {"sessions": [...]}. Unknown members are refused: they could be limits.
/// Errors: Code::malformed, too_large, naming the entry.
[[nodiscard]] Result<std::vector<Session>> parse_sessions(std::string_view json);

struct Handshake {
  std::string session_id;
  Sha256 token;  ///< of what was shown
  Destination destination;
};
/// One line without its newline. Unknown members are left alone. Errors: Code::malformed,
/// too_large; none of them quotes the line.
[[nodiscard]] Result<Handshake> parse_handshake(std::string_view line);

}  // namespace phase::vcp::gateway
