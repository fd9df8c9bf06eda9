// assets_internal.h — the files of page/, as they are in the program. Their source is made by
// embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace phase::ui {

struct Asset {
  std::string_view name;  ///< "index.html"
  std::string_view bytes;
};
[[nodiscard]] const std::vector<Asset>& assets();

}  // namespace phase::ui
