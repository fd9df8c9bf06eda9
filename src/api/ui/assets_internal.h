// assets_internal.h — the files of page/, as they are in the program. Their source is made by
// cmake/embed.cmake.
#pragma once

#include <vector>

#include "api/http/assets.h"

namespace phase::ui {

[[nodiscard]] const std::vector<http::Asset>& assets();

}  // namespace phase::ui
