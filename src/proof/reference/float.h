// float.h — IEEE 754-2019 binary32 and binary64 in integers, with the one NaN of profile det-1.
//
// WebAssembly 2.0 §4.3.3 leaves the bits of an arithmetic NaN open; det-1 does not: an operation
// whose result is a NaN gives the canonical one, positive and quiet with no other bit set
// (§4.3.3.1 allows exactly that). fabs, fneg and fcopysign work on bits and keep what is there.
// Rounding is to nearest, ties to even, throughout. Values are their bits: no float of the machine
// takes part, so every machine gives the same. Nothing here but <stdint.h>.
#pragma once

#include <stdint.h>

namespace phase::reference {

/// A binary format by its widths.
struct Binary32 {
  using Bits = uint32_t;
  static constexpr int kFraction = 23, kExponent = 8;
};
struct Binary64 {
  using Bits = uint64_t;
  static constexpr int kFraction = 52, kExponent = 11;
};

template <typename F>
struct Float {
  using Bits = typename F::Bits;
  static constexpr int kBias = (1 << (F::kExponent - 1)) - 1;
  static constexpr int kExponentMax = (1 << F::kExponent) - 1;  ///< of infinities and NaNs
  static constexpr Bits kSign = Bits{1} << (F::kFraction + F::kExponent);
  static constexpr Bits kInfinity = Bits{kExponentMax} << F::kFraction;
  static constexpr Bits kNan = kInfinity | Bits{1} << (F::kFraction - 1);
  static constexpr Bits kFractionMask = (Bits{1} << F::kFraction) - 1;

  static constexpr bool is_nan(Bits a) { return (a & ~kSign) > kInfinity; }

  // §4.3.3, by the names there.
  static Bits add(Bits a, Bits b);
  static Bits sub(Bits a, Bits b);
  static Bits mul(Bits a, Bits b);
  static Bits div(Bits a, Bits b);
  static Bits sqrt(Bits a);
  static Bits min(Bits a, Bits b);
  static Bits max(Bits a, Bits b);
  static Bits ceil(Bits a);
  static Bits floor(Bits a);
  static Bits trunc(Bits a);
  static Bits nearest(Bits a);
  static bool eq(Bits a, Bits b);
  static bool lt(Bits a, Bits b);
  static bool le(Bits a, Bits b);

  /// The nearest value to an integer's magnitude, negative when `negative`.
  static Bits from_integer(uint64_t magnitude, bool negative);
};

/// f64.promote_f32 and f32.demote_f64.
[[nodiscard]] uint64_t promote(uint32_t a);
[[nodiscard]] uint32_t demote(uint64_t a);

/// A float cut to an integer (§4.3.3, trunc).
struct Integer {
  enum class Kind : uint8_t { whole, nan, below, above };  ///< below, above: not among 65 bits
  Kind kind = Kind::whole;
  bool negative = false;
  uint64_t magnitude = 0;
};
template <typename F>
[[nodiscard]] Integer to_integer(typename F::Bits a);

extern template struct Float<Binary32>;
extern template struct Float<Binary64>;
extern template Integer to_integer<Binary32>(uint32_t);
extern template Integer to_integer<Binary64>(uint64_t);

using F32 = Float<Binary32>;
using F64 = Float<Binary64>;

}  // namespace phase::reference
