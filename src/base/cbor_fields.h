// cbor_fields.h — values of CBOR maps with their bounds, for decoders of documents and frames.
#pragma once

#include <limits>

#include "base/cbor.h"
#include "base/hash.h"

namespace phase {

/// An unsigned integer, at most `max`. Errors: Code::malformed, too_large.
[[nodiscard]] inline Result<std::uint64_t> uint_at(
    CborMap& map, std::uint64_t key,
    std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
  PHASE_TRY(CborReader * at, map.required(key));
  PHASE_TRY(const std::uint64_t value, at->uint());
  if (value > max) {
    return fail(Code::too_large, "key " + std::to_string(key) + ": " + std::to_string(value) +
                                     " is above " + std::to_string(max));
  }
  return value;
}

/// A hash of 32 bytes. Errors: Code::malformed.
template <typename H>
[[nodiscard]] Result<H> hash_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(CborReader * at, map.required(key));
  PHASE_TRY(const ByteView bytes, at->bytes());
  return H::from(bytes);
}

}  // namespace phase
