// commands.h — what each subcommand does. Returns the process's exit status.
#pragma once

#include "command_line.h"
#include "settings.h"

namespace phase::plasmd {

[[nodiscard]] Result<int> init_command(const CommandLine& line, Environment environment);
[[nodiscard]] Result<int> start_command(const Settings& settings);
/// `run` and `execute-job`.
[[nodiscard]] Result<int> one_shot_command(const CommandLine& line, const Settings& settings);

}  // namespace phase::plasmd
