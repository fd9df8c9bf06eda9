// assets_internal.h — Swagger UI as it is in the program: what web/swagger gathers. Its source is
// made by cmake/embed.cmake; without pages it is no_assets.cpp.
#pragma once

#include <vector>

#include "api/http/assets.h"

namespace phase::vcp::api {

[[nodiscard]] const std::vector<http::Asset>& assets();

}  // namespace phase::vcp::api
