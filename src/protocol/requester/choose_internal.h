// choose_internal.h — which providers can be asked, and in which order. Pure.
#pragma once

#include <vector>

#include "protocol/requester/requester.h"

namespace phase::requester {

/// Why a candidate does not fit; empty when it does.
[[nodiscard]] std::string misfit(const offer::Capabilities& has,
                                 const manifest::Requirements& needs);

/// Those that meet `needs` and say they run wasm, best first: load before distance, unknown
/// distance as a far one; equals in the order the network gave.
[[nodiscard]] std::vector<Candidate> choose(std::vector<Candidate> found,
                                            const manifest::Requirements& needs);

}  // namespace phase::requester
