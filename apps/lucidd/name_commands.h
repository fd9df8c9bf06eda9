// name_commands.h — lucidd names, pin, unpin, unshare: what names mean to this node. They change
// small files under a lock, so a running lucidd need not be asked.
#pragma once

#include "base/result.h"
#include "command_line.h"

namespace phase::lucidd {

/// Prints to stdout. Returns the exit status. Errors: Code::invalid_argument, not_found, io.
[[nodiscard]] Result<int> name_command(const CommandLine& line,
                                       const std::filesystem::path& data_dir);

}  // namespace phase::lucidd
