// command_line.h — what the user typed, read and checked in form; nothing is done yet.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/value.hpp>

#include "config.h"

namespace phase::plasmd {

enum class Verb : std::uint8_t { init, start, run, execute_job, version };

/// Flags of one job (`run`, `execute-job`). Absent: the defaults of spec/job.md.
struct JobFlags {
  std::string entry = "_start";
  std::uint64_t cpu_cores = 1;
  std::optional<std::uint64_t> memory_bytes, table_elements, output_bytes, fuel, timeout_ms;
  std::map<std::string, std::string> env;
  bool is_private = false;
  bool quiet = false;   ///< run
  bool events = false;  ///< execute-job
};

struct CommandLine {
  Verb verb = Verb::version;
  std::filesystem::path config;     ///< --config
  std::filesystem::path init_path;  ///< init --path
  /// Settings given as flags, in order.
  std::vector<std::pair<const ConfigKey*, boost::json::value>> settings;
  std::filesystem::path wasm;
  std::vector<std::string> args;  ///< of the module
  JobFlags job;
};

/// Exit status of a wrong command line.
inline constexpr int kExitUsage = 2;

/// The command line, or the status to exit with: 0 after --help or --version (printed on stdout),
/// kExitUsage after an error (printed on stderr).
[[nodiscard]] std::variant<CommandLine, int> parse_command_line(int argc, const char* const* argv);

}  // namespace phase::plasmd
