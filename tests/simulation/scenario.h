// scenario.h — one whole story from one seed: providers of which some lie, wires of which some
// fail, requesters of which some cancel; and the checks that must hold however it went.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"

namespace phase::simulation {

struct Report {
  std::vector<std::string> broken;  ///< what did not hold; empty: all good
  Sha256 trace;                     ///< equal for equal seeds
  std::size_t verified = 0, refused = 0, errors = 0, cancelled = 0;
};

/// With `tell`, prints what happens, with virtual times.
[[nodiscard]] Report play_scenario(std::uint64_t seed, bool tell = false);

}  // namespace phase::simulation
