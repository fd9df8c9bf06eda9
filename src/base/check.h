// check.h — bugs of ours abort, in production too.
//
// For input of any kind (peer, user, disk, guest) use Result instead; see result.h.
#pragma once

#include <string_view>

namespace phase {

/// Prints place and condition on stderr and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view detail) noexcept;

}  // namespace phase

/// Our bug, state no longer trustworthy: abort with the place.
#define PHASE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::phase::check_failed(__FILE__, __LINE__, #condition, {}))
