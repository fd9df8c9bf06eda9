#include "vcp/health/health.h"

#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"

namespace phase::vcp {
namespace {

constexpr UtcTime kToday{1'767'225'600'000};

Instant at(Duration since) {
  return Instant{} + since;
}

Telemetry busy(std::uint64_t cpu, std::uint64_t memory) {
  Telemetry out;
  out.cpu_millipercent = cpu;
  out.memory_millipercent = memory;
  return out;
}

Telemetry hot(double celsius) {
  Telemetry out;
  out.temperature_millicelsius = static_cast<std::int64_t>(celsius * 1000);
  return out;
}

TEST(Health, TheWorkedValuesOfTheTerms) {
  NodeHealth node;
  node.take_bandwidth(500'000, at(0s));
  node.take_latency(50ms, at(0s));
  node.take_telemetry(busy(50'000, 60'000), at(0s));
  HealthScore score = node.score(at(0s), kToday);
  EXPECT_DOUBLE_EQ(score.bandwidth.score, 0.5);
  EXPECT_DOUBLE_EQ(score.latency.score, 0.5);
  EXPECT_DOUBLE_EQ(score.compute.score, 0.45);
  EXPECT_DOUBLE_EQ(score.reputation.score, 0.5);
  EXPECT_DOUBLE_EQ(score.total, 0.2 + 0.15 + 0.09 + 0.05);
  EXPECT_EQ(score.bandwidth.evidence, Evidence::measured);
  EXPECT_EQ(score.compute.evidence, Evidence::signed_by_node);

  node.take_bandwidth(2'000'000, at(0s));
  node.take_latency(10ms, at(0s));
  score = node.score(at(0s), kToday);
  EXPECT_DOUBLE_EQ(score.bandwidth.score, 1);
  EXPECT_DOUBLE_EQ(score.latency.score, 0.9);
  // The sample that the command line of the earlier implementation made up.
  NodeHealth sample;
  sample.take_bandwidth(100'000, at(0s));
  sample.take_latency(20ms, at(0s));
  sample.take_telemetry(busy(50'000, 60'000), at(0s));
  EXPECT_NEAR(sample.score(at(0s), kToday).total, 0.42, 1e-12);
}

TEST(Health, NothingKnownScoresOnlyThePriorOfTheRecord) {
  const NodeHealth node;
  const HealthScore score = node.score(at(100s), kToday);
  EXPECT_DOUBLE_EQ(score.total, 0.05);
  for (const HealthTerm& term : {score.bandwidth, score.latency, score.compute}) {
    EXPECT_EQ(term.score, 0);
    EXPECT_FALSE(term.value);
    EXPECT_FALSE(term.age);
    EXPECT_EQ(term.evidence, Evidence::never);
  }
}

TEST(Health, ReadingsOlderThanThreeHeartbeatsAreUnknown) {
  NodeHealth node;
  node.take_bandwidth(1'000'000, at(0s));
  node.take_latency(10ms, at(0s));
  node.take_telemetry(busy(0, 0), at(0s));
  EXPECT_NEAR(node.score(at(15s), kToday).total, 0.4 + 0.27 + 0.2 + 0.05, 1e-12);
  EXPECT_NE(node.telemetry(at(15s)), nullptr);
  const HealthScore late = node.score(at(15s + 1ms), kToday);
  EXPECT_DOUBLE_EQ(late.total, 0.05);
  EXPECT_EQ(late.latency.evidence, Evidence::stale);
  EXPECT_EQ(late.latency.age, Duration{15s + 1ms});
  EXPECT_EQ(node.telemetry(at(15s + 1ms)), nullptr);
  // Bandwidth is measured seldom: known while the node is heard of.
  node.take_latency(10ms, at(60s));
  EXPECT_DOUBLE_EQ(node.score(at(60s), kToday).bandwidth.score, 1);
  node.take_latency(10ms, at(1801s));
  EXPECT_EQ(node.score(at(1801s), kToday).bandwidth.evidence, Evidence::stale);
  node.forget_readings();
  EXPECT_EQ(node.score(at(1801s), kToday).latency.evidence, Evidence::never);
}

TEST(Health, HalfOfComputeCanBeUnknown) {
  NodeHealth node;
  Telemetry half;
  half.cpu_millipercent = 0;
  node.take_telemetry(half, at(0s));
  const HealthTerm term = node.score(at(0s), kToday).compute;
  EXPECT_DOUBLE_EQ(term.score, 0.5);
  EXPECT_EQ(term.evidence, Evidence::partial);
  node.take_telemetry(Telemetry{}, at(1s));
  EXPECT_EQ(node.score(at(1s), kToday).compute.evidence, Evidence::absent);
  EXPECT_EQ(node.score(at(1s), kToday).compute.score, 0);
}

// Goal: whatever is read in whatever order, every score stays in range, and a better reading of one
// term never lowers the total.
RC_GTEST_PROP(HealthProperty, ScoresAreInRangeAndMonotone, ()) {
  NodeHealth node;
  const auto kbps = *rc::gen::arbitrary<std::uint32_t>();
  const auto micros = *rc::gen::arbitrary<std::uint32_t>();
  const auto cpu = *rc::gen::inRange<std::uint64_t>(0, kMilliPercentMax + 1);
  const auto memory = *rc::gen::inRange<std::uint64_t>(0, kMilliPercentMax + 1);
  const auto age = Duration{std::chrono::milliseconds(*rc::gen::inRange(0, 40'000))};
  node.take_bandwidth(kbps, at(0s));
  node.take_latency(std::chrono::microseconds(micros), at(0s));
  node.take_telemetry(busy(cpu, memory), at(0s));
  const HealthScore before = node.score(at(age), kToday);
  for (const HealthTerm& term :
       {before.bandwidth, before.latency, before.compute, before.reputation}) {
    RC_ASSERT(term.score >= 0 && term.score <= 1);
    RC_ASSERT(term.value.has_value() || term.score == 0);
  }
  RC_ASSERT(before.total >= 0 && before.total <= 1);
  NodeHealth better = node;
  better.take_bandwidth(static_cast<std::uint64_t>(kbps) + 1000, at(age));
  RC_ASSERT(better.score(at(age), kToday).total >= before.total);
  better.take_latency(std::chrono::microseconds(micros / 2), at(age));
  RC_ASSERT(better.score(at(age), kToday).total >= before.total);
  better.take_telemetry(busy(cpu / 2, memory / 2), at(age));
  RC_ASSERT(better.score(at(age), kToday).total >= before.total);
}

TEST(Reputation, ANewNodeIsHalfBelievedAndOneSuccessIsNotAll) {
  Reputation record;
  EXPECT_DOUBLE_EQ(record.score(kToday), 0.5);
  record.succeeded(kToday);
  EXPECT_DOUBLE_EQ(record.score(kToday), 0.6);
  record.failed(kToday);
  EXPECT_DOUBLE_EQ(record.score(kToday), 0.5);
  record.disputed(kToday);
  EXPECT_NEAR(record.score(kToday), 3.0 / 7 - 0.05, 1e-12);
}

TEST(Reputation, AHalfLifeHalvesWhatIsRemembered) {
  Reputation record;
  for (int i = 0; i < 8; ++i) record.succeeded(kToday);
  const UtcTime later{kToday.unix_ms + 7ULL * 24 * 3600 * 1000};
  EXPECT_NEAR(record.score(later), (4.0 + 2) / (4 + 4), 1e-9);
  const UtcTime earlier{kToday.unix_ms - 1};
  EXPECT_EQ(record.score(earlier), record.score(kToday))
      << "a clock that went back changes nothing";
}

RC_GTEST_PROP(ReputationProperty, StaysBelowOneAndGrowsWithSuccess, ()) {
  Reputation record;
  UtcTime now = kToday;
  for (const auto step :
       *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>())) {
    now.unix_ms += step * 3'600'000ULL;
    const double before = record.score(now);
    if (step % 4 == 3) {
      record.disputed(now);
      RC_ASSERT(record.score(now) <= before);
    } else if (step % 4 == 2) {
      record.failed(now);
      RC_ASSERT(record.score(now) <= before);
    } else {
      record.succeeded(now);
      RC_ASSERT(record.score(now) >= before);
    }
    RC_ASSERT(record.score(now) >= 0 && record.score(now) < 1);
  }
}

TEST(Breakers, HeatOpensAtOnceAndClosesWithCareOnly) {
  NodeHealth node;
  node.take_telemetry(hot(85), at(0s));
  EXPECT_EQ(node.leave(at(0s)), Leave::all) << "85 is not above 85";
  node.take_telemetry(hot(85.1), at(1s));
  EXPECT_EQ(node.leave(at(1s)), Leave::none);
  EXPECT_EQ(node.breakers(at(1s))[0].state, BreakerState::open);
  EXPECT_EQ(node.breakers(at(1s))[0].detail, "85.1 °C, opens above 85.0 °C");
  node.take_telemetry(hot(82), at(40s));
  EXPECT_EQ(node.leave(at(40s)), Leave::none) << "cooler, but not below 80";
  node.take_telemetry(hot(79), at(41s));
  EXPECT_EQ(node.leave(at(41s)), Leave::one);
  const auto trial = node.run_began(at(41s));
  EXPECT_TRUE(trial.trial);
  EXPECT_EQ(node.leave(at(41s)), Leave::none) << "one at a time";
  node.run_ended(trial, RunEnd::no_fault, at(42s), kToday);
  EXPECT_EQ(node.leave(at(42s)), Leave::one) << "it said nothing of the node";
  const auto again = node.run_began(at(42s));
  node.run_ended(again, RunEnd::verified, at(43s), kToday);
  EXPECT_EQ(node.leave(at(43s)), Leave::all);
  EXPECT_EQ(node.breakers(at(43s))[0].state, BreakerState::closed);
}

TEST(Breakers, TheCoolDownCountsFromTheLastBadReading) {
  NodeHealth node;
  node.take_telemetry(hot(90), at(0s));
  node.take_telemetry(hot(90), at(20s));
  node.take_telemetry(hot(60), at(25s));
  EXPECT_EQ(node.leave(at(49s)), Leave::none);
  EXPECT_EQ(node.leave(at(50s)), Leave::one);
}

TEST(Breakers, LatencyOpensAboveAHundredMilliseconds) {
  NodeHealth node;
  node.take_latency(100ms, at(0s));
  EXPECT_EQ(node.leave(at(0s)), Leave::all);
  node.take_latency(101ms, at(5s));
  EXPECT_EQ(node.leave(at(5s)), Leave::none);
  node.take_latency(20ms, at(10s));
  EXPECT_EQ(node.leave(at(34s)), Leave::none);
  EXPECT_EQ(node.leave(at(35s)), Leave::one);
}

TEST(Breakers, MoreThanTwentyFiveFailuresInARow) {
  NodeHealth node;
  const auto fail_once = [&node](Instant now) {
    node.run_ended(node.run_began(now), RunEnd::failed, now, kToday);
  };
  for (int i = 0; i < 25; ++i) fail_once(at(0s));
  EXPECT_EQ(node.leave(at(0s)), Leave::all) << "25 are not more than 25";
  fail_once(at(0s));
  EXPECT_EQ(node.leave(at(59s)), Leave::none);
  EXPECT_EQ(node.leave(at(60s)), Leave::one);
  fail_once(at(60s));  // the trial: the next cool-down is twice as long
  EXPECT_EQ(node.leave(at(179s)), Leave::none);
  EXPECT_EQ(node.leave(at(180s)), Leave::one);
  node.run_ended(node.run_began(at(180s)), RunEnd::verified, at(181s), kToday);
  EXPECT_EQ(node.leave(at(181s)), Leave::all);
  EXPECT_EQ(node.failures_in_row(), 0U);
}

TEST(Breakers, ASensorThatWentAwayDoesNotShutANodeOutForGood) {
  NodeHealth node;
  node.take_telemetry(hot(95), at(0s));
  EXPECT_EQ(node.leave(at(599s)), Leave::none);
  EXPECT_EQ(node.leave(at(600s)), Leave::one);
}

Telemetry full() {
  Telemetry out = busy(12'500, 99'999);
  out.session = 0x0102030405060708;
  out.sequence = 7;
  out.created = kToday;
  out.gpu_millipercent = 0;
  out.temperature_millicelsius = -4'250;
  out.power_milliwatts = 65'000;
  out.energy_millijoules = kMilliJoulesMax;
  out.jobs_running = 2;
  out.jobs_queued = 1;
  return out;
}

TEST(TelemetryDocument, RoundTripsWithAndWithoutReadings) {
  SystemRandom random;
  const identity::KeyPair key = identity::KeyPair::generate(random);
  for (const Telemetry& telemetry : {full(), Telemetry{}}) {
    const auto opened = open_telemetry(seal(telemetry, key), key.public_key());
    ASSERT_TRUE(opened) << opened.error().text();
    EXPECT_EQ(*opened, telemetry);
    EXPECT_LE(seal(telemetry, key).size(), kTelemetryBytesMax);
  }
}

TEST(TelemetryDocument, AnothersSignatureOrDomainIsRefused) {
  SystemRandom random;
  const identity::KeyPair key = identity::KeyPair::generate(random);
  const identity::KeyPair other = identity::KeyPair::generate(random);
  EXPECT_EQ(open_telemetry(seal(full(), other), key.public_key()).error().code, Code::unauthorized);
  const Bytes elsewhere = identity::seal(identity::Domain::node, encode_payload(full()), key);
  EXPECT_FALSE(open_telemetry(elsewhere, key.public_key()));
  Bytes bent = seal(full(), key);
  bent.back() ^= 1;
  EXPECT_EQ(open_telemetry(bent, key.public_key()).error().code, Code::verification_failed);
  EXPECT_EQ(open_telemetry(Bytes(kTelemetryBytesMax + 1, 0), key.public_key()).error().code,
            Code::too_large);
}

TEST(TelemetryDocument, ValuesOutOfRangeAreRefusedNotClamped) {
  Telemetry wild = full();
  wild.cpu_millipercent = kMilliPercentMax + 1;
  EXPECT_EQ(decode_payload(encode_payload(wild)).error().code, Code::too_large);
  wild = full();
  wild.temperature_millicelsius = kMilliCelsiusMax + 1;
  EXPECT_EQ(decode_payload(encode_payload(wild)).error().code, Code::too_large);
  wild = full();
  wild.energy_millijoules = kMilliJoulesMax + 1;
  EXPECT_EQ(decode_payload(encode_payload(wild)).error().code, Code::too_large);
}

TEST(TelemetryOrder, TakesEachDocumentOnceInOrderAndFresh) {
  TelemetryOrder order(full().session);
  Telemetry next = full();
  EXPECT_TRUE(order.take(next, kToday));
  EXPECT_EQ(order.take(next, kToday).error().code, Code::replayed);
  next.sequence = 6;
  EXPECT_EQ(order.take(next, kToday).error().code, Code::replayed);
  next.sequence = 8;
  next.session += 1;
  EXPECT_EQ(order.take(next, kToday).error().code, Code::replayed);
  next.session -= 1;
  EXPECT_EQ(order.take(next, UtcTime{kToday.unix_ms + 300'001}).error().code, Code::expired);
  EXPECT_TRUE(order.take(next, UtcTime{kToday.unix_ms + 300'000})) << "refused, it changed nothing";
}

}  // namespace
}  // namespace phase::vcp
