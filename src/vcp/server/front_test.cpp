#include "vcp/server/front.h"

#include <gtest/gtest.h>

namespace phase::vcp {
namespace {

constexpr FrontKey kKey{1, 2, 3};

std::string line_of(std::string_view client) {
  const std::string whole = introduction(kKey, client);
  EXPECT_EQ(whole.front(), '\0');
  EXPECT_EQ(whole.back(), '\n');
  return whole.substr(1, whole.size() - 2);
}

TEST(Introduction, NamesTheClient) {
  for (const char* client : {"203.0.113.9", "2001:db8::1"}) {
    EXPECT_EQ(introduced(kKey, line_of(client)), client);
  }
}

TEST(Introduction, OfSomebodyElseIsNone) {
  const std::string line = line_of("203.0.113.9");
  EXPECT_FALSE(introduced(FrontKey{}, line)) << "another key";
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string changed = line;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(introduced(kKey, changed)) << i;
  }
  for (const char* other : {"", "PHASE/1", "PHASE/1 ", "PHASE/1  ", "GET / HTTP/1.1"}) {
    EXPECT_FALSE(introduced(kKey, other)) << other;
  }
}

TEST(FrontAddress, IsAHostAndAPort) {
  const auto plain = front_address("db.internal:3000");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "db.internal");
  EXPECT_EQ(plain->port, 3000);
  const auto six = front_address("[::1]:80");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  for (const char* other : {"", "host", "host:", ":80", "host:0", "host:65536", "host:8x"}) {
    EXPECT_FALSE(front_address(other)) << other;
  }
}

}  // namespace
}  // namespace phase::vcp
