// daemon.h — lucidd's life: start, serve, drain, stop.
#pragma once

#include "settings.h"

namespace phase::lucidd {

/// Serves until a signal. Returns the exit status.
[[nodiscard]] Result<int> serve(const Settings& settings);

}  // namespace phase::lucidd
