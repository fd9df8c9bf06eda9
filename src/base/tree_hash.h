// tree_hash.h — the id of an artifact: root of a SHA-256 tree over 256 KiB chunks (RFC 9162 §2.1.1
// hashing: prefix 0x00 for a leaf, 0x01 for a node), bound with the length. Normative:
// spec/artifact.md.
//
//   artifact_id = SHA-256(0x02 ‖ u64be(length) ‖ root)
#pragma once

#include "base/hash.h"

namespace phase {

struct ArtifactIdTag;
using ArtifactId = Hash<ArtifactIdTag>;

/// Bytes under one leaf. Fixed by protocol 2.
inline constexpr std::size_t kArtifactChunkBytes = 256_KiB;

/// The id of `bytes`. The root of zero bytes is SHA-256 of the empty string (RFC 9162).
[[nodiscard]] ArtifactId artifact_id(ByteView bytes);

}  // namespace phase
