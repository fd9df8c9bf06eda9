#include "lucid/options.h"

#include <limits>

#include <gtest/gtest.h>

namespace phase::lucid {
namespace {

TEST(KeepAlive, IsReadAsOllamaReadsIt) {
  const std::pair<const char*, Duration> cases[] = {{"5m", 300s},
                                                    {"1h30m", 5400s},
                                                    {"10s", 10s},
                                                    {"500ms", 500ms},
                                                    {"0", 0s},
                                                    {"300", 300s},
                                                    {"1.5m", 90s},
                                                    {"+2s", 2s},
                                                    {"-1", kKeepForEver},
                                                    {"-5m", kKeepForEver},
                                                    {"9999999h", kKeepForEver}};
  for (const auto& [text, wanted] : cases) {
    ASSERT_TRUE(keep_alive_of(text)) << text;
    EXPECT_EQ(*keep_alive_of(text), wanted) << text;
  }
  for (const char* text :
       {"", "-", "+", "m", "5x", "5 m", "1e99", "nan", "inf", "infs", "1m2", "--1", "5m-1s"}) {
    EXPECT_FALSE(keep_alive_of(text)) << text;
  }
  EXPECT_EQ(keep_alive_of(-3.0), kKeepForEver);
  EXPECT_EQ(keep_alive_of(2.5), Duration{2500ms});
  EXPECT_FALSE(keep_alive_of(std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace
}  // namespace phase::lucid
