// Both halves of a fleet session over links of known delay and width, in virtual time.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "base/framing.h"
#include "tests/simulation/link.h"
#include "tests/simulation/sim_executor.h"
#include "tests/simulation/world.h"
#include "vcp/session/session.h"

namespace phase::simulation {
namespace {

using namespace vcp;  // NOLINT(google-build-using-namespace): what this file is about

/// Remembers what a coordinator would act on.
struct Ledger final : SessionSink {
  explicit Ledger(Clock& with) : clock(with) {}
  Task<std::optional<Refused>> join(Hello hello, identity::PublicKey) override {
    ++joins;
    if (hello.join_token == "jt_wrong") {
      co_return Refused{RefusalReason::token_wrong, "that token is not of this node"};
    }
    co_return std::nullopt;
  }
  void joined(const NodeName& name, const identity::PublicKey& key, const Hello&) override {
    says("joined " + name);
    keys.push_back(key);
  }
  void telemetry(const NodeName&, const Telemetry& document) override {
    documents.push_back(document);
  }
  void telemetry_refused(const NodeName&, const Error& why) override {
    says("telemetry refused: " + std::string(code_name(why.code)));
  }
  void latency(const NodeName&, Duration round_trip) override { latencies.push_back(round_trip); }
  void bandwidth(const NodeName&, MeasuredBandwidth measured) override {
    bandwidths.push_back(measured);
  }
  void draining(const NodeName& name) override { says("draining " + name); }
  void gone(const NodeName& name, GoneReason reason, const std::string&) override {
    says("gone " + name + " " + std::string(gone_name(reason)));
    gone_at = clock.now();
  }
  bool may_probe(const NodeName&) const override { return probes; }
  void says(std::string what) { told.push_back(std::move(what)); }

  Clock& clock;
  int joins = 0;
  bool probes = true;
  std::vector<std::string> told;
  std::vector<identity::PublicKey> keys;
  std::vector<Telemetry> documents;
  std::vector<Duration> latencies;
  std::vector<MeasuredBandwidth> bandwidths;
  Instant gone_at;
};

Hello hello_of(const NodeName& name) {
  Hello out;
  out.name = name;
  out.region = "us-west";
  out.type = "compute";
  out.agent = "test/1";
  return out;
}

class FleetSession : public ::testing::Test {
 protected:
  struct Node {
    Node(FleetSession& of, const NodeName& name, LinkShape shape)
        : link(std::make_shared<LinkState>()),
          key(identity::KeyPair::generate(of.random_)),
          session(
              {of.clock_, of.random_, key, of.context_.get_executor(), [this] { return now; }, {}}),
          hello(hello_of(name)) {
      link->shape = shape;
    }
    std::shared_ptr<LinkState> link;
    identity::KeyPair key;
    Telemetry now;
    NodeSession session;
    Hello hello;
    std::optional<SessionEnd> ended;
  };

  void start(Node& node) {
    MemoryStreamPair ends = make_link(clock_, context_.get_executor(), node.link);
    asio::co_spawn(context_.get_executor(),
                   sessions_.serve(std::move(ends.second), node.key.public_key()), asio::detached);
    asio::co_spawn(context_.get_executor(), run(node, std::move(ends.first)), asio::detached);
  }
  static Task<void> run(Node& node, std::unique_ptr<ByteStream> stream) {
    Hello hello = node.hello;
    SessionEnd end = co_await node.session.run(std::move(stream), std::move(hello));
    node.ended = std::move(end);
  }
  /// Lets virtual time pass.
  void pass(Duration time) {
    const Instant until = context_.now() + time;
    context_.add_timer(until, [](bool) {});
    context_.run_until([] { return false; }, until);
  }

