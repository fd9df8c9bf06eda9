// parts.h — the pieces that several documents share: commitments, references, summaries. Normative:
// spec/job.md.
#pragma once

#include "base/cbor.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"

namespace phase::job {

void write(CborWriter& out, const Commitment& commitment);
void write(CborWriter& out, const ArtifactRef& reference);
void write(CborWriter& out, const OutputSummary& summary);

// Readers leave `in` behind the item. Errors: Code::malformed.
[[nodiscard]] Result<Commitment> read_commitment(CborReader& in);
[[nodiscard]] Result<ArtifactRef> read_reference(CborReader& in);
[[nodiscard]] Result<OutputSummary> read_summary(CborReader& in);

/// A 32-byte string as a hash of type H.
template <typename H>
[[nodiscard]] Result<H> read_hash(CborReader& in) {
  PHASE_TRY(const ByteView raw, in.bytes());
  return H::from(raw);
}
/// A byte string of exactly N bytes. Errors: Code::malformed.
template <std::size_t N>
[[nodiscard]] Result<std::array<std::uint8_t, N>> read_array(CborReader& in) {
  PHASE_TRY(const ByteView raw, in.bytes());
  if (raw.size() != N)
    return fail(Code::malformed, "byte string has not " + std::to_string(N) + " bytes");
  std::array<std::uint8_t, N> out{};
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}
/// Text of 0 … bytes_max bytes without NUL. Errors: Code::malformed, too_large.
[[nodiscard]] Result<std::string> read_text(CborReader& in, std::size_t bytes_max = kTextBytesMax);

[[nodiscard]] Result<Profile> profile_from_name(std::string_view name);

}  // namespace phase::job
