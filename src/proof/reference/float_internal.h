// float_internal.h — operators on floats, and conversions (WebAssembly 2.0 §4.3.3, §4.3.4).
#pragma once

#include "proof/reference/float.h"
#include "proof/reference/handler_internal.h"

namespace phase::reference {

template <typename F>
struct FloatRules {
  using Of = Float<F>;
  using Bits = typename F::Bits;

  /// eq ne lt gt le ge.
  static constexpr Handler kRelations[] = {
      binary<Bits>([](Bits a, Bits b) -> u32 { return Of::eq(a, b); }),
      binary<Bits>([](Bits a, Bits b) -> u32 { return !Of::eq(a, b); }),
      binary<Bits>([](Bits a, Bits b) -> u32 { return Of::lt(a, b); }),
      binary<Bits>([](Bits a, Bits b) -> u32 { return Of::lt(b, a); }),
      binary<Bits>([](Bits a, Bits b) -> u32 { return Of::le(a, b); }),
      binary<Bits>([](Bits a, Bits b) -> u32 { return Of::le(b, a); }),
  };
  /// abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign.
  static constexpr Handler kOperations[] = {
      unary<Bits>([](Bits a) -> Bits { return a & ~Of::kSign; }),
      unary<Bits>([](Bits a) -> Bits { return a ^ Of::kSign; }),
      unary<Bits>([](Bits a) { return Of::ceil(a); }),
      unary<Bits>([](Bits a) { return Of::floor(a); }),
      unary<Bits>([](Bits a) { return Of::trunc(a); }),
      unary<Bits>([](Bits a) { return Of::nearest(a); }),
      unary<Bits>([](Bits a) { return Of::sqrt(a); }),
      binary<Bits>([](Bits a, Bits b) { return Of::add(a, b); }),
      binary<Bits>([](Bits a, Bits b) { return Of::sub(a, b); }),
      binary<Bits>([](Bits a, Bits b) { return Of::mul(a, b); }),
      binary<Bits>([](Bits a, Bits b) { return Of::div(a, b); }),
      binary<Bits>([](Bits a, Bits b) { return Of::min(a, b); }),
      binary<Bits>([](Bits a, Bits b) { return Of::max(a, b); }),
      binary<Bits>([](Bits a, Bits b) -> Bits { return (a & ~Of::kSign) | (b & Of::kSign); }),
  };
};

/// The range of a target integer: |a| may be up to `negative_max` below zero, `positive_max` above.
template <typename To, bool kSigned>
struct Range {
  static constexpr u64 kTop = u64{1} << (8 * sizeof(To) - 1);
  static constexpr u64 kPositiveMax = kSigned ? kTop - 1 : kTop + (kTop - 1);
  static constexpr u64 kNegativeMax = kSigned ? kTop : 0;
};

/// iN.trunc_fM: traps for what has no integer. kSaturate: iN.trunc_sat_fM, the nearest there is,
/// 0 for NaN.
template <typename F, typename To, bool kSigned, bool kSaturate>
To truncated(Machine& machine, typename F::Bits a) {
  using Limits = Range<To, kSigned>;
  using Kind = Integer::Kind;
  const Integer cut = to_integer<F>(a);
  if (cut.kind == Kind::nan) {
    if (!kSaturate) machine.end(Stop::invalid_conversion);
    return 0;
  }
  const u64 most = cut.negative ? Limits::kNegativeMax : Limits::kPositiveMax;
  u64 magnitude = cut.magnitude;
  if (cut.kind != Kind::whole || magnitude > most) {
    if (!kSaturate) machine.end(Stop::integer_overflow);
    magnitude = most;
  }
  return static_cast<To>(cut.negative ? ~magnitude + 1 : magnitude);
}

template <typename F, typename To, bool kSigned, bool kSaturate = false>
inline constexpr Handler kTruncated =
    partial_unary<typename F::Bits>([](Machine& machine, typename F::Bits a) {
      return truncated<F, To, kSigned, kSaturate>(machine, a);
    });

/// fN.convert_iM.
template <typename F, typename From, typename Signed>
inline constexpr Handler kConvertedSigned = unary<From>([](From a) {
  const bool negative = static_cast<Signed>(a) < 0;
  const From magnitude = negative ? ~a + 1 : a;
  return Float<F>::from_integer(magnitude, negative);
});
template <typename F, typename From>
inline constexpr Handler kConvertedUnsigned =
    unary<From>([](From a) { return Float<F>::from_integer(a, false); });

/// 0xA7 to 0xBF.
inline constexpr Handler kConversions[] = {
    unary<u32>([](u32 a) { return a; }),  // i32.wrap_i64: the low half
    kTruncated<Binary32, u32, true>,
    kTruncated<Binary32, u32, false>,
    kTruncated<Binary64, u32, true>,
    kTruncated<Binary64, u32, false>,
    unary<u32>([](u32 a) { return static_cast<u64>(static_cast<s32>(a)); }),
    unary<u32>([](u32 a) { return u64{a}; }),
    kTruncated<Binary32, u64, true>,
    kTruncated<Binary32, u64, false>,
    kTruncated<Binary64, u64, true>,
    kTruncated<Binary64, u64, false>,
    kConvertedSigned<Binary32, u32, s32>,
    kConvertedUnsigned<Binary32, u32>,
    kConvertedSigned<Binary32, u64, s64>,
    kConvertedUnsigned<Binary32, u64>,
    unary<u64>([](u64 a) { return demote(a); }),
    kConvertedSigned<Binary64, u32, s32>,
    kConvertedUnsigned<Binary64, u32>,
    kConvertedSigned<Binary64, u64, s64>,
    kConvertedUnsigned<Binary64, u64>,
    unary<u32>([](u32 a) { return promote(a); }),
    unary<u32>([](u32 a) { return a; }),  // the four reinterpretations: bits are bits
    unary<u64>([](u64 a) { return a; }),
    unary<u32>([](u32 a) { return a; }),
    unary<u64>([](u64 a) { return a; }),
};

/// 0xFC 0 to 7.
inline constexpr Handler kSaturating[] = {
    kTruncated<Binary32, u32, true, true>, kTruncated<Binary32, u32, false, true>,
    kTruncated<Binary64, u32, true, true>, kTruncated<Binary64, u32, false, true>,
    kTruncated<Binary32, u64, true, true>, kTruncated<Binary32, u64, false, true>,
    kTruncated<Binary64, u64, true, true>, kTruncated<Binary64, u64, false, true>,
};

}  // namespace phase::reference
