// daemon.h — what every daemon does to its process before it serves.
#pragma once

#include <filesystem>
#include <string>

#include <spdlog/logger.h>

#include "base/result.h"

namespace phase::daemon {

/// Makes a folder of mode 0700 with its parents; one that exists is left as it is. `flag` is what
/// to give instead. Errors: Code::invalid_argument for a path that is not absolute, Code::io, …
[[nodiscard]] Result<void> make_folder(const std::filesystem::path& path, const char* flag);

/// Where the program `name` of this installation is: beside the running one (a build folder), or
/// <prefix>/libexec/phase.
[[nodiscard]] std::filesystem::path sibling_program(const std::string& name);

/// Each stream of the network costs a descriptor: takes all that the system allows.
void raise_descriptor_limit(spdlog::logger& log);

}  // namespace phase::daemon
