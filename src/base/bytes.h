// bytes.h — byte strings, and their text forms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace phase {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline constexpr std::size_t operator""_KiB(unsigned long long n) {
  return n * 1024;
}
inline constexpr std::size_t operator""_MiB(unsigned long long n) {
  return n * 1024 * 1024;
}

/// The bytes of a text, borrowed.
[[nodiscard]] inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
/// The text of bytes, borrowed. No check that it is UTF-8.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline Bytes to_bytes(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}
[[nodiscard]] inline Bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}

/// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(ByteView bytes);
/// Strict: an even number of [0-9a-fA-F], nothing else. Errors: Code::malformed.
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);
/// Base64, RFC 4648 §4, padded.
[[nodiscard]] std::string to_base64(ByteView bytes);
/// Strict padded base64. Errors: Code::malformed.
[[nodiscard]] Result<Bytes> from_base64(std::string_view text);

/// Same length and bytes, in time that depends on the length only.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b) noexcept;

/// True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(ByteView bytes) noexcept;

/// Text from outside made safe for a terminal or log: control characters, C1, bidi marks and bad
/// UTF-8 become '?'; cut at `length_max` bytes.
[[nodiscard]] std::string printable(std::string_view text, std::size_t length_max = 256);

}  // namespace phase
