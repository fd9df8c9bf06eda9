// config.h — every setting of plasmd, and where its value may come from.
//
// One table (config_keys) drives the JSON file, the environment, the flags, `init` and their
// errors, so that no key can be read from one place and ignored in another. Precedence: flag,
// environment, file, default.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/json/fwd.hpp>

#include "base/result.h"

namespace phase::plasmd {

/// Values as written; what they become is in settings.h. Empty texts mean "the default place" or
/// "none".
struct Config {
  std::vector<std::string> listen_addrs, peer_addrs, bootstrap_peers;
  std::uint64_t max_concurrent_jobs = 4;
  std::uint64_t max_queued_jobs = 16;
  std::uint64_t max_memory_bytes = 134'217'728;
  std::uint64_t max_cpu_cores = 1;
  std::uint64_t max_timeout_seconds = 300;
  std::uint64_t max_output_bytes = 268'435'456;
  std::uint64_t jobs_per_minute_per_key = 600;
  std::uint64_t jobs_per_minute_per_peer = 600;
  std::uint64_t jobs_per_minute = 6'000;
  std::uint64_t modules_max_bytes = 1'073'741'824;
  bool modules_keep_received = false;
  std::vector<std::string> allow;
  bool open = false;
  bool requester_only = false;
  bool network = true;
  bool mdns = true;
  bool upnp = false;
  std::string dht = "server";
  std::string region;
  std::string data_dir, identity_path;
  std::string control_socket, control_group;
  std::string control_tcp_address = "127.0.0.1";
  std::uint64_t control_tcp_port = 0;
  std::string control_tcp_token_file;
  std::string isolation = "full";
  std::string worker_path;
  std::uint64_t drain_seconds = 30;
  std::string log_format = "text";
  std::string log_level;  ///< empty: info for start, warn for run and execute-job
};

using ConfigMember = std::variant<std::string Config::*, std::vector<std::string> Config::*,
                                  std::uint64_t Config::*, bool Config::*>;

/// One setting.
struct ConfigKey {
  std::string_view name;  ///< in the file; "limits.max_memory_bytes" is a key inside an object
  std::string_view
      flag;  ///< as CLI11 writes it, "-l,--listen"; empty: none. "--no-x" sets a bool to false
  std::string_view environment;
  std::string_view help;  ///< one line
  ConfigMember member;
  std::uint64_t min = 0, max = 0;  ///< of a number
  std::string_view choices = {};   ///< of a text, separated by '|'; empty: any
  bool in_init = false;            ///< written by `plasmd init`
  bool one_shot = false;           ///< has a meaning for run and execute-job too
};
[[nodiscard]] std::span<const ConfigKey> config_keys();

/// Sets one key from a JSON value. `source` says where it came from, for the error.
/// Errors: Code::invalid_argument for a wrong type, range or choice.
[[nodiscard]] Result<void> set_key(Config& config, const ConfigKey& key,
                                   const boost::json::value& value, std::string_view source);

/// Reads a file's text over `config`. Errors: Code::malformed (not JSON; with line),
/// Code::invalid_argument for an unknown key (names the nearest known one) or a bad value.
[[nodiscard]] Result<void> read_config_text(Config& config, std::string_view text,
                                            const std::filesystem::path& path);

/// Looks a variable up; empty view: not set. Passed in, so that tests need no process environment.
using Environment = std::string_view (*)(std::string_view name);
[[nodiscard]] Result<void> read_environment(Config& config, Environment environment);

/// `$XDG_CONFIG_HOME/<program>/<file>`, else `~/.config/…`. Errors: Code::not_found when neither is
/// set.
[[nodiscard]] Result<std::filesystem::path> user_config_path(Environment environment,
                                                             std::string_view program,
                                                             std::string_view file);
inline constexpr std::string_view kSystemConfigPath = "/etc/plasm/config.json";

/// The file to read: `given` (which must exist), else the user's, else the system's, else none
/// (empty).
[[nodiscard]] Result<std::filesystem::path> find_config(const std::filesystem::path& given,
                                                        Environment environment);
/// Reads a configuration file. At most kConfigBytesMax.
[[nodiscard]] Result<std::string> read_config_file(const std::filesystem::path& path);
inline constexpr std::size_t kConfigBytesMax = 1U << 20U;

/// The keys with `in_init`, as pretty JSON with a final newline.
[[nodiscard]] std::string default_config_text();

}  // namespace phase::plasmd
