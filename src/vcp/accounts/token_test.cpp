#include "vcp/accounts/token.h"

#include <gtest/gtest.h>

namespace phase::vcp {
namespace {

constexpr UtcTime kNow{1'767'225'600'000};

Claims claims() {
  const std::uint64_t now = kNow.unix_ms / 1000;
  return {"u-1", "ada", Role::admin, "t-1", "s-1", now, now + 900};
}

const TokenKey kKey = token_key("a secret that is long enough for a test");

// RFC 4231 §4.3, test case 2, with its key filled up to 32 bytes (HMAC pads with zeros to its
// block).
TEST(Token, HmacIsThatOfTheStandard) {
  std::array<std::uint8_t, 32> key{};
  std::ranges::copy(std::string_view{"Jefe"}, key.begin());
  EXPECT_EQ(hmac_sha256(key, "what do ya want for nothing?").hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Token, SaysWhatWasSigned) {
  const std::string token = sign_token(claims(), kKey);
  const auto read = read_token(token, kKey, kNow);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, claims());
}

TEST(Token, EndsWithItsTime) {
  const std::string token = sign_token(claims(), kKey);
  EXPECT_TRUE(read_token(token, kKey, {kNow.unix_ms + 899'000}));
  const auto over = read_token(token, kKey, {kNow.unix_ms + 900'000});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::expired);
  EXPECT_TRUE(read_token(token, kKey, {kNow.unix_ms - 59'000})) << "a clock a little behind";
  EXPECT_FALSE(read_token(token, kKey, {kNow.unix_ms - 61'000})) << "not yet issued";
}

TEST(Token, RefusesOtherKeysAndAlgorithms) {
  const std::string token = sign_token(claims(), kKey);
  const auto other = read_token(token, token_key("another secret that is long enough here"), kNow);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::unauthorized);
  // {"alg":"none"} and the same claims without a signature.
  const std::string body = token.substr(token.find('.'), token.rfind('.') - token.find('.'));
  EXPECT_FALSE(read_token("eyJhbGciOiJub25lIn0" + body + ".", kKey, kNow));
  EXPECT_FALSE(read_token("eyJhbGciOiJub25lIn0" + token.substr(token.find('.')), kKey, kNow));
}

TEST(Token, RefusesEveryTurnedBit) {
  const std::string token = sign_token(claims(), kKey);
  for (std::size_t i = 0; i < token.size() * 8; ++i) {
    std::string turned = token;
    turned[i / 8] = static_cast<char>(turned[i / 8] ^ (1 << i % 8));
    EXPECT_FALSE(read_token(turned, kKey, kNow)) << i;
  }
  EXPECT_FALSE(read_token(token + "=", kKey, kNow));
  EXPECT_FALSE(read_token(token.substr(0, token.size() - 1), kKey, kNow));
  EXPECT_FALSE(read_token("", kKey, kNow));
  EXPECT_FALSE(read_token("..", kKey, kNow));
  EXPECT_FALSE(read_token(std::string(kTokenBytesMax + 1, 'a'), kKey, kNow));
}

}  // namespace
}  // namespace phase::vcp
