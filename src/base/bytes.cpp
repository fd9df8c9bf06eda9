#include "base/bytes.h"

#include <sodium.h>

namespace phase {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 0;  // 0: not well-formed here
};

/// One code point of well-formed UTF-8 (RFC 3629 §4).
CodePoint next_code_point(ByteView bytes) noexcept {
  const std::uint8_t lead = bytes[0];
  if (lead < 0x80) return {lead, 1};
  std::size_t length = 0;
  std::uint32_t value = 0;
  std::uint32_t least = 0;
  if ((lead & 0xE0U) == 0xC0) {
    length = 2, value = lead & 0x1FU, least = 0x80;
  } else if ((lead & 0xF0U) == 0xE0) {
    length = 3, value = lead & 0x0FU, least = 0x800;
  } else if ((lead & 0xF8U) == 0xF0) {
    length = 4, value = lead & 0x07U, least = 0x10000;
  } else {
    return {};
  }
  if (bytes.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0U) != 0x80) return {};
    value = (value << 6U) | (bytes[i] & 0x3FU);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < least || value > 0x10FFFF || surrogate) return {};
  return {value, length};
}

/// Characters that move the cursor, hide text or reorder it.
bool is_unprintable(std::uint32_t c) noexcept {
  const bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
  const bool bidi = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
                    c == 0x200F || c == 0x061C;
  const bool separator = c == 0x2028 || c == 0x2029 || c == 0xFEFF;
  return control || bidi || separator;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(Code::malformed, "odd number of hexadecimal digits");
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) {
      return fail(Code::malformed, "not a hexadecimal digit near offset " + std::to_string(i));
    }
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the terminating NUL that libsodium counts
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  Bytes out(text.size() / 4 * 3 + 3);
  std::size_t length = 0;
  const char* end = nullptr;
  const int status = sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr,
                                       &length, &end, sodium_base64_VARIANT_ORIGINAL);
  if (status != 0 || end != text.data() + text.size()) {
    return fail(Code::malformed, "not padded base64 (RFC 4648 section 4)");
  }
  out.resize(length);
  return out;
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_utf8(ByteView bytes) noexcept {
  while (!bytes.empty()) {
    const CodePoint point = next_code_point(bytes);
    if (point.length == 0) return false;
    bytes = bytes.subspan(point.length);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t length_max) {
  std::string out;
  ByteView rest = as_bytes(text);
  while (!rest.empty()) {
    const CodePoint point = next_code_point(rest);
    const std::size_t length = point.length == 0 ? 1 : point.length;
    const bool bad = point.length == 0 || is_unprintable(point.value);
    if (out.size() + (bad ? 1 : length) > length_max) break;
    if (bad) {
      out.push_back('?');
    } else {
      out.append(as_text(rest.first(length)));
    }
    rest = rest.subspan(length);
  }
  return out;
}

}  // namespace phase
