// choose_internal.h — which providers can be asked, and in which order. Pure.
#pragma once

#include <vector>

#include "protocol/requester/requester.h"

namespace phase::requester {

/// Why a candidate does not fit; empty when it does.
[[nodiscard]] std::string misfit(const offer::Capabilities& has, const Request& request);

/// Those that run jobs of this kind, have its model, and meet its needs, best first: whose receipt
/// was refused last of all, the preferred one first of the others; then load before distance and
/// what the record says, unknown distance as a far one; equals in the order the network gave.
/// `record` may be null.
[[nodiscard]] std::vector<Candidate> choose(std::vector<Candidate> found, const Request& request,
                                            const Record* record, Instant now);

}  // namespace phase::requester
