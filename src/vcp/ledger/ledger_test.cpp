#include "vcp/ledger/ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace phase::vcp {
namespace {

constexpr UtcTime kNow{1'700'000'000'000};

Transfer transfer(TransferKind kind, std::string from, std::string to, Credits amount) {
  return {kind, std::move(from), std::move(to), amount, "about"};
}

TEST(Ledger, MovesWhatAnAccountHoldsAndNoMore) {
  Book book;
  ASSERT_TRUE(book.apply(transfer(TransferKind::grant, std::string(kMint), "user:a", 100), kNow));
  ASSERT_TRUE(book.apply(transfer(TransferKind::escrow, "user:a", "escrow:t", 60), kNow));
  EXPECT_EQ(book.balance("user:a"), 40U);
  const auto more = book.apply(transfer(TransferKind::escrow, "user:a", "escrow:u", 41), kNow);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::busy);
  EXPECT_NE(more.error().message.find("40"), std::string::npos);
  EXPECT_EQ(book.sequence(), 2U);
  EXPECT_EQ(book.sum(), 100U);
}

TEST(Ledger, RefusesNothingAndItself) {
  Book book;
  ASSERT_TRUE(book.apply(transfer(TransferKind::grant, std::string(kMint), "user:a", 100), kNow));
  EXPECT_FALSE(book.apply(transfer(TransferKind::pay, "user:a", "user:b", 0), kNow));
  EXPECT_FALSE(book.apply(transfer(TransferKind::pay, "user:a", "user:a", 5), kNow));
  EXPECT_FALSE(
      book.apply(transfer(TransferKind::grant, std::string(kMint), "user:a", kGrantedMax), kNow));
  EXPECT_EQ(book.balance("user:a"), 100U);
}

/// Whatever is asked for, in whatever order: the sum of balances is what was granted, and a second
/// book that reads the entries stands where the first one does.
RC_GTEST_PROP(Ledger, CreditsAreConserved, ()) {
  Book book;
  std::vector<Entry> entries;
  const auto steps = *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
      rc::gen::tuple(rc::gen::inRange(0, 6), rc::gen::inRange(0, 6), rc::gen::inRange(0, 50)));
  for (const auto& [from, to, amount] : steps) {
    const std::string source = from == 0 ? std::string(kMint) : "user:" + std::to_string(from);
    auto entry = book.apply(transfer(TransferKind::pay, source, "user:" + std::to_string(to),
                                     static_cast<Credits>(amount)),
                            kNow);
    if (entry) entries.push_back(*entry);
    RC_ASSERT(book.sum() == book.granted());
  }
  Book again;
  for (const Entry& entry : entries) {
    auto line = parse_entry(entry_json(entry));
    RC_ASSERT(line.has_value());
    RC_ASSERT(*line == entry);
    RC_ASSERT(again.take(*line).has_value());
  }
  RC_ASSERT(again.head() == book.head());
  RC_ASSERT(again.sum() == book.sum());
}

TEST(Ledger, AChangedEntryBreaksTheChain) {
  Book book;
  std::vector<Entry> entries;
  for (int i = 1; i <= 4; ++i) {
    auto entry = book.apply(transfer(TransferKind::grant, std::string(kMint),
                                     "user:" + std::to_string(i), static_cast<Credits>(i)),
                            kNow);
    ASSERT_TRUE(entry);
    entries.push_back(*entry);
  }
  const auto check = [](const std::vector<Entry>& all) -> std::uint64_t {
    Book other;
    for (const Entry& entry : all) {
      if (!other.take(entry)) return entry.sequence;
    }
    return 0;
  };
  EXPECT_EQ(check(entries), 0U);
  auto changed = entries;
  changed[1].transfer.amount = 50;
  EXPECT_EQ(check(changed), 2U) << "its hash";
  changed[1].hash = entry_hash(changed[1]);
  EXPECT_EQ(check(changed), 3U) << "the next one's link";
  changed = entries;
  changed.erase(changed.begin() + 1);
  EXPECT_EQ(check(changed), 3U) << "a gap";
  // What is chained well may still say what cannot be.
  changed = entries;
  changed[3].sequence = 5;
  changed[3].hash = entry_hash(changed[3]);
  EXPECT_EQ(check(changed), 5U) << "its number";
  changed = entries;
  changed[3].transfer = transfer(TransferKind::pay, "user:1", "user:2", 2);
  changed[3].hash = entry_hash(changed[3]);
  EXPECT_EQ(check(changed), 4U) << "user:1 holds one credit";
}

TEST(Ledger, RefusesLinesThatAreNoEntries) {
  for (const std::string_view line :
       {"", "[]", "{}", R"({"sequence":1})", R"({"sequence":1.5,"at":1})", "not json"}) {
    EXPECT_FALSE(parse_entry(line)) << line;
  }
}

TEST(Settlement, FuelCountsWhereTwoAgreeOrItWasMeasured) {
  const std::vector<std::uint64_t> alone{5}, differ{5, 6, 7}, agree{9, 5, 9}, tie{9, 5, 9, 5};
  EXPECT_EQ(comparable_fuel(alone, std::nullopt), std::nullopt);
  EXPECT_EQ(comparable_fuel(differ, std::nullopt), std::nullopt);
  EXPECT_EQ(comparable_fuel(agree, std::nullopt), 9U);
  EXPECT_EQ(comparable_fuel(tie, std::nullopt), 5U);
  EXPECT_EQ(comparable_fuel(agree, 4), 4U);
}

TEST(Settlement, APriceNeverExceedsTheShareOfTheBid) {
  EXPECT_EQ(run_price(30, 3, std::nullopt), kRunCredits);
  EXPECT_EQ(run_price(30, 3, 1), kRunCredits + 1);
  EXPECT_EQ(run_price(30, 3, 2 * kFuelPerCredit), kRunCredits + 2);
  EXPECT_EQ(run_price(30, 3, 100 * kFuelPerCredit), 10U);
  EXPECT_EQ(run_price(2, 3, std::nullopt), 0U);
  EXPECT_EQ(usual_bid(3, 10 * kFuelPerCredit), 33U);
}

RC_GTEST_PROP(Settlement, AllPricesTogetherFitTheBid, ()) {
  const auto quorum = *rc::gen::inRange<std::uint32_t>(1, 1'001);
  const auto bid = *rc::gen::inRange<Credits>(0, 1'000'000);
  const auto fuel = *rc::gen::arbitrary<std::uint64_t>();
  RC_ASSERT(run_price(bid, quorum, fuel) * quorum <= bid);
}

}  // namespace
}  // namespace phase::vcp
