// What is kept of modules, what goes, and what a restart remembers.
#include "node/module_index.h"

#include <gtest/gtest.h>

namespace phase::node {
namespace {

job::ArtifactRef of(std::string_view content) {
  return job::reference(as_bytes(content));
}

TEST(ModuleIndex, TheOneNotUsedForLongestGoesFirst) {
  ModuleIndex index(10);
  EXPECT_TRUE(index.add(of("aaaa")).empty());
  EXPECT_TRUE(index.add(of("bbbb")).empty());
  EXPECT_TRUE(index.use(of("aaaa").id));
  const auto gone = index.add(of("cccc"));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone.front(), of("bbbb"));
  EXPECT_FALSE(index.use(of("bbbb").id));
  EXPECT_FALSE(index.holds(of("bbbb").sha256));
  EXPECT_TRUE(index.holds(of("aaaa").sha256));
  EXPECT_EQ(index.bytes(), 8U);
}

TEST(ModuleIndex, AddingOneAgainCountsOnce) {
  ModuleIndex index(10);
  EXPECT_TRUE(index.add(of("aaaa")).empty());
  EXPECT_TRUE(index.add(of("aaaa")).empty());
  EXPECT_EQ(index.bytes(), 4U);
  EXPECT_EQ(index.all().size(), 1U);
}

TEST(ModuleIndex, TheNewestStaysHoweverLarge) {
  ModuleIndex index(2);
  EXPECT_TRUE(index.add(of("aaaa")).empty());
  EXPECT_EQ(index.add(of("bbbb")).size(), 1U);
  EXPECT_TRUE(index.use(of("bbbb").id));
}

TEST(ModuleIndex, ThereAreNoMoreThanTheLimitHoweverSmall) {
  ModuleIndex index(1U << 30U);
  std::size_t gone = 0;
  for (std::size_t i = 0; i < kModulesKeptMax + 3; ++i) {
    gone += index.add(of(std::to_string(i))).size();
  }
  EXPECT_EQ(gone, 3U);
  EXPECT_EQ(index.all().size(), kModulesKeptMax);
  EXPECT_LE(index.text().size(), kIndexBytesMax);
}

TEST(ModuleIndex, ARestartRemembersAllInOrderOfUse) {
  ModuleIndex before(100);
  for (const auto* const content : {"a", "bb", "ccc"}) static_cast<void>(before.add(of(content)));
  ASSERT_TRUE(before.use(of("a").id));
  ModuleIndex after(100);
  after.read(before.text());
  EXPECT_EQ(after.all(), before.all());
  EXPECT_EQ(after.bytes(), 6U);
  EXPECT_EQ(after.all().front(), of("a"));
}

TEST(ModuleIndex, LinesOfOtherHandsAreLeftOut) {
  ModuleIndex index(100);
  const std::string good = of("a").id.hex() + " " + of("a").sha256.hex() + " 1";
  const std::string hash(64, 'a');
  const std::string too_large = hash + " " + hash + " 52428801";
  const std::string no_number = hash + " " + hash + " 1x";
  for (const std::string& bad : {std::string("x"), hash, hash + " " + hash, hash + " " + hash + " ",
                                 too_large, no_number, std::string(300, ' ')}) {
    index.read(bad + "\n" + bad);
    EXPECT_TRUE(index.all().empty()) << bad;
  }
  index.read("\n\n" + no_number + "\n" + good);
  EXPECT_EQ(index.all().size(), 1U);
}

}  // namespace
}  // namespace phase::node
