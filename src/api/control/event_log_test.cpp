#include "api/control/event_log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace phase::control {
namespace {

using job::OutputStream;

std::shared_ptr<TranscriptBudget> budget(std::uint64_t max) {
  return std::make_shared<TranscriptBudget>(TranscriptBudget{0, max});
}

TEST(EventLog, JoinsOutputThatNobodyWasShown) {
  EventLog log(budget(1_MiB));
  ASSERT_TRUE(log.add_output(OutputStream::out, as_bytes("a")));
  ASSERT_TRUE(log.add_output(OutputStream::out, as_bytes("b")));
  EXPECT_EQ(log.size(), 1U);
  ASSERT_NE(log.next(0), nullptr);
  EXPECT_EQ(as_text(log.next(0)->output), "ab");
  ASSERT_TRUE(log.add_output(OutputStream::out, as_bytes("c")));
  EXPECT_EQ(log.size(), 2U) << "what was shown does not change any more";
  ASSERT_TRUE(log.add_output(OutputStream::err, as_bytes("d")));
  EXPECT_EQ(log.size(), 3U);
  EXPECT_EQ(as_text(log.next(1)->output), "c");
  EXPECT_EQ(log.next(3), nullptr);
}

TEST(EventLog, RestartForgetsOutputAndKeepsIds) {
  const auto shared = budget(1_MiB);
  EventLog log(shared);
  log.add("state", "{}");
  ASSERT_TRUE(log.add_output(OutputStream::out, Bytes(1000)));
  const std::uint64_t before = log.last_id();
  const std::uint64_t used = shared->used;
  log.restart();
  EXPECT_LT(shared->used, used);
  EXPECT_EQ(log.output_bytes(), 0U);
  ASSERT_NE(log.next(1), nullptr);
  EXPECT_EQ(log.next(1)->name, "restart");
  EXPECT_GT(log.next(1)->id, before) << "an id is never given twice";
}

TEST(EventLog, StopsAtTheBudgetAndGivesItBack) {
  const auto shared = budget(1000);
  {
    EventLog one(shared);
    ASSERT_TRUE(one.add_output(OutputStream::out, Bytes(600)));
    EventLog two(shared);
    EXPECT_FALSE(two.add_output(OutputStream::out, Bytes(600)));
    EXPECT_EQ(two.size(), 0U);
  }
  EXPECT_EQ(shared->used, 0U);
}

TEST(EventLog, TranscriptsSurviveTheStore) {
  rc::check([](const std::vector<std::pair<bool, std::string>>& writes) {
    EventLog log(budget(64_MiB));
    std::uint64_t shown = 0;
    for (const auto& [to_out, text] : writes) {
      RC_ASSERT(log.add_output(to_out ? OutputStream::out : OutputStream::err, as_bytes(text)));
      if (text.size() % 2 == 0) {
        log.add("state", "{}");
        shown = log.next(shown)->id;
      }
    }
    EventLog back(budget(64_MiB));
    RC_ASSERT(decode_outputs(encode_outputs(log.entries()), back).has_value());
    std::size_t at = 0;
    for (const EventLog::Entry& entry : log.entries()) {
      if (entry.name == "output") {
        RC_ASSERT(back.entries().at(at).id == entry.id);
        RC_ASSERT(back.entries().at(at).stream == entry.stream);
        RC_ASSERT(back.entries().at(at).output == entry.output);
        ++at;
      }
    }
    RC_ASSERT(at == back.size());
  });
}

TEST(EventLog, RefusesATranscriptOfTheWrongForm) {
  EventLog log(budget(1_MiB));
  ASSERT_TRUE(log.add_output(OutputStream::out, as_bytes("abc")));
  const Bytes good = encode_outputs(log.entries());
  for (std::size_t cut = 1; cut < good.size(); ++cut) {
    EventLog back(budget(1_MiB));
    EXPECT_EQ(decode_outputs(ByteView{good}.first(cut), back).error().code, Code::malformed) << cut;
  }
  Bytes bad_stream = good;
  bad_stream[8] = 3;
  EventLog back(budget(1_MiB));
  EXPECT_EQ(decode_outputs(bad_stream, back).error().code, Code::malformed);
  Bytes huge = good;
  huge[9] = 0xff;
  EventLog other(budget(1_MiB));
  EXPECT_EQ(decode_outputs(huge, other).error().code, Code::malformed);
  Bytes twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  EventLog third(budget(1_MiB));
  EXPECT_EQ(decode_outputs(twice, third).error().code, Code::malformed) << "ids must ascend";
}

}  // namespace
}  // namespace phase::control
