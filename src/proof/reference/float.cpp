#include "proof/reference/float.h"

namespace phase::reference {
namespace {

/// Bit 62: where the leading bit of a significand stands between unpacking and rounding. Ten bits
/// or more below the result's last are kept, the lowest says whether anything was below it.
constexpr int kLead = 62;

/// A finite value other than zero: significand · 2^(exponent − kLead), its leading bit at kLead.
struct Parts {
  bool negative;
  int exponent;
  uint64_t significand;
};

/// a >> by, its lowest bit set when a one went lost.
constexpr uint64_t shift_right_jam(uint64_t a, int by) {
  if (by <= 0) return a;
  if (by > 63) return a != 0 ? 1 : 0;
  return a >> by | ((a << (64 - by)) != 0 ? 1 : 0);
}

constexpr int leading_zeros(uint64_t a) {
  int out = 0;
  for (int half = 32; half > 0; half /= 2) {
    if (a >> (64 - half) == 0) {
      out += half;
      a <<= half;
    }
  }
  return out;
}

/// The leading bit to kLead. `significand` is not 0 and below 2^63.
constexpr Parts normal(bool negative, int exponent, uint64_t significand) {
  const int by = leading_zeros(significand) - 1;
  return {negative, exponent - by, significand << by};
}

/// The upper half of a product, jammed.
constexpr uint64_t multiply_high(uint64_t a, uint64_t b) {
  constexpr uint64_t kLow = 0xFFFFFFFF;
  const uint64_t low = (a & kLow) * (b & kLow);
  const uint64_t one = (a >> 32) * (b & kLow) + (low >> 32);
  const uint64_t two = (a & kLow) * (b >> 32) + (one & kLow);
  const uint64_t high = (a >> 32) * (b >> 32) + (one >> 32) + (two >> 32);
  const bool rest = (low & kLow) != 0 || (two & kLow) != 0;
  return high | (rest ? 1 : 0);
}

/// IEEE 754-2019 §3.4 backwards; `a` is finite and not zero.
template <typename F>
constexpr Parts unpack(typename F::Bits a) {
  using Of = Float<F>;
  const bool negative = (a & Of::kSign) != 0;
  const int exponent = static_cast<int>((a & ~Of::kSign) >> F::kFraction);
  const uint64_t fraction = a & Of::kFractionMask;
  constexpr int kUp = kLead - F::kFraction;
  if (exponent == 0) return normal(negative, 1 - Of::kBias, fraction << kUp);  // subnormal
  return {negative, exponent - Of::kBias, (fraction | uint64_t{1} << F::kFraction) << kUp};
}

/// IEEE 754-2019 §4.3.1 roundTiesToEven, and §7.4 for what is too large.
template <typename F>
constexpr typename F::Bits pack(Parts parts) {
  using Of = Float<F>;
  using Bits = typename F::Bits;
  constexpr int kDown = kLead - F::kFraction;
  const Bits sign = parts.negative ? Of::kSign : 0;
  int biased = parts.exponent + Of::kBias;
  uint64_t significand = parts.significand;
  if (biased < 1) {  // subnormal, or zero after rounding
    significand = shift_right_jam(significand, 1 - biased);
    biased = 0;
  }
  if (biased >= Of::kExponentMax) return sign | Of::kInfinity;
  constexpr uint64_t kHalf = uint64_t{1} << (kDown - 1);
  const uint64_t rest = significand & (2 * kHalf - 1);
  uint64_t kept = significand >> kDown;
  if (rest > kHalf || (rest == kHalf && (kept & 1) != 0)) ++kept;
  // A carry out of the fraction goes into the exponent, as it should, up to infinity.
  const uint64_t lead = biased == 0 ? 0 : uint64_t{1} << F::kFraction;
  return sign | static_cast<Bits>((static_cast<uint64_t>(biased) << F::kFraction) + (kept - lead));
}

/// |a| + |b| with the sign given, or |a| − |b| with a's.
template <typename F>
typename F::Bits add_parts(Parts a, Parts b) {
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand)) {
    const Parts swapped = a;
    a = b;
    b = swapped;
  }
  b.significand = shift_right_jam(b.significand, a.exponent - b.exponent);
  if (a.negative == b.negative) {
    const uint64_t sum = a.significand + b.significand;  // below 2^64
    const bool carry = sum >> 63 != 0;
    return pack<F>(
        {a.negative, a.exponent + (carry ? 1 : 0), carry ? shift_right_jam(sum, 1) : sum});
  }
  const uint64_t difference = a.significand - b.significand;
  if (difference == 0) return 0;  // +0 unless rounding down (§6.3)
  return pack<F>(normal(a.negative, a.exponent, difference));
}