  /// Says what it likes: a node that is not ours.
  std::unique_ptr<ByteStream> rogue(const identity::KeyPair& key) {
    MemoryStreamPair ends =
        make_link(clock_, context_.get_executor(), std::make_shared<LinkState>());
    asio::co_spawn(context_.get_executor(),
                   sessions_.serve(std::move(ends.second), key.public_key()), asio::detached);
    return std::move(ends.first);
  }
  void send(ByteStream& stream, const FleetFrame& frame) {
    const Bytes bytes = encode(frame);
    send_bytes(stream, bytes);
  }
  void send_bytes(ByteStream& stream, const Bytes& bytes) {
    asio::co_spawn(context_.get_executor(), write_all(stream, bytes), asio::detached);
    pass(10ms);
  }
  static Task<void> write_all(ByteStream& stream, Bytes bytes) {
    static_cast<void>(co_await stream.write(bytes));
  }
  std::optional<FleetFrame> hear(ByteStream& stream) {
    std::optional<FleetFrame> out;
    asio::co_spawn(context_.get_executor(), read_one(stream, out), asio::detached);
    pass(10ms);
    return out;
  }
  static Task<void> read_one(ByteStream& stream, std::optional<FleetFrame>& out) {
    Result<FleetFrame> frame = co_await read_fleet(stream);
    if (frame) out = *std::move(frame);
  }
  /// Joins by hand; the number of the session.
  std::uint64_t join_by_hand(ByteStream& stream) {
    send(stream, hello_of("rogue"));
    const auto answer = hear(stream);
    const auto* const welcome = answer ? std::get_if<Welcome>(&*answer) : nullptr;
    EXPECT_NE(welcome, nullptr);
    return welcome == nullptr ? 0 : welcome->session;
  }

