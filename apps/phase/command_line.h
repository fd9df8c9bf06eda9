// command_line.h — the words and flags of `phase`.
#pragma once

#include "command.h"

namespace phase::cli {

/// Reads the command line and does what it says. Returns the exit code.
[[nodiscard]] Result<int> run_command_line(int argc, char** argv);

}  // namespace phase::cli
