#include "policy/budget.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace phase::policy {
namespace {

identity::PublicKey key(std::uint32_t n) {
  identity::PublicKey out;
  out.value[0] = static_cast<std::uint8_t>(n);
  out.value[1] = static_cast<std::uint8_t>(n >> 8);
  out.value[2] = static_cast<std::uint8_t>(n >> 16);
  return out;
}
Instant at(Duration d) {
  return {d.count() + 1};
}

TEST(Budget, GivesAMinutesWorthAtOnceThenRefillsEvenly) {
  Budget budget({.per_key = 3, .per_peer = 100, .total = 100});
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(budget.take(key(1), key(9), at(0s)));
  }
  EXPECT_EQ(budget.take(key(1), key(9), at(0s)), Duration{20s});
  EXPECT_EQ(budget.take(key(1), key(9), at(19s)), Duration{1s});
  EXPECT_FALSE(budget.take(key(1), key(9), at(20s)));
  EXPECT_TRUE(budget.take(key(1), key(9), at(20s)));
}

TEST(Budget, CountsPeersApartFromKeys) {
  Budget budget({.per_key = 100, .per_peer = 2, .total = 100});
  EXPECT_FALSE(budget.take(key(1), key(9), at(0s)));
  EXPECT_FALSE(budget.take(key(2), key(9), at(0s)));
  EXPECT_TRUE(budget.take(key(3), key(9), at(0s)));
  EXPECT_FALSE(budget.take(key(3), key(8), at(0s)));
}

TEST(Budget, BoundsAllTogether) {
  Budget budget({.per_key = 100, .per_peer = 100, .total = 2});
  EXPECT_FALSE(budget.take(key(1), key(1), at(0s)));
  EXPECT_FALSE(budget.take(key(2), key(2), at(0s)));
  EXPECT_EQ(budget.take(key(3), key(3), at(0s)), Duration{30s});
}

TEST(Budget, ARefusalTakesNothing) {
  Budget budget({.per_key = 1, .per_peer = 2, .total = 100});
  EXPECT_FALSE(budget.take(key(1), key(9), at(0s)));
  EXPECT_TRUE(budget.take(key(1), key(9), at(0s)));   // the key's is empty
  EXPECT_FALSE(budget.take(key(2), key(9), at(0s)));  // so the peer's still had one
}

TEST(Budget, ZeroMeansNone) {
  Budget budget({.per_key = 0, .per_peer = 10, .total = 10});
  EXPECT_TRUE(budget.take(key(1), key(1), at(0s)));
  EXPECT_TRUE(budget.take(key(1), key(1), at(3600s)));
}

TEST(Budget, AFullTableForgetsNoDebt) {
  Budget budget({.per_key = 1, .per_peer = 1'000, .total = 1'000, .buckets_max = 4});
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_FALSE(budget.take(key(i), key(99), at(0s)));
  }
  EXPECT_TRUE(budget.take(key(5), key(99), at(1s)));    // no place
  EXPECT_TRUE(budget.take(key(0), key(99), at(2s)));    // still in debt
  EXPECT_FALSE(budget.take(key(5), key(99), at(61s)));  // the others refilled and were forgotten
  EXPECT_LE(budget.buckets(), 5U);
}

TEST(Budget, NeverGrantsMoreThanItsRateAndNeverGrowsAboveItsTable) {
  rc::check([](const std::vector<std::pair<std::uint8_t, std::uint16_t>>& calls) {
    const BudgetLimits limits{.per_key = 7, .per_peer = 11, .total = 13, .buckets_max = 8};
    Budget budget(limits);
    Duration now{};
    std::uint64_t granted = 0;
    for (const auto& [who, passed_ms] : calls) {
      now += std::chrono::milliseconds{passed_ms};
      granted += budget.take(key(who), key(who % 3U), at(now)) ? 0 : 1;
      RC_ASSERT(budget.buckets() <= 2 * limits.buckets_max);
      const auto refilled = static_cast<std::uint64_t>(now.count()) * limits.total / 60'000'000'000;
      RC_ASSERT(granted <= limits.total + refilled);
    }
  });
}

}  // namespace
}  // namespace phase::policy
