// account.h — who uses a coordinator, as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "vcp/task/task.h"

namespace phase::vcp {

inline constexpr std::size_t kUsernameBytesMin = 3, kUsernameBytesMax = 32;
inline constexpr std::size_t kPasswordBytesMin = 8, kPasswordBytesMax = 128;
inline constexpr std::size_t kEmailBytesMax = 255;
inline constexpr std::size_t kKeyNameBytesMax = 64;

enum class Role : std::uint8_t { user, admin };
[[nodiscard]] std::string_view role_name(Role role) noexcept;
/// Nothing for an unknown word.
[[nodiscard]] std::optional<Role> role_of(std::string_view name) noexcept;

/// What an API key may be for.
inline constexpr std::string_view kScopes[] = {"tasks:read", "tasks:write", "nodes:read",
                                               "nodes:write", "admin"};

/// Somebody whose credentials were checked.
struct Principal {
  UserId user;
  std::string username;
  Role role = Role::user;
  std::string via;                  ///< "token", "cookie" or "api_key"
  std::vector<std::string> scopes;  ///< of an API key; otherwise all
  std::string session;              ///< refresh family of a token; key id of an API key

  [[nodiscard]] bool may(std::string_view scope) const noexcept;
  [[nodiscard]] bool is_admin() const noexcept { return role == Role::admin && may("admin"); }
};

struct User {
  UserId id;
  std::string username, email;
  Role role = Role::user;
  UtcTime created;
  std::optional<UtcTime> last_login;
};

/// Shown once. Both are secrets.
struct Session {
  User user;
  std::string access_token, refresh_token;
  std::uint64_t expires_in_s = 0, refresh_expires_in_s = 0;
};

struct ApiKey {
  std::string id, prefix, name;
  std::vector<std::string> scopes;
  UtcTime created;
  std::optional<UtcTime> expires, last_used, revoked;
};
struct NewApiKey {
  ApiKey key;
  std::string secret;  ///< "vcp_" and 32 letters and digits; shown once
};

/// One line of the audit log.
struct AuditEntry {
  std::uint64_t id = 0;  ///< given when written
  UtcTime at;
  UserId user;         ///< empty: nobody was known
  std::string action;  ///< "POST /api/v1/nodes", "auth.failure"
  std::string resource, address, user_agent, request_id;
  int status = 0;  ///< of HTTP
  std::string message;
};

/// Another rate for one account or address.
struct ThrottleOverride {
  std::string subject;  ///< "user:<id>" or "address:<ip>"
  std::string tier;     ///< auth, node, task, proof, general
  std::uint32_t per_minute = 0, burst = 0;
  std::optional<UtcTime> expires;
};

/// What was answered to a request with an idempotency key.
struct KeptAnswer {
  int status = 0;
  std::string body;
};

}  // namespace phase::vcp
