// settings.h — lucidd's flags and environment, checked and made one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "command_line.h"
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
  std::vector<std::string> origins;
  std::vector<std::string> api_keys;
  bool require_verified = false;
  std::string worker;  ///< "echo" or "llama-cpp": what was chosen
  std::uint64_t drain_seconds = 30;
  std::string log_format, log_level;
};

/// Errors: Code::invalid_argument naming the flag or variable; those of reading the key file.
[[nodiscard]] Result<Settings> load_settings(const CommandLine& line,
                                             const Environment& environment,
                                             const std::filesystem::path& program_folder);

}  // namespace phase::lucidd