/// Cuts `a` to an integral value; `up(sign, last kept bit, rest compared with a half)` says whether
/// its magnitude then grows by one. `order` is −1, 0 or 1 for a rest below, at or above a half, and
/// the rest is not 0.
template <typename F, typename Up>
typename F::Bits to_integral(typename F::Bits a, Up up) {
  using Of = Float<F>;
  using Bits = typename F::Bits;
  if (Of::is_nan(a)) return Of::kNan;
  const Bits sign = a & Of::kSign;
  const Bits magnitude = a & ~Of::kSign;
  const int exponent = static_cast<int>(magnitude >> F::kFraction) - Of::kBias;
  if (exponent >= F::kFraction || magnitude == 0) return a;
  const bool negative = sign != 0;
  if (exponent < 0) {  // below one: becomes 0 or 1
    constexpr Bits kHalf = Bits{Of::kBias - 1} << F::kFraction;
    const int order = magnitude < kHalf ? -1 : magnitude == kHalf ? 0 : 1;
    constexpr Bits kOne = Bits{Of::kBias} << F::kFraction;
    return sign | (up(negative, false, order) ? kOne : 0);
  }
  const int dropped = F::kFraction - exponent;
  const Bits unit = Bits{1} << dropped;
  const Bits rest = magnitude & (unit - 1);
  if (rest == 0) return a;
  const Bits half = unit >> 1;
  const int order = rest < half ? -1 : rest == half ? 0 : 1;
  const bool odd = (magnitude & unit) != 0 || (exponent == 0 && dropped == F::kFraction);
  // Adding one to the kept part carries into the exponent where it must.
  return sign | (magnitude - rest + (up(negative, odd, order) ? unit : 0));
}

}  // namespace

template <typename F>
auto Float<F>::add(Bits a, Bits b) -> Bits {
  if (is_nan(a) || is_nan(b)) return kNan;
  const bool a_infinite = (a & ~kSign) == kInfinity;
  const bool b_infinite = (b & ~kSign) == kInfinity;
  if (a_infinite && b_infinite) return a == b ? a : kNan;
  if (a_infinite) return a;
  if (b_infinite) return b;
  const bool a_zero = (a & ~kSign) == 0;
  const bool b_zero = (b & ~kSign) == 0;
  if (a_zero && b_zero) return a & b;  // −0 only of two of them
  if (a_zero) return b;
  if (b_zero) return a;
  return add_parts<F>(unpack<F>(a), unpack<F>(b));
}

template <typename F>
auto Float<F>::sub(Bits a, Bits b) -> Bits {
  return is_nan(b) ? kNan : add(a, b ^ kSign);
}

template <typename F>
auto Float<F>::mul(Bits a, Bits b) -> Bits {
  if (is_nan(a) || is_nan(b)) return kNan;
  const Bits sign = (a ^ b) & kSign;
  const Bits x = a & ~kSign;
  const Bits y = b & ~kSign;
  if (x == kInfinity || y == kInfinity) return x == 0 || y == 0 ? kNan : sign | kInfinity;
  if (x == 0 || y == 0) return sign;
  const Parts one = unpack<F>(a);
  const Parts two = unpack<F>(b);
  // 2^62 · 2^63 / 2^64: the product of two values in [1, 2) has its lead at bit 61 or 62.
  const uint64_t product = multiply_high(one.significand, two.significand << 1);
  return pack<F>(normal(sign != 0, one.exponent + two.exponent + 1, product));
}

template <typename F>
auto Float<F>::div(Bits a, Bits b) -> Bits {
  if (is_nan(a) || is_nan(b)) return kNan;
  const Bits sign = (a ^ b) & kSign;
  const Bits x = a & ~kSign;
  const Bits y = b & ~kSign;
  if (x == kInfinity) return y == kInfinity ? kNan : sign | kInfinity;
  if (y == kInfinity) return sign;
  if (y == 0) return x == 0 ? kNan : sign | kInfinity;
  if (x == 0) return sign;
  const Parts one = unpack<F>(a);
  const Parts two = unpack<F>(b);
  uint64_t rest = one.significand;
  uint64_t quotient = 0;
  for (int bit = kLead; bit >= 0; --bit) {  // long division; rest stays below 2^64
    quotient <<= 1;
    if (rest >= two.significand) {
      rest -= two.significand;
      quotient |= 1;
    }
    rest <<= 1;
  }
  quotient |= rest != 0 ? 1 : 0;
  return pack<F>(normal(sign != 0, one.exponent - two.exponent, quotient));
}

