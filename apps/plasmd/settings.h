// settings.h — a Config with every text turned into what it means, and every place decided.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "config.h"
#include "identity/identity.h"

namespace phase::plasmd {

struct Settings {
  Config config;
  std::filesystem::path file;  ///< that was read; empty: none
  std::filesystem::path data_dir, identity_path, control_socket, worker_path;
  std::vector<identity::PublicKey> allow;
  std::vector<std::string> listen;       ///< the defaults filled in
  std::optional<std::string> tcp_token;  ///< present: the control API listens on TCP too
};

/// Defaults, file, environment, flags, in this order; then paths and keys.
/// Errors: Code::not_found, malformed, invalid_argument, permission_denied (a token file others may
/// read), io.
[[nodiscard]] Result<Settings> load_settings(const CommandLine& line, Environment environment);

/// The process's own environment.
[[nodiscard]] std::string_view process_environment(std::string_view name);

}  // namespace phase::plasmd
