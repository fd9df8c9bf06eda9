// module_internal.h — the guest module's bytes; their source is made by cmake/embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace phase::vcp::computation {

struct File {
  std::string_view name;
  std::string_view bytes;
};
[[nodiscard]] const std::vector<File>& assets();

}  // namespace phase::vcp::computation
