#include <array>

#include "protocol/offer/names_internal.h"

namespace phase::offer {
namespace {

constexpr std::array<std::string_view, 15> kReasons{
    "unauthorized",
    "insufficient_resources",
    "arch_mismatch",
    "runtime_not_supported",
    "region_mismatch",
    "busy",
    "invalid_request",
    "expired",
    "replayed",
    "wrong_audience",
    "profile_unsupported",
    "level_unsupported",
    "kind_unsupported",
    "policy",
    "shutting_down",
};

}  // namespace

std::string_view rejection_name(RejectionReason reason) noexcept {
  return kReasons[static_cast<std::size_t>(reason)];
}

Result<RejectionReason> rejection_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (kReasons[i] == name) return static_cast<RejectionReason>(i);
  }
  return fail(Code::malformed, "unknown rejection reason '" + printable(name, 32) + "'");
}

}  // namespace phase::offer
