// hash.h — SHA-256 (FIPS 180-4), and 32-byte names of different things as different types.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/bytes.h"

namespace phase {

/// 32 bytes that name something; `Tag` keeps a job id from being passed as a module hash.
template <typename Tag>
struct Hash {
  std::array<std::uint8_t, 32> value{};

  [[nodiscard]] ByteView bytes() const noexcept { return value; }
  [[nodiscard]] std::string hex() const { return to_hex(value); }
  /// Errors: Code::malformed unless exactly 32 bytes.
  [[nodiscard]] static Result<Hash> from(ByteView bytes) {
    if (bytes.size() != 32) {
      return fail(Code::malformed, "a hash has 32 bytes, not " + std::to_string(bytes.size()));
    }
    Hash hash;
    std::memcpy(hash.value.data(), bytes.data(), 32);
    return hash;
  }
  /// From 64 hexadecimal digits. Errors: Code::malformed.
  [[nodiscard]] static Result<Hash> from_hex_text(std::string_view text) {
    PHASE_TRY(const Bytes raw, from_hex(text));
    return from(raw);
  }
  friend auto operator<=>(const Hash&, const Hash&) = default;
};

struct Sha256Tag;
using Sha256 = Hash<Sha256Tag>;

/// SHA-256 of one byte string.
[[nodiscard]] Sha256 sha256(ByteView bytes) noexcept;

/// SHA-256 in pieces. A value: copies continue independently.
class Sha256Stream {
 public:
  Sha256Stream() noexcept;
  Sha256Stream& update(ByteView bytes) noexcept;
  /// Big-endian integers, as every hash of ours writes them.
  Sha256Stream& update_u8(std::uint8_t value) noexcept;
  Sha256Stream& update_u32(std::uint32_t value) noexcept;
  Sha256Stream& update_u64(std::uint64_t value) noexcept;
  /// The hash of everything so far; the stream itself is left as it was.
  [[nodiscard]] Sha256 finish() const noexcept;

 private:
  alignas(8)
      std::array<unsigned char, 128> state_;  // crypto_hash_sha256_state, size checked in the .cpp
};

/// For unordered containers: the first eight bytes (already uniform).
struct HashHasher {
  template <typename Tag>
  std::size_t operator()(const Hash<Tag>& hash) const noexcept {
    std::size_t out = 0;
    std::memcpy(&out, hash.value.data(), sizeof out);
    return out;
  }
};

}  // namespace phase
