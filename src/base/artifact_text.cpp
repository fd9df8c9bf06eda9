#include "base/artifact_text.h"

#include <algorithm>

namespace phase {
namespace {

constexpr std::size_t kHexDigits = 64;

std::string_view without_prefix(std::string_view text) noexcept {
  if (text.starts_with(kArtifactPrefix)) text.remove_prefix(kArtifactPrefix.size());
  return text;
}

bool is_hex(std::string_view text) noexcept {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

bool looks_like_artifact(std::string_view text) noexcept {
  return text.starts_with(kArtifactPrefix) || (text.size() == kHexDigits && is_hex(text));
}

Result<ArtifactId> parse_artifact(std::string_view text) {
  const std::string_view digits = without_prefix(text);
  if (digits.size() != kHexDigits || !is_hex(digits)) {
    return fail(Code::invalid_argument, "not an artifact id: " + printable(text, 160),
                "an artifact id has 64 hexadecimal digits");
  }
  return ArtifactId::from_hex_text(digits);
}

std::string artifact_text(const ArtifactId& id) {
  return std::string(kArtifactPrefix) + id.hex();
}

}  // namespace phase
