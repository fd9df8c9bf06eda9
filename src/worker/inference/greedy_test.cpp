#include "worker/inference/greedy.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace phase::worker::inference {
namespace {

// As it is defined: every logit by itself.
std::int32_t slowly(const Penalties& penalties, const std::vector<std::int32_t>& said,
                    const std::vector<float>& logits) {
  std::int32_t best = 0;
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t token = 0; token < logits.size(); token++) {
    float logit = logits[token];
    std::size_t count = 0;
    for (std::size_t back = 0; back < std::min(penalties.last, said.size()); back++) {
      count += said[said.size() - 1 - back] == static_cast<std::int32_t>(token) ? 1 : 0;
    }
    if (count > 0) {
      logit = logit <= 0 ? logit * penalties.repeat : logit / penalties.repeat;
      logit = logit - static_cast<float>(count) * penalties.frequency - penalties.presence;
    }
    if (logit > most) {
      most = logit;
      best = static_cast<std::int32_t>(token);
    }
  }
  return best;
}

RC_GTEST_PROP(Greedy, ChoosesWhatThePenaltiesLeaveLargest, ()) {
  const auto size = *rc::gen::inRange<std::size_t>(1, 100);
  Penalties penalties;
  penalties.last = *rc::gen::inRange<std::size_t>(0, 9);
  penalties.repeat = static_cast<float>(*rc::gen::inRange(5, 30)) / 10;
  penalties.frequency = static_cast<float>(*rc::gen::inRange(-5, 5)) / 4;
  penalties.presence = static_cast<float>(*rc::gen::inRange(-5, 5)) / 4;
  Greedy greedy(penalties);
  std::vector<std::int32_t> said;
  for (int round = 0; round < 12; round++) {
    std::vector<float> logits(size);
    for (float& logit : logits) logit = static_cast<float>(*rc::gen::inRange(-40, 40)) / 8;
    const std::vector<float> before = logits;
    const std::int32_t chosen = greedy.choose(logits);
    RC_ASSERT(logits == before);
    RC_ASSERT(chosen == slowly(penalties, said, logits));
    greedy.accept(chosen);
    said.push_back(chosen);
  }
}

TEST(Greedy, TokensOutsideTheVocabularyCountForNothing) {
  Greedy greedy({4, 2.0F, 0, 0});
  greedy.accept(-1);
  greedy.accept(1'000'000);
  std::vector<float> logits{1, 3, 2};
  EXPECT_EQ(greedy.choose(logits), 1);
}

TEST(Greedy, ALogitThatIsNoNumberEndsNothing) {
  const Greedy greedy({});
  std::vector<float> logits(40, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(greedy.choose(logits), 0);
  logits[7] = -3;
  EXPECT_EQ(greedy.choose(logits), 7);
}

}  // namespace
}  // namespace phase::worker::inference
