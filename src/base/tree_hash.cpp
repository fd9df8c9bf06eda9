#include "base/tree_hash.h"

#include <algorithm>

namespace phase {

Sha256 tree_leaf(ByteView chunk) noexcept {
  return Sha256Stream().update_u8(0x00).update(chunk).finish();
}

Sha256 tree_node(const Sha256& left, const Sha256& right) noexcept {
  return Sha256Stream().update_u8(0x01).update(left.bytes()).update(right.bytes()).finish();
}

ArtifactId artifact_id_of(std::uint64_t length, const Sha256& root) noexcept {
  const Sha256 id = Sha256Stream().update_u8(0x02).update_u64(length).update(root.bytes()).finish();
  return ArtifactId{id.value};
}

ArtifactIdStream& ArtifactIdStream::update(ByteView bytes) {
  length_ += bytes.size();
  while (!bytes.empty()) {
    // A full leaf is closed when more comes: the last one is closed by `finish`.
    if (leaf_bytes_ == kArtifactChunkBytes) close_leaf();
    const ByteView piece = bytes.first(std::min(bytes.size(), kArtifactChunkBytes - leaf_bytes_));
    leaf_.update(piece);
    leaf_bytes_ += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return *this;
}

// Equal subtrees are joined as a binary counter carries.
void ArtifactIdStream::close_leaf() {
  Sha256 root = leaf_.finish();
  for (std::uint64_t carry = leaves_++; (carry & 1) != 0; carry >>= 1) {
    root = tree_node(subtrees_.back(), root);
    subtrees_.pop_back();
  }
  subtrees_.push_back(root);
  leaf_ = Sha256Stream().update_u8(0x00);
  leaf_bytes_ = 0;
}

// The left subtree of RFC 9162 §2.1.1 is the largest complete one, so the rest folds from the
// right.
ArtifactId ArtifactIdStream::finish() const {
  Sha256 root = length_ == 0 ? sha256({}) : leaf_.finish();
  for (auto left = subtrees_.rbegin(); left != subtrees_.rend(); ++left)
    root = tree_node(*left, root);
  return artifact_id_of(length_, root);
}

ArtifactId artifact_id(ByteView bytes) {
  return ArtifactIdStream().update(bytes).finish();
}

}  // namespace phase
