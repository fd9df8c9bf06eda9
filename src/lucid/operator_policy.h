// operator_policy.h — what the operator of a lucidd agrees to do for others: policy.toml, and what
// it says at a given moment. Pure but for `read_policy`.
//
// Rules of donation never block the owner's own requests. Reasons and their order are kept from the
// earlier implementation, since people read them in logs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "identity/identity.h"
#include "machine/machine.h"

namespace phase::lucid {

inline constexpr std::size_t kPolicyBytesMax = 256_KiB;
inline constexpr std::size_t kPolicyListMax = 4096;

struct ServingWindow {
  int start_hour_local = 0, end_hour_local = 0;  ///< [start, end), may pass midnight; equal: never
};

/// policy.toml.
struct OperatorPolicy {
  bool auto_pause_on_battery = true;
  std::optional<double> auto_pause_on_thermal_threshold_c = 75.0;  ///< 0 in the file: off
  double vram_reserve_gb = 4.0;  ///< others wait while the largest GPU has less free; 10^9 bytes
  std::vector<std::string> serve_models{"*"};  ///< globs: * ? [..]
  std::optional<ServingWindow> time_of_day_window;
  bool manual_pause = false;
  std::uint64_t max_concurrent_remote_jobs = 4;
  std::vector<identity::PublicKey> authorized_submitters;  ///< empty: nobody
  bool allow_unauthenticated_jobs = false;                 ///< true: anybody
  std::uint64_t max_tokens_ceiling = 8192;                 ///< of one remote job
  // Beyond the earlier ones.
  double memory_reserve_gb = 0;                ///< the same of the machine's memory; 0: off
  std::uint64_t max_prompt_bytes = 1'000'000;  ///< of one remote job
  std::uint64_t max_wall_seconds = 600;        ///< of one remote job
  std::uint64_t max_jobs_per_minute_per_key = 60;
  std::uint64_t max_concurrent_jobs_per_key = 2;
  std::vector<std::string> share_models;     ///< globs: whose weights others may fetch
  bool share_with_anybody = false;           ///< false: with those who may send jobs
  std::uint64_t share_bytes_per_second = 0;  ///< to all together; 0: as fast as it goes
};

/// Reads the text of policy.toml. An unknown key is an error: a typo must not open a door. Errors:
/// Code::invalid_argument with key and line, and the known key that is nearest.
[[nodiscard]] Result<OperatorPolicy> parse_policy(std::string_view text);
/// Errors: Code::not_found, too_large, and those of parsing.
[[nodiscard]] Result<OperatorPolicy> read_policy(const std::filesystem::path& path);
/// The file a fresh node starts with: every key with its default and what it does.
[[nodiscard]] std::string default_policy_text();

/// Why others are not served now, in the words of the log; nothing when they are.
struct ServingMoment {
  MachineState machine;
  int hour_local = 0;
  std::uint64_t remote_jobs_running = 0;
};
[[nodiscard]] std::optional<std::string> pause_reason(const OperatorPolicy& policy,
                                                      const ServingMoment& now);
/// True when the allowlist of models has a glob for it.
[[nodiscard]] bool serves_model(const OperatorPolicy& policy, std::string_view model);
/// Shell globs: * ? [a-z] [!a]. Patterns that are none match nothing. Time is linear in the text
/// for each `*`.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace phase::lucid
