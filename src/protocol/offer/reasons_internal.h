// reasons_internal.h — limits of control frames' texts. For offer's own sources only.
#pragma once

#include <cstddef>

#include "protocol/offer/frame.h"

namespace phase::offer {

inline constexpr std::size_t kDetailBytesMax = 512;
inline constexpr std::size_t kStageBytesMax = 64;
inline constexpr std::size_t kLengthBytes = 4;
inline constexpr std::size_t kReasons =
    static_cast<std::size_t>(RejectionReason::shutting_down) + 1;

}  // namespace phase::offer
