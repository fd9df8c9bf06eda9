#include "node/module_index.h"

#include <algorithm>
#include <charconv>

namespace phase::node {
namespace {

constexpr std::size_t kHexDigits = 64;

/// "<id> <hash> <length>".
std::optional<job::ArtifactRef> read_line(std::string_view line) {
  constexpr std::size_t kNumberAt = 2 * (kHexDigits + 1);
  if (line.size() <= kNumberAt || line[kHexDigits] != ' ' || line[kNumberAt - 1] != ' ') {
    return std::nullopt;
  }
  const auto id = ArtifactId::from_hex_text(line.substr(0, kHexDigits));
  const auto sha256 = Sha256::from_hex_text(line.substr(kHexDigits + 1, kHexDigits));
  const std::string_view number = line.substr(kNumberAt);
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), length);
  const bool whole = error == std::errc{} && end == number.data() + number.size();
  if (!id || !sha256 || !whole || length > job::kModuleBytesMax) return std::nullopt;
  return job::ArtifactRef{*id, *sha256, length};
}

}  // namespace

void ModuleIndex::read(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (const auto ref = read_line(text.substr(0, end))) {
      static_cast<void>(add(*ref));  // files of what goes here are swept with all that is not kept
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string ModuleIndex::text() const {
  std::string out;
  for (auto at = used_.rbegin(); at != used_.rend(); ++at) {
    out += at->id.hex() + " " + at->sha256.hex() + " " + std::to_string(at->length) + "\n";
  }
  return out;
}

std::optional<job::ArtifactRef> ModuleIndex::use(const ArtifactId& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  used_.splice(used_.begin(), used_, found->second);
  return used_.front();
}

bool ModuleIndex::holds(const Sha256& sha256) const {
  return std::ranges::any_of(used_, [&sha256](const auto& ref) { return ref.sha256 == sha256; });
}

std::vector<job::ArtifactRef> ModuleIndex::add(const job::ArtifactRef& ref) {
  std::vector<job::ArtifactRef> gone;
  if (use(ref.id)) return gone;
  used_.push_front(ref);
  by_id_[ref.id] = used_.begin();
  bytes_ += ref.length;
  while (used_.size() > 1 && (bytes_ > bytes_max_ || used_.size() > kModulesKeptMax)) {
    gone.push_back(used_.back());
    drop(used_.back().id);
  }
  return gone;
}

void ModuleIndex::drop(const ArtifactId& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  bytes_ -= found->second->length;
  used_.erase(found->second);
  by_id_.erase(found);
}

}  // namespace phase::node