template <typename F>
auto Float<F>::sqrt(Bits a) -> Bits {
  if (is_nan(a)) return kNan;
  if ((a & ~kSign) == 0) return a;  // −0 too
  if ((a & kSign) != 0) return kNan;
  if (a == kInfinity) return a;
  const Parts parts = unpack<F>(a);
  // An even exponent; the radicand in [1, 4) has two bits before its point, at 63 and 62.
  const bool odd = (parts.exponent & 1) != 0;
  uint64_t radicand = odd ? parts.significand << 1 : parts.significand;
  constexpr int kBits = 57;  // of the root: two more than any result, the rest is jammed
  uint64_t root = 0;
  uint64_t rest = 0;
  for (int bit = 0; bit < kBits; ++bit) {  // digit by digit
    rest = rest << 2 | radicand >> 62;
    radicand <<= 2;
    const uint64_t trial = root << 2 | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  const uint64_t significand = root << (kLead + 1 - kBits) | (rest != 0 ? 1 : 0);
  return pack<F>({false, (parts.exponent - (odd ? 1 : 0)) / 2, significand});
}

template <typename F>
auto Float<F>::min(Bits a, Bits b) -> Bits {
  if (is_nan(a) || is_nan(b)) return kNan;
  if (((a | b) & ~kSign) == 0) return a | b;  // −0 is the smaller
  return lt(a, b) ? a : b;
}

template <typename F>
auto Float<F>::max(Bits a, Bits b) -> Bits {
  if (is_nan(a) || is_nan(b)) return kNan;
  if (((a | b) & ~kSign) == 0) return a & b;
  return lt(a, b) ? b : a;
}

template <typename F>
auto Float<F>::ceil(Bits a) -> Bits {
  return to_integral<F>(a, [](bool negative, bool, int) { return !negative; });
}

template <typename F>
auto Float<F>::floor(Bits a) -> Bits {
  return to_integral<F>(a, [](bool negative, bool, int) { return negative; });
}

template <typename F>
auto Float<F>::trunc(Bits a) -> Bits {
  return to_integral<F>(a, [](bool, bool, int) { return false; });
}

template <typename F>
auto Float<F>::nearest(Bits a) -> Bits {
  return to_integral<F>(a,
                        [](bool, bool odd, int order) { return order > 0 || (order == 0 && odd); });
}

template <typename F>
bool Float<F>::eq(Bits a, Bits b) {
  if (is_nan(a) || is_nan(b)) return false;
  return a == b || ((a | b) & ~kSign) == 0;
}

template <typename F>
bool Float<F>::lt(Bits a, Bits b) {
  if (is_nan(a) || is_nan(b) || ((a | b) & ~kSign) == 0) return false;
  const bool a_negative = (a & kSign) != 0;
  const bool b_negative = (b & kSign) != 0;
  if (a_negative != b_negative) return a_negative;
  return a_negative ? b < a : a < b;
}

template <typename F>
bool Float<F>::le(Bits a, Bits b) {
  return lt(a, b) || eq(a, b);
}

template <typename F>
auto Float<F>::from_integer(uint64_t magnitude, bool negative) -> Bits {
  if (magnitude == 0) return 0;
  const bool top = magnitude >> 63 != 0;
  const uint64_t significand = top ? shift_right_jam(magnitude, 1) : magnitude;
  return pack<F>(normal(negative, kLead + (top ? 1 : 0), significand));
}

template <typename F>
Integer to_integer(typename F::Bits a) {
  using Of = Float<F>;
  using Kind = Integer::Kind;
  if (Of::is_nan(a)) return {Kind::nan, false, 0};
  const bool negative = (a & Of::kSign) != 0;
  const int exponent = static_cast<int>((a & ~Of::kSign) >> F::kFraction) - Of::kBias;
  if (exponent < 0) return {Kind::whole, negative, 0};
  if (exponent > 63) return {negative ? Kind::below : Kind::above, negative, 0};
  const uint64_t significand = (a & Of::kFractionMask) | uint64_t{1} << F::kFraction;
  const int up = exponent - F::kFraction;
  return {Kind::whole, negative, up >= 0 ? significand << up : significand >> -up};
}

uint64_t promote(uint32_t a) {
  if (F32::is_nan(a)) return F64::kNan;
  const uint64_t sign = static_cast<uint64_t>(a & F32::kSign) << 32;
  const uint32_t magnitude = a & ~F32::kSign;
  if (magnitude == F32::kInfinity) return sign | F64::kInfinity;
  if (magnitude == 0) return sign;
  return pack<Binary64>(unpack<Binary32>(a));
}

uint32_t demote(uint64_t a) {
  if (F64::is_nan(a)) return F32::kNan;
  const auto sign = static_cast<uint32_t>((a & F64::kSign) >> 32);
  const uint64_t magnitude = a & ~F64::kSign;
  if (magnitude == F64::kInfinity) return sign | F32::kInfinity;
  if (magnitude == 0) return sign;
  return pack<Binary32>(unpack<Binary64>(a));
}

template struct Float<Binary32>;
template struct Float<Binary64>;
template Integer to_integer<Binary32>(uint32_t);
template Integer to_integer<Binary64>(uint64_t);

}  // namespace phase::reference
