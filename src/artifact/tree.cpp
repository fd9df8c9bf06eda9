#include "artifact/tree.h"

#include "base/check.h"

namespace phase::artifact {

Tree::Tree(std::uint64_t length, std::vector<Sha256> leaves) : length_(length) {
  PHASE_CHECK(leaves.size() == chunk_count(length));
  levels_.push_back(std::move(leaves));
  while (levels_.back().size() > 1) {
    const std::vector<Sha256>& below = levels_.back();
    std::vector<Sha256> level;
    level.reserve((below.size() + 1) / 2);
    for (std::size_t i = 0; i + 1 < below.size(); i += 2) {
      level.push_back(tree_node(below[i], below[i + 1]));
    }
    if (below.size() % 2 == 1) level.push_back(below.back());  // the rest goes up as it is
    levels_.push_back(std::move(level));
  }
}

ArtifactId Tree::id() const noexcept {
  return artifact_id_of(length_, leaves().empty() ? sha256({}) : levels_.back().front());
}

Proof Tree::proof(std::uint64_t index) const {
  PHASE_CHECK(index < leaves().size());
  Proof out;
  for (const auto& level : levels_) {
    const std::uint64_t sibling = index ^ 1U;
    if (sibling < level.size()) out.push_back(level[sibling]);
    index >>= 1U;
  }
  return out;
}

Result<Sha256> root_of(const Sha256& leaf, std::uint64_t index, std::uint64_t count,
                       const Proof& proof) {
  if (index >= count) return fail(Code::verification_failed, "no such chunk in the artifact");
  std::uint64_t at = index, last = count - 1;
  Sha256 root = leaf;
  for (const Sha256& hash : proof) {
    if (last == 0) return fail(Code::verification_failed, "the proof of a chunk is too long");
    if (at % 2 == 1 || at == last) {
      root = tree_node(hash, root);
      while (at % 2 == 0 && at != 0) {
        at >>= 1U;
        last >>= 1U;
      }
    } else {
      root = tree_node(root, hash);
    }
    at >>= 1U;
    last >>= 1U;
  }
  if (last != 0) return fail(Code::verification_failed, "the proof of a chunk is too short");
  return root;
}

Result<Sha256> verify_chunk(const ArtifactId& id, std::uint64_t length, std::uint64_t index,
                            ByteView data, const Proof& proof) {
  const std::uint64_t count = chunk_count(length);
  if (index >= count || data.size() != chunk_bytes(length, index)) {
    return fail(Code::verification_failed, "a chunk has another size than its place says");
  }
  const Sha256 leaf = tree_leaf(data);
  PHASE_TRY(const Sha256 root, root_of(leaf, index, count, proof));
  if (artifact_id_of(length, root) != id) {
    return fail(Code::verification_failed,
                "chunk " + std::to_string(index) + " is not of artifact " + id.hex());
  }
  return leaf;
}

}  // namespace phase::artifact
