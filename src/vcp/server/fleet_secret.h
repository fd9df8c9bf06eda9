// fleet_secret.h — the one secret that all coordinators of a fleet are given, and the keys made of
// it, so that each of them is the same coordinator to nodes and users.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "identity/identity.h"

namespace phase::vcp {

inline constexpr std::size_t kFleetSecretBytesMin = 32;

/// HMAC-SHA256 (RFC 2104) under the SHA-256 of the secret, one label each.
struct FleetKeys {
  identity::KeyPair coordinator;         ///< of its peer and of job manifests
  std::string jwt_secret;                ///< of access tokens
  std::string accounts_secret;           ///< under which tokens and API keys are hashed
  std::array<std::uint8_t, 32> front{};  ///< of connections handed on (front.h)
};

/// Reads a private file, or VCP_FLEET_SECRET when `file` is empty; white space around it is left
/// out. Errors: Code::invalid_argument (none given, too short), permission_denied (a file that
/// others may read), not_found, io.
[[nodiscard]] Result<std::string> read_fleet_secret(const std::filesystem::path& file);
[[nodiscard]] FleetKeys fleet_keys(std::string_view secret);

}  // namespace phase::vcp
