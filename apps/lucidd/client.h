// client.h — verbs that talk to the lucidd that runs: status, pause, resume, pull.
#pragma once

#include "command_line.h"
#include "settings.h"

namespace phase::lucidd {

/// The daemon must be connected to, and say something, within this long; a pull may be silent
/// longer.
inline constexpr Duration kAnswerMax = 30s, kPullSilenceMax = 600s;
inline constexpr std::size_t kAnswerBytesMax = 4_MiB;

/// Prints to stdout what the verb tells, progress to stderr. Errors: Code::unavailable when no
/// daemon answers, unauthorized, protocol when what answers is no lucidd, and what the daemon says.
[[nodiscard]] Result<void> run_verb(const CommandLine& line, const Remote& remote);

}  // namespace phase::lucidd
