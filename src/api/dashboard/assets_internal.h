// assets_internal.h — the files that vite made of web/dashboard. Their source is made by
// cmake/embed.cmake; without a dashboard it is no_assets.cpp.
#pragma once

#include <vector>

#include "api/http/assets.h"

namespace phase::dashboard {

[[nodiscard]] const std::vector<http::Asset>& assets();

}  // namespace phase::dashboard
