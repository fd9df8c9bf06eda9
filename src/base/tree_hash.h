// tree_hash.h — the id of an artifact: root of a SHA-256 tree over 256 KiB chunks (RFC 9162 §2.1.1
// hashing: prefix 0x00 for a leaf, 0x01 for a node), bound with the length. Normative:
// spec/artifact.md.
//
//   artifact_id = SHA-256(0x02 ‖ u64be(length) ‖ root)
#pragma once

#include <vector>

#include "base/hash.h"

namespace phase {

struct ArtifactIdTag;
using ArtifactId = Hash<ArtifactIdTag>;

/// Bytes under one leaf. Fixed by protocol 2.
inline constexpr std::size_t kArtifactChunkBytes = 256_KiB;

/// The hash of one leaf: SHA-256(0x00 ‖ chunk).
[[nodiscard]] Sha256 tree_leaf(ByteView chunk) noexcept;
/// The hash over two subtrees: SHA-256(0x01 ‖ left ‖ right).
[[nodiscard]] Sha256 tree_node(const Sha256& left, const Sha256& right) noexcept;
/// The id of an artifact with this length and root.
[[nodiscard]] ArtifactId artifact_id_of(std::uint64_t length, const Sha256& root) noexcept;

/// The id of `bytes`. The root of zero bytes is SHA-256 of the empty string (RFC 9162).
[[nodiscard]] ArtifactId artifact_id(ByteView bytes);

/// The id of bytes that come in pieces, whatever the pieces. A value: copies continue
/// independently. Holds one hash for each doubling of the length.
class ArtifactIdStream {
 public:
  ArtifactIdStream& update(ByteView bytes);
  /// The id of everything so far; the stream itself is left as it was.
  [[nodiscard]] ArtifactId finish() const;

 private:
  void close_leaf();

  Sha256Stream leaf_ = Sha256Stream().update_u8(0x00);
  std::size_t leaf_bytes_ = 0;
  std::uint64_t length_ = 0, leaves_ = 0;
  std::vector<Sha256> subtrees_;  // complete ones, largest first: the bits of `leaves_`
};

}  // namespace phase
