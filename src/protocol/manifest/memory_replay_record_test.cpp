// Goal: no job id is taken twice while its manifest could still be believed.
#include "protocol/manifest/memory_replay_record.h"

#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/fuzz/arbitrary_documents.h"

namespace phase::manifest {
namespace {

JobId id(std::uint8_t fill) {
  JobId out;
  out.value.fill(fill);
  return out;
}

TEST(MemoryReplayRecord, TakesAnIdOnce) {
  MemoryReplayRecord record({100});
  EXPECT_TRUE(record.admit(id(1), {100}, {200}, {100}).has_value());
  EXPECT_EQ(record.admit(id(1), {100}, {200}, {150}).error().code, Code::replayed);
  EXPECT_TRUE(record.admit(id(2), {100}, {200}, {150}).has_value());
}

TEST(MemoryReplayRecord, RefusesWhatIsOlderThanItself) {
  MemoryReplayRecord record({100});
  EXPECT_EQ(record.admit(id(1), {99}, {200}, {150}).error().code, Code::replayed);
}

TEST(MemoryReplayRecord, RefusesWhenFullAndForgetsOnlyWhatExpired) {
  MemoryReplayRecord record({0}, 2);
  EXPECT_TRUE(record.admit(id(1), {0}, {200}, {100}).has_value());
  EXPECT_TRUE(record.admit(id(2), {0}, {300}, {100}).has_value());
  EXPECT_EQ(record.admit(id(3), {0}, {400}, {199}).error().code, Code::busy);
  EXPECT_EQ(record.admit(id(1), {0}, {200}, {199}).error().code, Code::replayed);
  EXPECT_TRUE(record.admit(id(3), {0}, {400}, {200}).has_value());
  EXPECT_EQ(record.size(), 2U);
}

TEST(MemoryReplayRecord, AClockThatGoesBackLetsNothingInAgain) {
  MemoryReplayRecord record({0});
  EXPECT_TRUE(record.admit(id(1), {0}, {200}, {100}).has_value());
  EXPECT_TRUE(record.admit(id(2), {0}, {900}, {500}).has_value());  // forgets id 1
  EXPECT_EQ(record.size(), 1U);
  EXPECT_EQ(record.admit(id(1), {0}, {200}, {150}).error().code, Code::expired);
}

RC_GTEST_PROP(MemoryReplayRecord, NeverTakesTheSameIdTwice, ()) {
  MemoryReplayRecord record({0}, 4);
  std::map<JobId, bool> taken;
  for (auto left = arbitrary::number(0, 60); left > 0; --left) {
    const auto fill = static_cast<std::uint8_t>(arbitrary::number(0, 9));
    const UtcTime expires{100 + fill * 10ULL};  // an id covers its expiry
    const UtcTime now{arbitrary::number(80, 220)};
    if (!record.admit(id(fill), {50}, expires, now)) continue;
    RC_ASSERT(!std::exchange(taken[id(fill)], true));
  }
  RC_ASSERT(record.size() <= 4U);
}

}  // namespace
}  // namespace phase::manifest
