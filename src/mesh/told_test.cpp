#include "mesh/told.h"

#include <sstream>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

namespace phase::mesh {
namespace {

class StillClock final : public Clock {
 public:
  UtcTime now_utc() const override { return {1'000}; }
  Instant now() const override { return at; }
  Task<Result<void>> sleep_until(Instant) override { co_return Result<void>{}; }
  Instant at{1};
};

class RefuseAll final : public provider::AdmissionPolicy {
 public:
  std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest&) override {
    return provider::Refused{offer::RejectionReason::unauthorized, "line\nbreak", std::nullopt};
  }
};

TEST(ToldPolicy, BoundsTheLinesAboutRefusalsAndCountsTheRest) {
  std::ostringstream text;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
  StillClock clock;
  RefuseAll refuses;
  ToldPolicy told(refuses, clock, log);
  SystemRandom random;
  const auto key = identity::KeyPair::generate(random);
  const manifest::SignedManifest manifest{{}, key.public_key(), {}, {}};
  const auto peer = key.public_key();
  const auto lines = [&] {
    const std::string all = text.str();
    return static_cast<std::uint64_t>(std::count(all.begin(), all.end(), '\n'));
  };
  for (std::uint64_t i = 0; i < kRefusalLinesPerSecondMax + 90; ++i) {
    EXPECT_TRUE(std::holds_alternative<provider::Refused>(told.admit({manifest, peer})));
  }
  EXPECT_EQ(lines(), kRefusalLinesPerSecondMax);  // and no text of others breaks a line
  clock.at = clock.at + Duration{1s};
  static_cast<void>(told.admit({manifest, peer}));
  EXPECT_EQ(lines(), kRefusalLinesPerSecondMax + 2);
  EXPECT_NE(text.str().find("90 more refusals"), std::string::npos);
}

}  // namespace
}  // namespace phase::mesh