  SimContext context_{1};
  SimClock clock_{context_};
  SimRandom random_{1};
  Ledger ledger_{clock_};
  Sessions sessions_{{clock_, random_, ledger_, context_.get_executor()}, {}};
};

constexpr LinkShape kLan{1ms, 12'500'000};  // 100 Mbps

TEST_F(FleetSession, ANodeJoinsIsHeardAndLeaves) {
  Node node(*this, "one", kLan);
  node.now.cpu_millipercent = 12'000;
  start(node);
  pass(21s);
  EXPECT_EQ(ledger_.told, std::vector<std::string>{"joined one"});
  EXPECT_EQ(ledger_.keys.at(0), node.key.public_key());
  EXPECT_EQ(sessions_.size(), 1U);
  ASSERT_EQ(ledger_.documents.size(), 5U) << "one at once, then one each heartbeat";
  EXPECT_EQ(ledger_.documents[4].sequence, 5U);
  EXPECT_EQ(ledger_.documents[4].cpu_millipercent, 12'000U);
  node.session.drain();
  pass(1s);
  node.session.stop();
  pass(1s);
  ASSERT_TRUE(node.ended);
  EXPECT_EQ(node.ended->kind, SessionEnd::Kind::left);
  EXPECT_EQ(ledger_.told,
            (std::vector<std::string>{"joined one", "draining one", "gone one closed"}));
  EXPECT_EQ(sessions_.size(), 0U);
}

TEST_F(FleetSession, ARefusalHasAReasonAndIsNotJoining) {
  Node node(*this, "one", kLan);
  node.hello.join_token = "jt_wrong";
  start(node);
  pass(5s);
  ASSERT_TRUE(node.ended);
  EXPECT_EQ(node.ended->kind, SessionEnd::Kind::refused);
  EXPECT_EQ(node.ended->refused->reason, RefusalReason::token_wrong);
  EXPECT_EQ(node.ended->refused->text, "that token is not of this node");
  EXPECT_FALSE(node.ended->joined);
  EXPECT_TRUE(ledger_.told.empty());
}

TEST_F(FleetSession, ASilentNodeIsGoneAfterThreeHeartbeats) {
  Node node(*this, "one", kLan);
  start(node);
  pass(12s);
  node.link->cut = true;
  const Instant cut = context_.now();
  pass(60s);
  EXPECT_EQ(ledger_.told.back(), "gone one silent");
  EXPECT_GT(ledger_.gone_at - cut, Duration{10s});
  EXPECT_LE(ledger_.gone_at - cut, Duration{20s});
  ASSERT_TRUE(node.ended) << "the node gives the coordinator up too";
  EXPECT_EQ(node.ended->kind, SessionEnd::Kind::lost);
  EXPECT_TRUE(node.ended->joined);
}

TEST_F(FleetSession, LatencyIsTheMedianOfThreeAndFollowsTheLink) {
  Node node(*this, "one", {20ms, 1'000'000'000});
  ledger_.probes = false;
  start(node);
  pass(16s);
  ASSERT_GE(ledger_.latencies.size(), 3U);
  EXPECT_NEAR(std::chrono::duration<double>(ledger_.latencies.back()).count(), 0.040, 0.001);
  const std::size_t before = ledger_.latencies.size();
  node.link->shape.delay = 70ms;
  pass(16s);
  ASSERT_GE(ledger_.latencies.size(), before + 3);
  EXPECT_NEAR(std::chrono::duration<double>(ledger_.latencies[before]).count(), 0.040, 0.001)
      << "one slow answer is no slow link";
  EXPECT_NEAR(std::chrono::duration<double>(ledger_.latencies[before + 2]).count(), 0.140, 0.001)
      << "within three heartbeats";
}

class Bandwidth : public FleetSession, public ::testing::WithParamInterface<LinkShape> {};

TEST_P(Bandwidth, IsMeasuredBothWays) {
  Node node(*this, "one", GetParam());
  start(node);
  pass(60s);
  ASSERT_EQ(ledger_.bandwidths.size(), 1U);
  const double expected = static_cast<double>(GetParam().bytes_per_s) * 8 / 1000;
  for (const std::uint64_t kbps :
       {ledger_.bandwidths[0].down_kbps, ledger_.bandwidths[0].up_kbps}) {
    EXPECT_NEAR(static_cast<double>(kbps), expected, expected * 0.2);
  }
  pass(600s);
  EXPECT_EQ(ledger_.bandwidths.size(), 2U) << "and again ten minutes later";
  EXPECT_EQ(ledger_.told, std::vector<std::string>{"joined one"}) << "nothing else happened";
}
INSTANTIATE_TEST_SUITE_P(Links, Bandwidth,
                         ::testing::Values(LinkShape{1ms, 12'500'000}, LinkShape{40ms, 12'500'000},
                                           LinkShape{1ms, 125'000'000}, LinkShape{5ms, 125'000},
                                           LinkShape{60ms, 1'250'000}));

TEST(FleetBandwidth, TheNarrowerWayCounts) {
  EXPECT_EQ((MeasuredBandwidth{1'000, 50}).effective_kbps(), 50U);
  EXPECT_EQ((MeasuredBandwidth{40, 1'000}).effective_kbps(), 40U);
}

TEST_F(FleetSession, ALinkTooSlowToMeasureIsNotCalledFast) {
  Node node(*this, "one", {1ms, 10'000});  // 80 kbit/s: the smallest probe takes 6.5 s
  start(node);
  pass(120s);
  ASSERT_FALSE(ledger_.bandwidths.empty());
  EXPECT_LE(ledger_.bandwidths[0].effective_kbps(), 110U);
  EXPECT_EQ(ledger_.told, std::vector<std::string>{"joined one"}) << "late data breaks nothing";
}

TEST_F(FleetSession, NothingIsProbedWhileTheSinkSaysNo) {
  ledger_.probes = false;
  Node node(*this, "one", kLan);
  start(node);
  pass(700s);
  EXPECT_TRUE(ledger_.bandwidths.empty());
  ledger_.probes = true;
  pass(15s);
  EXPECT_EQ(ledger_.bandwidths.size(), 1U);
}

TEST_F(FleetSession, TheNewestSessionOfANodeStays) {
  Node first(*this, "one", kLan), second(*this, "one", kLan);
  start(first);
  pass(2s);
  start(second);
  pass(2s);
  EXPECT_EQ(ledger_.told,
            (std::vector<std::string>{"joined one", "gone one superseded", "joined one"}));
  ASSERT_TRUE(first.ended);
  EXPECT_EQ(first.ended->bye, ByeReason::superseded);
  EXPECT_FALSE(second.ended);
  EXPECT_EQ(sessions_.size(), 1U);
}

TEST_F(FleetSession, ADismissedNodeIsToldWhy) {
  Node node(*this, "one", kLan);
  start(node);
  pass(2s);
  sessions_.dismiss("one", ByeReason::removed);
  pass(3s);
  EXPECT_EQ(ledger_.told.back(), "gone one dismissed");
  ASSERT_TRUE(node.ended);
  EXPECT_EQ(node.ended->bye, ByeReason::removed);
  Node other(*this, "two", kLan);
  sessions_.stop();
  start(other);
  pass(3s);
  EXPECT_EQ(other.ended->refused->reason, RefusalReason::shutting_down);
}

TEST_F(FleetSession, ReplayedTelemetryEndsTheSession) {
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  Telemetry document;
  document.session = join_by_hand(*stream);
  document.sequence = 2;
  document.created = clock_.now_utc();
  const Bytes sealed = seal(document, key);
  send(*stream, TelemetryFrame{sealed});
  EXPECT_EQ(ledger_.documents.size(), 1U);
  EXPECT_EQ(ledger_.told, std::vector<std::string>{"joined rogue"});
  send(*stream, TelemetryFrame{sealed});
  EXPECT_EQ(ledger_.documents.size(), 1U);
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
}

TEST_F(FleetSession, TelemetryOutOfOrderOrOfAnotherSessionIsRefused) {
  for (const std::uint64_t other : {0ULL, 1ULL}) {
    const identity::KeyPair key = identity::KeyPair::generate(random_);
    const auto stream = rogue(key);
    Telemetry document;
    document.session = join_by_hand(*stream) + other;
    document.sequence = 2;
    document.created = clock_.now_utc();
    send(*stream, TelemetryFrame{seal(document, key)});
    document.sequence = 1;
    send(*stream, TelemetryFrame{seal(document, key)});
    EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
  }
  EXPECT_EQ(ledger_.documents.size(), 1U);
}

TEST_F(FleetSession, TelemetryUnderAnothersKeyIsRefused) {
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const identity::KeyPair other = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  Telemetry document;
  document.session = join_by_hand(*stream);
  document.sequence = 1;
  document.created = clock_.now_utc();
  send(*stream, TelemetryFrame{seal(document, other)});
  EXPECT_TRUE(ledger_.documents.empty());
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
}

TEST_F(FleetSession, AClockThatIsOffIsToldAndCostsOnlyTheDocument) {
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  Telemetry document;
  document.session = join_by_hand(*stream);
  document.sequence = 1;
  document.created = {clock_.now_utc().unix_ms - 400'000};
  send(*stream, TelemetryFrame{seal(document, key)});
  EXPECT_EQ(ledger_.told.back(), "telemetry refused: expired");
  EXPECT_EQ(sessions_.size(), 1U);
}

TEST_F(FleetSession, PongsAndProbeAnswersAheadOfTheirQuestionsAreRefused) {
  for (const FleetFrame& frame :
       {FleetFrame{Pong{7}}, FleetFrame{ProbeEnd{7, 1, {}}}, FleetFrame{ProbeData{7, Bytes(10)}},
        FleetFrame{Ping{1}}, FleetFrame{hello_of("rogue")}}) {
    const identity::KeyPair key = identity::KeyPair::generate(random_);
    const auto stream = rogue(key);
    join_by_hand(*stream);
    send(*stream, frame);
    EXPECT_EQ(ledger_.told.back(), "gone rogue protocol") << frame.index();
  }
}

TEST_F(FleetSession, ProbesAnsweredUnseenAreRefused) {
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  join_by_hand(*stream);
  std::optional<FleetFrame> frame = hear(*stream);
  const auto* const ping = frame ? std::get_if<Ping>(&*frame) : nullptr;
  ASSERT_NE(ping, nullptr);
  send(*stream, Pong{ping->nonce});
  frame = hear(*stream);
  const auto* const probe = frame ? std::get_if<Probe>(&*frame) : nullptr;
  ASSERT_NE(probe, nullptr);
  send(*stream, ProbeEnd{probe->nonce, probe->bytes, {}});  // did not read what it says it has
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
}

TEST_F(FleetSession, OversizedFramesAndFloodsEndTheSession) {
  {
    const identity::KeyPair key = identity::KeyPair::generate(random_);
    const auto stream = rogue(key);
    send_bytes(*stream, {0x7f, 0xff, 0xff, 0xff, 1});
    pass(1s);
    EXPECT_EQ(ledger_.joins, 0);
  }
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  join_by_hand(*stream);
  for (std::uint32_t i = 0; i <= kFramesPerHeartbeatMax; ++i) send(*stream, Draining{});
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
  const auto other = rogue(key);
  join_by_hand(*other);
  send_bytes(*other, {0x00, 0x01, 0x00, 0x41, 4});
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
}

TEST_F(FleetSession, WhatANewerNodeSaysEndsItsOwnSessionOnly) {
  Node older(*this, "older", kLan);
  start(older);
  pass(1s);
  EXPECT_EQ(sessions_.size(), 1U);
  // A hello with a field that this version has not.
  Bytes hello = encode(FleetFrame{hello_of("newer")});
  constexpr std::size_t kLengthAt = 3, kMapAt = 5;
  hello[kMapAt] = static_cast<std::uint8_t>(hello[kMapAt] + 1);
  hello.insert(hello.end(), {0x0c, 0xf5});  // 12: true
  hello[kLengthAt] = static_cast<std::uint8_t>(hello[kLengthAt] + 2);
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  send_bytes(*stream, hello);
  const auto answer = hear(*stream);
  EXPECT_FALSE(answer && std::holds_alternative<Welcome>(*answer)) << "it is not welcome";
  EXPECT_EQ(ledger_.joins, 1) << "nobody was asked whether it may";
  // A frame of a type that this version has not.
  const auto other = rogue(key);
  join_by_hand(*other);
  send_bytes(*other, {0, 0, 0, 2, 7, 0xa0});
  EXPECT_EQ(ledger_.told.back(), "gone rogue protocol");
  pass(10s);
  EXPECT_EQ(sessions_.size(), 1U);
  EXPECT_FALSE(older.ended);
}

TEST_F(FleetSession, WhoSaysNothingIsDroppedAfterTenSeconds) {
  const identity::KeyPair key = identity::KeyPair::generate(random_);
  const auto stream = rogue(key);
  std::optional<FleetFrame> nothing;
  bool ended = false;
  asio::co_spawn(context_.get_executor(), read_one(*stream, nothing),
                 [&ended](const std::exception_ptr&) { ended = true; });
  pass(9s);
  EXPECT_FALSE(ended);
  pass(2s);
  EXPECT_TRUE(ended);
}

TEST_F(FleetSession, ACoordinatorThatSaysOtherThanWelcomeIsLeft) {
  for (const FleetFrame& first :
       {FleetFrame{Ping{1}}, FleetFrame{Welcome{"other", 5000, 1}}, FleetFrame{Draining{}}}) {
    Node node(*this, "one", kLan);
    MemoryStreamPair ends = make_link(clock_, context_.get_executor(), node.link);
    asio::co_spawn(context_.get_executor(), run(node, std::move(ends.first)), asio::detached);
    send(*ends.second, first);
    pass(1s);
    ASSERT_TRUE(node.ended);
    EXPECT_EQ(node.ended->kind, SessionEnd::Kind::lost);
    EXPECT_FALSE(node.ended->joined);
  }
}

}  // namespace
}  // namespace phase::simulation
