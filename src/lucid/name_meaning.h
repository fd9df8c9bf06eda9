// name_meaning.h — which content a model's name means among those who offer to run it.
//
// The twin of artifact::choose for asks: there publishers sign what a name means, here providers
// say in their documents what they have under it. Pure.
#pragma once

#include <optional>
#include <vector>

#include "artifact/name_book.h"
#include "lucid/pulls.h"
#include "protocol/requester/requester.h"

namespace phase::lucid {

/// The content that `asked.name` means. `records`: what publishers say of the name, so that a
/// digest finds its content. A digest the client names counts before a pin, a pin before what is
/// said now. Errors: Code::not_found when nobody offers it; Code::already_exists, "conflict: …",
/// when providers mean different contents, or none the pinned one: who says what, and the way out.
[[nodiscard]] Result<ArtifactId> meaning_of(const PullSpec& asked,
                                            const std::vector<requester::Candidate>& offers,
                                            const std::optional<artifact::Pin>& pin,
                                            const std::vector<artifact::SignedRecord>& records);

}  // namespace phase::lucid
