#include "base/tree_hash.h"

#include <bit>

namespace phase {
namespace {

/// Merkle tree hash of `bytes` cut into chunks (RFC 9162 §2.1.1). Depth is log2 of the chunk count.
Sha256 tree_root(ByteView bytes) {
  if (bytes.size() <= kArtifactChunkBytes) {
    return Sha256Stream().update_u8(0x00).update(bytes).finish();
  }
  const std::size_t chunks = (bytes.size() + kArtifactChunkBytes - 1) / kArtifactChunkBytes;
  const std::size_t left_chunks = std::bit_floor(chunks - 1);
  const std::size_t left_bytes = left_chunks * kArtifactChunkBytes;
  const Sha256 left = tree_root(bytes.first(left_bytes));
  const Sha256 right = tree_root(bytes.subspan(left_bytes));
  return Sha256Stream().update_u8(0x01).update(left.bytes()).update(right.bytes()).finish();
}

}  // namespace

ArtifactId artifact_id(ByteView bytes) {
  const Sha256 root = bytes.empty() ? sha256({}) : tree_root(bytes);
  const Sha256 id =
      Sha256Stream().update_u8(0x02).update_u64(bytes.size()).update(root.bytes()).finish();
  return ArtifactId{id.value};
}

}  // namespace phase
