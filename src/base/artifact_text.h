// artifact_text.h — how people write the id of an artifact. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/tree_hash.h"

namespace phase {

inline constexpr std::string_view kArtifactPrefix = "artifact:";

/// True for "artifact:…" and for 64 hexadecimal digits: nothing else is meant by them.
[[nodiscard]] bool looks_like_artifact(std::string_view text) noexcept;
/// "artifact:<64 hex>" or <64 hex>, in small letters. Errors: Code::invalid_argument.
[[nodiscard]] Result<ArtifactId> parse_artifact(std::string_view text);
/// "artifact:<64 hex>".
[[nodiscard]] std::string artifact_text(const ArtifactId& id);

}  // namespace phase
