#include "base/cbor.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace phase {
namespace {

Bytes hex(std::string_view text) {
  return from_hex(text).value();
}

// RFC 8949 appendix A, the rows inside our subset.
TEST(Cbor, WritesTheExamplesOfRfc8949) {
  EXPECT_EQ(to_hex(CborWriter().uint(23).view()), "17");
  EXPECT_EQ(to_hex(CborWriter().uint(24).view()), "1818");
  EXPECT_EQ(to_hex(CborWriter().uint(1000).view()), "1903e8");
  EXPECT_EQ(to_hex(CborWriter().uint(1000000).view()), "1a000f4240");
  EXPECT_EQ(to_hex(CborWriter().uint(18446744073709551615ULL).view()), "1bffffffffffffffff");
  EXPECT_EQ(to_hex(CborWriter().integer(-1).view()), "20");
  EXPECT_EQ(to_hex(CborWriter().integer(-1000).view()), "3903e7");
  EXPECT_EQ(to_hex(CborWriter().text("\u00fc").view()), "62c3bc");
  EXPECT_EQ(to_hex(CborWriter().array(2).boolean(false).null().view()), "82f4f6");
}

TEST(Cbor, RefusesEverySecondSpelling) {
  for (const char* bad : {
           "1800",        // 0 in two bytes
           "1900ff",      // 255 in three
           "1a0000ffff",  // 65535 in five
           "1b00000000ffffffff",
           "9fff",                // indefinite array
           "5f4100ff",            // indefinite string
           "fb3ff0000000000000",  // float
           "f7",                  // undefined
           "f800",                // two-byte simple
           "1c",                  // reserved head
           "a201020100",          // key twice… descending
           "a2010201ff",          // key twice
           "62c080",              // text not UTF-8
           "8201",                // array ends early
           "0000",                // bytes behind the item
           "c100",                // a tag inside
           "",
       }) {
    EXPECT_EQ(cbor_check(hex(bad)).error().code, Code::malformed) << bad;
  }
}

TEST(Cbor, DeclaredCountsAllocateNothing) {
  const Bytes huge_raw = hex("9bffffffffffffffff00");
  CborReader huge(huge_raw);
  EXPECT_FALSE(huge.array().has_value());
  const Bytes map_raw = hex("bbffffffffffffffff00");
  CborReader map(map_raw);
  EXPECT_FALSE(map.map().has_value());
  const Bytes text_raw = hex("5bffffffffffffffff00");
  CborReader text(text_raw);
  EXPECT_FALSE(text.bytes().has_value());
}

TEST(Cbor, DepthIsBounded) {
  Bytes nested(static_cast<std::size_t>(kCborDepthMax) - 1, 0x81);
  nested.push_back(0x00);
  EXPECT_TRUE(cbor_check(nested).has_value());
  nested.insert(nested.begin(), 0x81);
  EXPECT_FALSE(cbor_check(nested).has_value());
}

TEST(CborMap, RefusesUnknownMissingAndUnorderedKeys) {
  const auto read = [](std::string_view text, bool ignore) -> Result<std::uint64_t> {
    const Bytes raw = hex(text);
    CborReader reader(raw);
    PHASE_TRY(CborMap map, CborMap::open(reader));
    PHASE_TRY(CborReader * at, map.required(1));
    PHASE_TRY(std::uint64_t sum, at->uint());
    if (map.optional(3)) {
      PHASE_TRY(const std::uint64_t more, reader.uint());
      sum += more;
    }
    PHASE_TRY_VOID(ignore ? map.close_ignoring_unknown() : map.close());
    return sum;
  };
  EXPECT_EQ(read("a10105", false).value(), 5U);
  EXPECT_EQ(read("a201050306", false).value(), 11U);
  EXPECT_FALSE(read("a20105020f", false).has_value());       // unknown 2
  EXPECT_EQ(read("a30105030604a10102", true).value(), 11U);  // unknown 4, ignored
  EXPECT_FALSE(read("a30105030604a10102", false).has_value());
  EXPECT_FALSE(read("a10305", false).has_value());      // missing 1
  EXPECT_FALSE(read("a203060105", false).has_value());  // descending
  EXPECT_FALSE(read("a201050105", false).has_value());  // twice
}

RC_GTEST_PROP(Cbor, IntegersRoundTrip, (std::int64_t value, std::uint64_t natural)) {
  const Bytes raw = CborWriter().integer(value).uint(natural).take();
  CborReader reader(raw);
  RC_ASSERT(reader.integer().value() == value);
  RC_ASSERT(reader.uint().value() == natural);
  RC_ASSERT(reader.finish().has_value());
}

RC_GTEST_PROP(Cbor, ByteStringsRoundTripAndAnyCutIsRefused, (const Bytes& value)) {
  const Bytes raw = CborWriter().bytes(value).take();
  CborReader reader(raw);
  RC_ASSERT(to_bytes(reader.bytes().value()) == value);
  for (std::size_t cut = 0; cut < raw.size(); ++cut) {
    RC_ASSERT(!cbor_check(ByteView(raw).first(cut)).has_value());
  }
}

}  // namespace
}  // namespace phase
