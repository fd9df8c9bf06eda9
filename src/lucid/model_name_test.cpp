#include "lucid/model_name.h"

#include <gtest/gtest.h>

namespace phase::lucid {
namespace {

TEST(ModelName, HasOneSpelling) {
  const std::pair<const char*, const char*> cases[] = {
      {"tiny", "tiny:latest"},
      {"Tiny:Q8_0", "tiny:q8_0"},
      {"library/tiny", "tiny:latest"},
      {"someone/tiny", "someone/tiny:latest"},
      {"registry.example/someone/tiny:x", "someone/tiny:x"},
      {"registry.example:5000/library/tiny", "tiny:latest"},
  };
  for (const auto& [written, spelled] : cases) {
    const auto name = ModelName::parse(written);
    ASSERT_TRUE(name) << written;
    EXPECT_EQ(name->text(), spelled);
    EXPECT_EQ(ModelName::parse(name->text())->text(), spelled);
  }
}

TEST(ModelName, RefusesWhatCouldBeAPath) {
  for (const char* written : {"", ":", "a:", ":b", "/", "a/", "/a", "..", "../a", "a/..", ".a",
                              "-a", "a b", "a\\b", "a:b/c:", "a\n", "\xc3\xa4"}) {
    EXPECT_FALSE(ModelName::parse(written)) << written;
  }
  EXPECT_FALSE(ModelName::parse(std::string(kModelNameBytesMax + 1, 'a')));
  EXPECT_FALSE(ModelName::parse(std::string(kModelPartBytesMax + 1, 'a')));
}

}  // namespace
}  // namespace phase::lucid
