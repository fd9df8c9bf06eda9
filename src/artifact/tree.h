// tree.h — the hash tree of one artifact, and proofs that a chunk belongs to it (RFC 9162 §2.1.1,
// §2.1.3). Normative: spec/artifact.md §1, §3. Pure.
#pragma once

#include <vector>

#include "base/tree_hash.h"

namespace phase::artifact {

/// Largest artifact that is fetched or served: 2^20 chunks.
inline constexpr std::uint64_t kArtifactBytesMax = 256ULL << 30U;
/// Hashes of one proof: a tree of 2^20 leaves has 20 levels.
inline constexpr std::size_t kProofHashesMax = 20;

/// Chunks of an artifact of `length` bytes.
[[nodiscard]] constexpr std::uint64_t chunk_count(std::uint64_t length) noexcept {
  return length / kArtifactChunkBytes + (length % kArtifactChunkBytes == 0 ? 0 : 1);
}
/// Bytes of one chunk of it. `index` < chunk_count(length).
[[nodiscard]] constexpr std::size_t chunk_bytes(std::uint64_t length,
                                                std::uint64_t index) noexcept {
  const std::uint64_t left = length - index * kArtifactChunkBytes;
  return left < kArtifactChunkBytes ? static_cast<std::size_t>(left) : kArtifactChunkBytes;
}

using Proof = std::vector<Sha256>;  ///< from the leaf's sibling upwards

class Tree {
 public:
  /// From the leaf hashes in order; chunk_count(length) of them. All levels are kept: 64 bytes for
  /// each chunk.
  Tree(std::uint64_t length, std::vector<Sha256> leaves);

  [[nodiscard]] ArtifactId id() const noexcept;
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  [[nodiscard]] const std::vector<Sha256>& leaves() const noexcept { return levels_.front(); }
  /// Inclusion proof of a leaf. `index` < chunk_count(length).
  [[nodiscard]] Proof proof(std::uint64_t index) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return 2 * levels_.front().size() * sizeof(Sha256);
  }

 private:
  std::uint64_t length_;
  std::vector<std::vector<Sha256>> levels_;  // leaves first, the root last
};

/// The root that a leaf and its proof lead to in a tree of `count` leaves (RFC 9162 §2.1.3.2).
/// Errors: Code::verification_failed when proof and place do not fit.
[[nodiscard]] Result<Sha256> root_of(const Sha256& leaf, std::uint64_t index, std::uint64_t count,
                                     const Proof& proof);

/// Whether `data` is chunk `index` of the artifact `id` of `length` bytes. Returns its leaf hash.
/// Errors: Code::verification_failed.
[[nodiscard]] Result<Sha256> verify_chunk(const ArtifactId& id, std::uint64_t length,
                                          std::uint64_t index, ByteView data, const Proof& proof);

}  // namespace phase::artifact
