// output.h — the output commitment: one hash for what a job wrote, in order. Normative:
// spec/output.md.
//
//   c(0)   = SHA-256("phase/output/2")
//   c(n+1) = SHA-256(c(n) ‖ u8 stream ‖ u32be length ‖ data)      for each canonical segment
//
// Canonical: consecutive writes to one stream are joined; a segment ends where the stream changes
// or after 16 KiB. So the commitment does not depend on timing, flushing or how bytes were cut into
// messages.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"

namespace phase::job {

struct OutputCommitmentTag;
using OutputCommitment = Hash<OutputCommitmentTag>;

inline constexpr std::size_t kSegmentBytesMax = 16_KiB;

/// Values are on the wire and in the hash; never reused. Inference writes `out`.
enum class OutputStream : std::uint8_t { out = 1, err = 2 };

struct OutputSummary {
  OutputCommitment commitment;
  std::uint64_t length = 0;    ///< bytes of all streams together
  std::uint64_t segments = 0;  ///< canonical segments
  friend bool operator==(const OutputSummary&, const OutputSummary&) = default;
};

/// Takes bytes as they come; says at any point what the commitment would be if the output ended
/// here.
class OutputChain {
 public:
  OutputChain();
  void append(OutputStream stream, ByteView bytes);
  /// Commitment as if the output ended here; the chain itself is unchanged. Checkpoints carry this.
  [[nodiscard]] OutputSummary summary() const;

 private:
  void close_segment();
  Sha256 chain_;  // after the last closed segment
  OutputStream stream_ = OutputStream::out;
  Bytes segment_;  // open segment, at most kSegmentBytesMax
  std::uint64_t length_ = 0;
  std::uint64_t segments_ = 0;  // closed ones
};

/// One piece of a transcript, in order of arrival.
struct OutputPiece {
  OutputStream stream = OutputStream::out;
  Bytes data;
  friend bool operator==(const OutputPiece&, const OutputPiece&) = default;
};

}  // namespace phase::job
