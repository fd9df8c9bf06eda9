#include "proof/reference/float.h"

#include <bit>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace phase::reference {
namespace {

// The machine's own floats, which round to nearest even, are the other side of every comparison.
template <typename F>
struct Native;
template <>
struct Native<Binary32> {
  using Type = float;
};
template <>
struct Native<Binary64> {
  using Type = double;
};

template <typename F>
class FloatTest : public testing::Test {
 public:
  using Of = Float<F>;
  using Bits = typename F::Bits;
  using Machine = typename Native<F>::Type;
  static constexpr int kRounds = 400'000;

  static Machine machine(Bits bits) { return std::bit_cast<Machine>(bits); }
  static Bits bits(Machine value) {
    const auto out = std::bit_cast<Bits>(value);
    return Of::is_nan(out) ? Of::kNan : out;
  }

  Bits next() {
    const std::uint64_t raw = random_();
    const auto out = static_cast<Bits>(raw >> 4);
    switch (raw % 8) {
      case 0:  // near the edges of the exponent
        return (out & ~(Of::kInfinity)) | Bits{1} << F::kFraction;
      case 1:
        return (out & ~Of::kInfinity);
      case 2:  // few bits of fraction: ties
        return out & ~(Of::kFractionMask >> 3);
      case 3: {  // exponents close to each other
        const Bits near = static_cast<Bits>(Of::kBias - 4 + (raw >> 60)) << F::kFraction;
        return (out & ~Of::kInfinity) | near;
      }
      case 4:
        return kEdges[raw / 8 % std::size(kEdges)];
      default:
        return static_cast<Bits>(raw ^ raw << 13);
    }
  }

  static constexpr Bits kEdges[] = {0,
                                    Of::kSign,
                                    1,
                                    Of::kSign | 1,
                                    Of::kFractionMask,
                                    Of::kFractionMask + 1,
                                    Of::kInfinity - 1,
                                    Of::kInfinity,
                                    Of::kSign | Of::kInfinity,
                                    Of::kNan,
                                    Of::kInfinity | 1,
                                    static_cast<Bits>(Of::kBias) << F::kFraction};

 private:
  std::mt19937_64 random_{20'261'122};
};

using Formats = testing::Types<Binary32, Binary64>;
TYPED_TEST_SUITE(FloatTest, Formats);

TYPED_TEST(FloatTest, OperationsOfTwoAreTheMachines) {
  using Rules = typename TestFixture::Of;
  for (int i = 0; i < TestFixture::kRounds; ++i) {
    const auto a = this->next();
    const auto b = this->next();
    const auto x = this->machine(a);
    const auto y = this->machine(b);
    ASSERT_EQ(Rules::add(a, b), this->bits(x + y)) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::sub(a, b), this->bits(x - y)) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::mul(a, b), this->bits(x * y)) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::div(a, b), this->bits(x / y)) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::eq(a, b), x == y) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::lt(a, b), x < y) << std::hex << +a << " " << +b;
    ASSERT_EQ(Rules::le(a, b), x <= y) << std::hex << +a << " " << +b;
  }
}

TYPED_TEST(FloatTest, OperationsOfOneAreTheMachines) {
  using Rules = typename TestFixture::Of;
  for (int i = 0; i < TestFixture::kRounds; ++i) {
    const auto a = this->next();
    const auto x = this->machine(a);
    ASSERT_EQ(Rules::sqrt(a), this->bits(std::sqrt(x))) << std::hex << +a;
    ASSERT_EQ(Rules::ceil(a), this->bits(std::ceil(x))) << std::hex << +a;
    ASSERT_EQ(Rules::floor(a), this->bits(std::floor(x))) << std::hex << +a;
    ASSERT_EQ(Rules::trunc(a), this->bits(std::trunc(x))) << std::hex << +a;
    ASSERT_EQ(Rules::nearest(a), this->bits(std::nearbyint(x))) << std::hex << +a;
  }
}

TYPED_TEST(FloatTest, IntegersBecomeTheNearest) {
  using Rules = typename TestFixture::Of;
  using Value = typename TestFixture::Machine;
  for (int i = 0; i < TestFixture::kRounds; ++i) {
    const std::uint64_t raw = std::uint64_t{this->next()} * 0x9E3779B97F4A7C15U >> (i % 64);
    ASSERT_EQ(Rules::from_integer(raw, false), this->bits(static_cast<Value>(raw))) << raw;
    const auto below = static_cast<std::int64_t>(raw);
    const bool negative = below < 0;
    ASSERT_EQ(Rules::from_integer(negative ? ~raw + 1 : raw, negative),
              this->bits(static_cast<Value>(below)))
        << below;
  }
}

TYPED_TEST(FloatTest, IntegersAreCut) {
  using Value = typename TestFixture::Machine;
  for (int i = 0; i < TestFixture::kRounds; ++i) {
    const auto a = this->next();
    const Value x = std::trunc(this->machine(a));
    const Integer cut = to_integer<TypeParam>(a);
    if (std::isnan(x)) {
      ASSERT_EQ(cut.kind, Integer::Kind::nan);
    } else if (std::abs(x) < std::ldexp(Value{1}, 64)) {
      ASSERT_EQ(cut.kind, Integer::Kind::whole) << std::hex << +a;
      ASSERT_EQ(cut.magnitude, static_cast<std::uint64_t>(std::abs(x))) << std::hex << +a;
    } else {
      ASSERT_EQ(cut.kind, std::signbit(x) ? Integer::Kind::below : Integer::Kind::above);
    }
  }
}

TYPED_TEST(FloatTest, MinAndMaxKnowTheSignOfZero) {
  using Rules = typename TestFixture::Of;
  EXPECT_EQ(Rules::min(0, Rules::kSign), Rules::kSign);
  EXPECT_EQ(Rules::max(Rules::kSign, 0), 0U);
  for (int i = 0; i < TestFixture::kRounds; ++i) {
    const auto a = this->next();
    const auto b = this->next();
    const bool nan = Rules::is_nan(a) || Rules::is_nan(b);
    const auto low = Rules::min(a, b);
    const auto high = Rules::max(a, b);
    if (nan) {
      ASSERT_EQ(low, Rules::kNan);
      ASSERT_EQ(high, Rules::kNan);
      continue;
    }
    ASSERT_TRUE((low == a && high == b) || (low == b && high == a));
    ASSERT_TRUE(Rules::le(low, high));
  }
}

TEST(FloatWidthTest, PromotionAndDemotionAreTheMachines) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 400'000; ++i) {
    std::uint64_t raw = random();
    const auto narrow = static_cast<std::uint32_t>(raw);
    const double wide = std::bit_cast<float>(narrow);
    ASSERT_EQ(promote(narrow), std::isnan(wide) ? F64::kNan : std::bit_cast<std::uint64_t>(wide));
    if (i % 2 == 0) {  // where a float is: most doubles are beyond
      raw = (raw & ~F64::kInfinity) | (raw % 300 + 1023 - 160) << 52;
    }
    const auto cut = static_cast<float>(std::bit_cast<double>(raw));
    ASSERT_EQ(demote(raw), std::isnan(cut) ? F32::kNan : std::bit_cast<std::uint32_t>(cut))
        << std::hex << raw;
  }
}

}  // namespace
}  // namespace phase::reference
