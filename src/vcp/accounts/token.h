// token.h — access tokens: JSON Web Tokens (RFC 7519) of one fixed form, signed with HMAC-SHA256
// (RFC 7515 "HS256"), and nothing else (RFC 8725).
//
// Pure: no clock, no disk.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "vcp/accounts/account.h"

namespace phase::vcp {

inline constexpr std::size_t kTokenBytesMax = 2_KiB;
/// A clock that is behind ours by this much is not told off.
inline constexpr std::uint64_t kTokenSkewSeconds = 60;

/// A key of HMAC-SHA256 and its name in tokens.
struct TokenKey {
  std::array<std::uint8_t, 32> key{};
  std::string id;  ///< "kid": 16 hexadecimal digits
};
/// Any secret text becomes a key: its SHA-256 under a label.
[[nodiscard]] TokenKey token_key(std::string_view secret);

/// What a token says. Times in seconds since 1970.
struct Claims {
  UserId subject;
  std::string username;
  Role role = Role::user;
  std::string id;       ///< "jti"
  std::string session;  ///< "sid"
  std::uint64_t issued = 0, expires = 0;
  friend bool operator==(const Claims&, const Claims&) = default;
};

[[nodiscard]] std::string sign_token(const Claims& claims, const TokenKey& key);
/// Every member must be there, once, and no other. Errors: Code::unauthorized (form, algorithm,
/// key, signature), Code::expired.
[[nodiscard]] Result<Claims> read_token(std::string_view token, const TokenKey& key, UtcTime now);

/// HMAC-SHA256 (RFC 2104).
[[nodiscard]] Sha256 hmac_sha256(const std::array<std::uint8_t, 32>& key, std::string_view text);

}  // namespace phase::vcp
