#include "protocol/requester/record.h"

#include <gtest/gtest.h>

namespace phase::requester {
namespace {

identity::PublicKey key(std::uint64_t number) {
  identity::PublicKey out;
  for (std::size_t i = 0; i < 8; ++i) {
    out.value[i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return out;
}
constexpr Instant kStart{1'000'000};

TEST(Record, WhoFailsIsFurtherAwayUntilThatIsLongAgo) {
  Record record;
  EXPECT_EQ(record.cost(key(1), kStart), Duration{0});
  record.failed(key(1), kStart);
  const Duration once = record.cost(key(1), kStart);
  record.failed(key(1), kStart);
  const Duration twice = record.cost(key(1), kStart);
  EXPECT_GT(once, Duration{0});
  EXPECT_GT(twice, once);
  EXPECT_LT(twice, kFailureCost);
  EXPECT_LT(record.cost(key(1), kStart + 10 * kRecordHalfLife), once / 100);
  record.succeeded(key(1), std::nullopt, kStart);
  EXPECT_LT(record.cost(key(1), kStart), twice);
}

TEST(Record, WhoIsSlowIsFurtherAway) {
  Record record;
  for (int i = 0; i < 50; ++i) {
    record.succeeded(key(1), 10ms, kStart);
    record.succeeded(key(2), 300ms, kStart);
  }
  EXPECT_LT(record.cost(key(1), kStart), record.cost(key(2), kStart));
  EXPECT_EQ(record.cost(key(1), kStart), 10ms);
  for (int i = 0; i < 50; ++i) record.succeeded(key(2), 5ms, kStart);
  EXPECT_LT(record.cost(key(2), kStart), record.cost(key(1), kStart));
}

TEST(Record, AfterARefusedReceiptItComesLastForAWhile) {
  Record record;
  EXPECT_FALSE(record.comes_last(key(1), kStart));
  record.refused(key(1), kStart);
  record.succeeded(key(1), 1ms, kStart);
  EXPECT_TRUE(record.comes_last(key(1), kStart + (kRefusedWait - 1ms)));
  EXPECT_FALSE(record.comes_last(key(1), kStart + kRefusedWait));
  EXPECT_FALSE(record.comes_last(key(2), kStart));
}

TEST(Record, LateIsMeasured) {
  Record record;
  EXPECT_EQ(record.late_after(key(1)), std::nullopt);
  record.succeeded(key(1), 100ms, kStart);
  EXPECT_EQ(record.late_after(key(1)), 300ms);
  EXPECT_EQ(record.late_after(key(2)), 300ms) << "as anybody";
  for (int i = 0; i < 100; ++i) record.succeeded(key(1), 100ms, kStart);
  EXPECT_LT(*record.late_after(key(1)), 101ms) << "what is always the same is late soon";
}

TEST(Record, IsBoundedAndTheRefusedStayLongest) {
  Record record;
  record.refused(key(0), kStart);
  for (std::uint64_t i = 1; i < kRecordsMax + 100; ++i) {
    record.failed(key(i), kStart + Duration(static_cast<std::int64_t>(i)));
  }
  EXPECT_EQ(record.size(), kRecordsMax);
  EXPECT_TRUE(record.comes_last(key(0), kStart));
  EXPECT_EQ(record.cost(key(1), kStart), Duration{0}) << "forgotten";
  EXPECT_GT(record.cost(key(kRecordsMax + 99), kStart), Duration{0});
}

}  // namespace
}  // namespace phase::requester
