// document_internal.h — pieces of encoding that job, manifest and receipt documents share.
// For the protocol's own sources only.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/cbor.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"

namespace phase::job {

/// Code::malformed with the byte offset.
[[nodiscard]] inline tl::unexpected<Error> wrong(const CborReader& reader, std::string_view what) {
  return fail(Code::malformed,
              "CBOR before byte " + std::to_string(reader.offset()) + ": " + std::string(what));
}
[[nodiscard]] inline tl::unexpected<Error> too_large(const CborReader& reader,
                                                     std::string_view what) {
  return fail(Code::too_large,
              "CBOR before byte " + std::to_string(reader.offset()) + ": " + std::string(what));
}

/// The unsigned integer at `key`.
[[nodiscard]] Result<std::uint64_t> uint_at(CborMap& map, std::uint64_t key);
/// The text at `key`, of `least` to `most` bytes.
[[nodiscard]] Result<std::string> text_at(CborMap& map, std::uint64_t key, std::size_t least,
                                          std::size_t most);
/// Text where the reader stands. Errors: malformed when shorter, too_large when longer.
[[nodiscard]] Result<std::string> read_text(CborReader& reader, std::size_t least,
                                            std::size_t most);
/// A byte string of exactly N bytes where the reader stands.
template <std::size_t N>
[[nodiscard]] Result<std::array<std::uint8_t, N>> read_array(CborReader& reader) {
  PHASE_TRY(const ByteView bytes, reader.bytes());
  if (bytes.size() != N) {
    return wrong(reader,
                 "expected " + std::to_string(N) + " bytes, not " + std::to_string(bytes.size()));
  }
  std::array<std::uint8_t, N> out;
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}
template <std::size_t N>
[[nodiscard]] Result<std::array<std::uint8_t, N>> array_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(CborReader * reader, map.required(key));
  return read_array<N>(*reader);
}
/// The 32-byte name at `key`.
template <typename HashType>
[[nodiscard]] Result<HashType> hash_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(const auto value, array_at<32>(map, key));
  HashType hash;
  hash.value = value;
  return hash;
}
/// Fills `out` from `key` when it is there.
template <typename T, typename Read>
[[nodiscard]] Result<void> optional_at(CborMap& map, CborReader& reader, std::uint64_t key,
                                       std::optional<T>& out, Read&& read) {
  if (!map.optional(key)) return {};
  PHASE_TRY(out, read(reader));
  return {};
}

/// {0: sha256, 1: length}
void write_commitment(CborWriter& writer, const Commitment& commitment);
[[nodiscard]] Result<Commitment> read_commitment(CborReader& reader);
/// {0: commitment, 1: length, 2: segments}
void write_summary(CborWriter& writer, const OutputSummary& summary);
[[nodiscard]] Result<OutputSummary> read_summary(CborReader& reader);

/// Code::version_unknown for a profile that is not known.
[[nodiscard]] Result<Profile> profile_from_name(std::string_view name);

/// True when text key `a` stands before `b` in deterministic CBOR: shorter first, then by bytes.
[[nodiscard]] inline bool text_key_less(std::string_view a, std::string_view b) noexcept {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

}  // namespace phase::job
