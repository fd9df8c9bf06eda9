// Whole stories from seeds. PHASE_SIM_SEEDS: how many (default 200). PHASE_SIM_SEED: only this one.
#include "tests/simulation/scenario.h"

#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

namespace phase::simulation {
namespace {

constexpr std::uint64_t kSeedsDefault = 200;
constexpr std::uint64_t kSeedsTwice = 30;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string replay_command(std::uint64_t seed) {
  return "PHASE_SIM_SEED=" + std::to_string(seed) + " " + PHASE_BINARY_DIR +
         "/tests/simulation/simulation_test --gtest_filter=Scenario.HoldsForEverySeed";
}

TEST(Scenario, HoldsForEverySeed) {
  const std::uint64_t only = number_from("PHASE_SIM_SEED", 0);
  const std::uint64_t first = only > 0 ? only : 1;
  const std::uint64_t count = only > 0 ? 1 : number_from("PHASE_SIM_SEEDS", kSeedsDefault);
  Report total;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Report report = play_scenario(seed, only > 0);
    total.verified += report.verified;
    total.refused += report.refused;
    total.errors += report.errors;
    total.cancelled += report.cancelled;
    for (const std::string& what : report.broken) {
      ADD_FAILURE() << "seed " << seed << ": " << what << "\nreplay: " << replay_command(seed);
    }
    if (::testing::Test::HasFailure()) break;
  }
  std::cout << count << " seeds: " << total.verified << " verified, " << total.refused
            << " refused, " << total.errors << " errors, " << total.cancelled << " cancelled\n";
  // A run in which nothing happens proves nothing.
  if (count < kSeedsDefault) return;
  for (const std::size_t some : {total.verified, total.refused, total.errors, total.cancelled}) {
    EXPECT_GT(some, count / 100);
  }
}

TEST(Scenario, TheSameSeedIsTheSameStory) {
  for (std::uint64_t seed = 1; seed <= kSeedsTwice; ++seed) {
    EXPECT_EQ(play_scenario(seed).trace, play_scenario(seed).trace) << "seed " << seed;
  }
  EXPECT_NE(play_scenario(1).trace, play_scenario(2).trace);
}

}  // namespace
}  // namespace phase::simulation
