// settings.h — lucidd's flags and environment, checked and made one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "command_line.h"
#include "dns_bootstrap.h"
#include "lucid/lucid_node.h"

namespace phase::lucidd {

inline constexpr std::uint16_t kPortDefault = 11434;
inline constexpr std::size_t kApiKeysMax = 1024;

/// Looks a variable up; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const char*)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

struct Settings {
  lucid::LucidNode::Options node;
  std::filesystem::path identity_path;
  std::string host;  ///< an address, without brackets
  std::uint16_t port = kPortDefault;
  std::vector<std::string> origins, hosts;
  std::vector<std::string> api_keys;
  std::optional<std::filesystem::path> tls_certificate, tls_key;  ///< both, or neither
  DnsOptions dns;
  bool require_verified = false;
  std::string worker;  ///< "echo", "llama-cpp" or "llama-server": what was chosen
  std::uint64_t drain_seconds = 30;
  std::string log_format, log_level;
};

/// Where state and own models are. Errors: Code::invalid_argument without a home.
[[nodiscard]] Result<std::filesystem::path> data_folder(const CommandLine& line,
                                                        const Environment& environment);

/// Errors: Code::invalid_argument naming the flag or variable; those of reading the key file.
[[nodiscard]] Result<Settings> load_settings(const CommandLine& line,
                                             const Environment& environment,
                                             const std::filesystem::path& program_folder);

/// Where a running daemon is, for the verbs that talk to it: of the same flags and variables.
struct Remote {
  std::string host;  ///< an address, without brackets
  std::uint16_t port = kPortDefault;
  std::string key;                                   ///< API key; empty: none
  std::optional<std::filesystem::path> certificate;  ///< it speaks TLS with this one
  [[nodiscard]] std::string url() const;
};
/// Errors: as load_settings.
[[nodiscard]] Result<Remote> load_remote(const CommandLine& line, const Environment& environment);
/// True for 127.0.0.0/8 and ::1.
[[nodiscard]] bool is_loopback(const std::string& host);

}  // namespace phase::lucidd
