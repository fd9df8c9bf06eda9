#include "wasi/deterministic.h"

#include <limits>

namespace phase::wasi {
namespace {

/// A clock at its end stays there.
std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return b > kMax - a ? kMax : a + b;
}

}  // namespace

std::optional<bool> DeterministicWorld::wait(bool stdin_wanted,
                                             std::optional<std::uint64_t> timeout_ns) {
  if (stdin_wanted) return true;
  waited_ns_ = saturating_add(waited_ns_, timeout_ns.value_or(0));
  return false;
}

std::uint64_t DeterministicWorld::elapsed_ns() {
  return saturating_add(waited_ns_, meter_.fuel_used());
}

}  // namespace phase::wasi
