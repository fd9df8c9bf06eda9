#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace phase {

void check_failed(const char* file, int line, const char* condition,
                  std::string_view detail) noexcept {
  std::fprintf(  // tidy: allow(print): last words of the process
      stderr, "%s:%d: check failed: %s%s%.*s\n", file, line, condition, detail.empty() ? "" : ": ",
      static_cast<int>(detail.size()), detail.data());
  std::abort();
}

}  // namespace phase
