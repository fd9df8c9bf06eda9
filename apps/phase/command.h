// command.h — what `phase` was asked to do. Filled in by command_line.cpp, carried out by the
// *_command functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sdk/cpp/client.h"

namespace phase::cli {

/// Exit codes beside spec/errors.md.
inline constexpr int kExitJobFailed =
    1;  ///< trapped, limited, invalid or failed: the message names it
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRefused = 3;  ///< a receipt does not verify
inline constexpr int kExitCancelled = 130;
inline constexpr int kExitOutputClosed = 141;  ///< nobody reads our stdout any more

struct Globals {
  std::filesystem::path socket;  ///< empty: the default
};

struct RunCommand {
  std::filesystem::path module;
  sdk::JobOptions options;
  std::string stdin_from;  ///< file, "-", or empty: "-" unless a terminal
  std::optional<std::filesystem::path> save;
  bool quiet = false;
  bool json = false;
};

struct VerifyCommand {
  std::string receipt;  ///< file or "-"
  std::filesystem::path manifest;
  std::optional<std::filesystem::path> output, transcript, input, commitment, module;
  std::string provider, salt;  ///< empty: none
  std::string level = "signature";
  bool json = false;
};

/// Each prints its result on stdout and returns the exit code, or the error that main prints.
[[nodiscard]] Result<int> run_command(const Globals& globals, RunCommand command);
/// Has the daemon keep a module and prints its artifact id.
[[nodiscard]] Result<int> artifact_add_command(const Globals& globals,
                                               const std::filesystem::path& file, bool json);
[[nodiscard]] Result<int> verify_command(const VerifyCommand& command);
[[nodiscard]] Result<int> receipt_show_command(const Globals& globals, const std::string& what,
                                               bool json);
[[nodiscard]] Result<int> status_command(const Globals& globals, bool json);
[[nodiscard]] Result<int> peers_command(const Globals& globals, bool json);
[[nodiscard]] Result<int> providers_command(const Globals& globals, const std::string& kind,
                                            const std::string& arch, Duration wait, bool json);
[[nodiscard]] Result<int> ping_command(const Globals& globals, const std::string& peer, bool json);
[[nodiscard]] Result<int> job_list_command(const Globals& globals, std::size_t limit, bool json);
[[nodiscard]] Result<int> job_show_command(const Globals& globals, const std::string& id,
                                           bool json);
[[nodiscard]] Result<int> job_cancel_command(const Globals& globals, const std::string& id,
                                             bool json);
[[nodiscard]] Result<int> job_result_command(const Globals& globals, const std::string& id,
                                             bool json);

[[nodiscard]] Result<sdk::Client> connect(const Globals& globals);

}  // namespace phase::cli
