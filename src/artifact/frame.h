// frame.h — the frames of /phase/artifact/2.0.0. Normative: spec/artifact.md §2.
//
// A frame is u32be length ‖ u8 type ‖ body; length counts type and body. Bodies are deterministic
// CBOR. Whoever reads believes nothing: chunks are checked by the id, records by their signature.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "artifact/tree.h"
#include "base/stream.h"

namespace phase::artifact {

inline constexpr std::string_view kArtifactProtocol = "/phase/artifact/2.0.0";

/// Type + body of one frame: a chunk with its proof.
inline constexpr std::size_t kFrameBytesMax = kArtifactChunkBytes + 2_KiB;
inline constexpr std::uint64_t kChunksPerAskMax = 16;
inline constexpr std::size_t kNameBytesMax = 350;
inline constexpr std::size_t kRecordBytesMax = 2_KiB;  ///< one envelope
inline constexpr std::size_t kRecordsPerAnswerMax = 32;
inline constexpr std::uint64_t kRetryMsMax = 60'000;

/// Values are on the wire; never reused.
enum class FrameType : std::uint8_t {
  ask = 1,
  held = 2,
  chunk = 3,
  not_here = 4,
  busy = 5,
  names = 6,
  records = 7,
  end = 16,
};

/// A → H: `count` chunks from `first` on; none: is it there, and how long is it?
struct Ask {
  ArtifactId id;
  std::uint64_t first = 0, count = 0;
  friend bool operator==(const Ask&, const Ask&) = default;
};
/// H → A: `chunks` chunk frames follow. Nothing in it is proven but by the chunks.
struct Held {
  std::uint64_t length = 0;
  Sha256 sha256;
  std::uint64_t chunks = 0;
  friend bool operator==(const Held&, const Held&) = default;
};
struct Chunk {
  std::uint64_t index = 0;
  Proof proof;
  Bytes data;
  friend bool operator==(const Chunk&, const Chunk&) = default;
};
struct NotHere {
  friend bool operator==(const NotHere&, const NotHere&) = default;
};
struct Busy {
  std::uint64_t retry_after_ms = 0;
  friend bool operator==(const Busy&, const Busy&) = default;
};
/// A → H: signed name records that fit. Exactly one of the three.
struct Names {
  std::string name;              ///< or empty
  std::optional<Sha256> sha256;  ///< flat hash of the content
  std::optional<ArtifactId> id;
  friend bool operator==(const Names&, const Names&) = default;
};
struct Records {
  std::vector<Bytes> envelopes;
  friend bool operator==(const Records&, const Records&) = default;
};
struct End {
  friend bool operator==(const End&, const End&) = default;
};
using Frame = std::variant<Ask, Held, Chunk, NotHere, Busy, Names, Records, End>;

/// With the length in front.
[[nodiscard]] Bytes encode(const Frame& frame);
/// Type and body. Errors: Code::malformed, too_large.
[[nodiscard]] Result<Frame> decode(ByteView type_and_body);

/// Errors: those of read_framed and decode.
[[nodiscard]] Task<Result<Frame>> read_frame(ByteStream& stream);
/// Errors: Code::connection_closed.
[[nodiscard]] Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame);

}  // namespace phase::artifact
