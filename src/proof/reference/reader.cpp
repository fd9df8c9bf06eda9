#include "proof/reference/reader_internal.h"

namespace phase::reference {

void Reader::fail_with(Code code, std::string what) {
  if (error_) return;
  error_ = Error{code, "module, byte " + std::to_string(position()) + ": " + std::move(what), {}};
}

void Reader::malformed(std::string what) {
  fail_with(Code::malformed, std::move(what));
}

Result<void> Reader::done() const {
  if (error_) return fail(*error_);
  return {};
}

std::uint8_t Reader::byte() {
  if (error_) return 0;
  if (at_ == all_.size()) {
    malformed("unexpected end");
    return 0;
  }
  return all_[at_++];
}

ByteView Reader::bytes(std::size_t count) {
  if (error_) return {};
  if (count > left()) {
    malformed("unexpected end: length out of bounds");
    return {};
  }
  const ByteView out = all_.subspan(at_, count);
  at_ += count;
  return out;
}

std::uint32_t Reader::u32() {
  std::uint32_t out = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const std::uint8_t next = byte();
    if (shift == 28 && (next & 0xF0) != 0) {
      malformed((next & 0x80) != 0 ? "integer representation too long" : "integer too large");
      return 0;
    }
    out |= static_cast<std::uint32_t>(next & 0x7F) << shift;
    if ((next & 0x80) == 0) return out;
  }
  return out;
}

/// §5.2.2: at most ceil(bits / 7) bytes; the bits above repeat the sign.
std::int64_t Reader::signed_leb(unsigned bits) {
  std::uint64_t out = 0;
  unsigned shift = 0;
  while (true) {
    const std::uint8_t next = byte();
    if (error_) return 0;
    const unsigned used = bits - shift;  // of this byte's seven
    if (used < 7) {
      if ((next & 0x80) != 0) return malformed("integer representation too long"), 0;
      const auto rest = static_cast<std::int8_t>(static_cast<std::uint8_t>(next << 1));
      const int sign = rest >> used;  // the sign bit and all above, of equal value
      if (sign != 0 && sign != -1) return malformed("integer too large"), 0;
    }
    out |= static_cast<std::uint64_t>(next & 0x7F) << shift;
    shift += 7;
    if ((next & 0x80) == 0) {
      if (shift < 64 && (next & 0x40) != 0) out |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(out);
    }
    if (shift >= bits) return malformed("integer representation too long"), 0;
  }
}

std::int32_t Reader::s32() {
  return static_cast<std::int32_t>(signed_leb(32));
}
std::int64_t Reader::s33() {
  return signed_leb(33);
}
std::int64_t Reader::s64() {
  return signed_leb(64);
}

std::uint64_t Reader::fixed(std::size_t count) {
  const ByteView from = bytes(count);
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < from.size(); ++i) out |= std::uint64_t{from[i]} << (8 * i);
  return out;
}

std::string Reader::name() {
  const ByteView text = bytes(u32());
  if (!is_utf8(text)) malformed("malformed UTF-8 encoding");
  return std::string(as_text(text));
}

ValueType Reader::value_type() {
  const std::uint8_t type = byte();
  switch (static_cast<ValueType>(type)) {
    case ValueType::i32:
    case ValueType::i64:
    case ValueType::f32:
    case ValueType::f64:
    case ValueType::funcref:
    case ValueType::externref:
      return static_cast<ValueType>(type);
    default:
      if (type == 0x7B) {
        fail_with(Code::unsupported, "vector types (SIMD) are not in profile det-1");
      } else {
        malformed("malformed value type");
      }
      return ValueType::i32;
  }
}

ValueType Reader::reference_type() {
  const std::uint8_t type = byte();
  if (type != 0x70 && type != 0x6F) malformed("malformed reference type");
  return type == 0x6F ? ValueType::externref : ValueType::funcref;
}

std::uint32_t Reader::count(std::uint32_t max, const char* what) {
  const std::uint32_t out = u32();
  if (out > left()) {
    malformed("unexpected end: length out of bounds");
    return 0;
  }
  if (out > max) {
    fail_with(Code::too_large,
              std::to_string(out) + " " + what + ", more than " + std::to_string(max));
    return 0;
  }
  return out;
}

Constant Reader::constant() {
  using Kind = Constant::Kind;
  Constant out;
  const std::uint8_t opcode = byte();
  switch (opcode) {
    case 0x41:
      out = {Kind::value, ValueType::i32, static_cast<std::uint32_t>(s32())};
      break;
    case 0x42:
      out = {Kind::value, ValueType::i64, static_cast<std::uint64_t>(s64())};
      break;
    case 0x43:
      out = {Kind::value, ValueType::f32, fixed(4)};
      break;
    case 0x44:
      out = {Kind::value, ValueType::f64, fixed(8)};
      break;
    case 0x23:
      out = {Kind::global_get, ValueType::any, u32()};
      break;
    case 0xD2:
      out = {Kind::ref_func, ValueType::funcref, u32()};
      break;
    case 0xD0:
      out = {Kind::ref_null, reference_type(), 0};
      break;
    case 0x0B:
      fail_with(Code::invalid_argument, "type mismatch: an empty constant expression");
      return out;
    default:
      if (opcode > 0xD2 && opcode < 0xFC) {
        malformed("illegal opcode");
      } else {
        fail_with(Code::invalid_argument, "constant expression required");
      }
      return out;
  }
  if (const std::uint8_t end = byte(); end != 0x0B) {
    // More than one instruction gives more than one value, or is not constant (§3.3.10).
    fail_with(Code::invalid_argument, "type mismatch or constant expression required");
  }
  return out;
}

}  // namespace phase::reference
