// names_internal.h — wire names of rejection reasons, read back by frame.cpp only.
#pragma once

#include "protocol/offer/frame.h"

namespace phase::offer {

/// Errors: Code::malformed.
[[nodiscard]] Result<RejectionReason> rejection_from_name(std::string_view name);

}  // namespace phase::offer
