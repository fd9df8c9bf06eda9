// integer_internal.h — integer operators, WebAssembly 2.0 §4.3.2, for both widths.
#pragma once

#include "proof/reference/handler_internal.h"

namespace phase::reference {

/// Rules of iN where N is the width of U; S is U's signed twin. Shifts of signed values are
/// arithmetic and conversions modular in C++20.
template <typename U, typename S>
struct IntegerRules {
  static constexpr unsigned kBits = 8 * sizeof(U);
  static constexpr U kSign = U{1} << (kBits - 1);

  static constexpr U clz(U a) {
    U out = 0;
    for (U bit = kSign; bit != 0 && (a & bit) == 0; bit >>= 1) ++out;
    return out;
  }
  static constexpr U ctz(U a) {
    U out = 0;
    for (U bit = 1; bit != 0 && (a & bit) == 0; bit <<= 1) ++out;
    return out;
  }
  static constexpr U popcnt(U a) {
    U out = 0;
    for (; a != 0; a &= a - 1) ++out;
    return out;
  }
  static constexpr U div_s(Machine& machine, U a, U b) {
    if (b == 0) return machine.end(Stop::divide_by_zero), 0;
    if (a == kSign && b == ~U{0}) return machine.end(Stop::integer_overflow), 0;
    return static_cast<U>(static_cast<S>(a) / static_cast<S>(b));
  }
  static constexpr U div_u(Machine& machine, U a, U b) {
    if (b == 0) return machine.end(Stop::divide_by_zero), 0;
    return a / b;
  }
  static constexpr U rem_s(Machine& machine, U a, U b) {
    if (b == 0) return machine.end(Stop::divide_by_zero), 0;
    if (b == ~U{0}) return 0;  // also of the smallest, which has no quotient
    return static_cast<U>(static_cast<S>(a) % static_cast<S>(b));
  }
  static constexpr U rem_u(Machine& machine, U a, U b) {
    if (b == 0) return machine.end(Stop::divide_by_zero), 0;
    return a % b;
  }
  static constexpr U shr_s(U a, U b) { return static_cast<U>(static_cast<S>(a) >> (b % kBits)); }
  static constexpr U rotl(U a, U b) {
    const U by = b % kBits;
    return by == 0 ? a : a << by | a >> (kBits - by);
  }
  static constexpr U rotr(U a, U b) {
    const U by = b % kBits;
    return by == 0 ? a : a >> by | a << (kBits - by);
  }
  static constexpr bool lt_s(U a, U b) { return static_cast<S>(a) < static_cast<S>(b); }

  /// eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u, as numbered in §5.4.7.
  static constexpr Handler kRelations[] = {
      unary<U>([](U a) -> U { return a == 0; }),
      binary<U>([](U a, U b) -> U { return a == b; }),
      binary<U>([](U a, U b) -> U { return a != b; }),
      binary<U>([](U a, U b) -> U { return lt_s(a, b); }),
      binary<U>([](U a, U b) -> U { return a < b; }),
      binary<U>([](U a, U b) -> U { return lt_s(b, a); }),
      binary<U>([](U a, U b) -> U { return a > b; }),
      binary<U>([](U a, U b) -> U { return !lt_s(b, a); }),
      binary<U>([](U a, U b) -> U { return a <= b; }),
      binary<U>([](U a, U b) -> U { return !lt_s(a, b); }),
      binary<U>([](U a, U b) -> U { return a >= b; }),
  };
  /// clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr.
  static constexpr Handler kOperations[] = {
      unary<U>([](U a) { return clz(a); }),
      unary<U>([](U a) { return ctz(a); }),
      unary<U>([](U a) { return popcnt(a); }),
      binary<U>([](U a, U b) -> U { return a + b; }),
      binary<U>([](U a, U b) -> U { return a - b; }),
      binary<U>([](U a, U b) -> U { return a * b; }),
      partial_binary<U>([](Machine& machine, U a, U b) { return div_s(machine, a, b); }),
      partial_binary<U>([](Machine& machine, U a, U b) { return div_u(machine, a, b); }),
      partial_binary<U>([](Machine& machine, U a, U b) { return rem_s(machine, a, b); }),
      partial_binary<U>([](Machine& machine, U a, U b) { return rem_u(machine, a, b); }),
      binary<U>([](U a, U b) -> U { return a & b; }),
      binary<U>([](U a, U b) -> U { return a | b; }),
      binary<U>([](U a, U b) -> U { return a ^ b; }),
      binary<U>([](U a, U b) -> U { return a << (b % kBits); }),
      binary<U>([](U a, U b) -> U { return shr_s(a, b); }),
      binary<U>([](U a, U b) -> U { return a >> (b % kBits); }),
      binary<U>([](U a, U b) -> U { return rotl(a, b); }),
      binary<U>([](U a, U b) -> U { return rotr(a, b); }),
  };
};

/// i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s, from 0xC0.
inline constexpr Handler kSignExtensions[] = {
    unary<u32>([](u32 a) -> u32 { return static_cast<u32>(static_cast<int8_t>(a)); }),
    unary<u32>([](u32 a) -> u32 { return static_cast<u32>(static_cast<int16_t>(a)); }),
    unary<u64>([](u64 a) -> u64 { return static_cast<u64>(static_cast<int8_t>(a)); }),
    unary<u64>([](u64 a) -> u64 { return static_cast<u64>(static_cast<int16_t>(a)); }),
    unary<u64>([](u64 a) -> u64 { return static_cast<u64>(static_cast<s32>(a)); }),
};

}  // namespace phase::reference
