// Relays in virtual time: two streams of memory on either side, a clock that jumps.
#include "vcp/gateway/relay.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "base/memory_stream.h"
#include "tests/simulation/sim_executor.h"

namespace phase::vcp::gateway {
namespace {

using simulation::SimClock;
using simulation::SimContext;

class RelayTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  struct Heard {
    std::uint64_t bytes = 0;
    bool ended = false, broke = false;
    Instant at;
  };

  void begin(Relay::Options options, Bytes early = {}) {
    auto outside = make_memory_stream(context_.get_executor());
    auto inside = make_memory_stream(context_.get_executor());
    client_ = std::move(outside.first);
    server_ = std::move(inside.second);
    relay_ = std::make_shared<Relay>(clock_, context_.get_executor(), std::move(outside.second),
                                     std::move(inside.first), flow_, options);
    asio::co_spawn(context_.get_executor(), live(relay_, std::move(early)), asio::detached);
  }
  Relay::Options lasting(Duration idle, Duration life) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(life).count();
    return {idle, UtcTime{clock_.now_utc().unix_ms + static_cast<std::uint64_t>(ms)}};
  }
  Task<void> live(std::shared_ptr<Relay> relay, Bytes early) {
    const Relay::End end = co_await Relay::run(std::move(relay), std::move(early));
    end_ = end;
    ended_at_ = clock_.now();
  }
  Task<void> send(ByteStream& to, std::size_t bytes, bool then_end) {
    Bytes piece(5'000, 0x61);
    while (bytes > 0) {
      const std::size_t count = std::min(bytes, piece.size());
      const ByteView some(piece.data(), count);
      const auto sent = co_await to.write(some);
      if (!sent) co_return;
      bytes -= count;
    }
    if (then_end) to.close_write();
  }
  Task<void> tick(ByteStream& to, std::size_t times, Duration every) {
    const Bytes one(1, 0x62);
    for (std::size_t i = 0; i < times; ++i) {
      const auto sent = co_await to.write(one);
      if (!sent) co_return;
      const auto slept = co_await clock_.sleep_for(every);
      if (!slept) co_return;
    }
  }
  Task<void> hear(ByteStream& from, Heard& heard) {
    Bytes buffer(7'000);
    while (true) {
      const std::span<std::uint8_t> room(buffer);
      const auto count = co_await from.read(room);
      heard.broke = !count;
      heard.ended = count && *count == 0;
      if (heard.broke || heard.ended) break;
      heard.bytes += *count;
    }
    heard.at = clock_.now();
  }
  void spawn(Task<void> task) {
    asio::co_spawn(context_.get_executor(), std::move(task), asio::detached);
  }
  bool until_end() {
    return context_.run_until([this] { return end_.has_value(); },
                              Instant{} + std::chrono::hours(24));
  }

  SimContext context_{GetParam()};
  SimClock clock_{context_};
  std::shared_ptr<SessionFlow> flow_ = std::make_shared<SessionFlow>();
  std::unique_ptr<ByteStream> client_, server_;
  std::shared_ptr<Relay> relay_;
  std::optional<Relay::End> end_;
  Instant ended_at_;
};

TEST_P(RelayTest, CarriesBothWaysAndHalfCloses) {
  begin(lasting(600s, 3600s), Bytes(3'000, 0x63));
  Heard at_server, at_client;
  spawn(send(*client_, 100'000, true));
  spawn(hear(*server_, at_server));
  spawn(hear(*client_, at_client));
  // The server answers only after it saw the client's end.
  ASSERT_TRUE(context_.run_until([&] { return at_server.ended; }, Instant{} + 3600s));
  EXPECT_FALSE(end_);
  spawn(send(*server_, 250'000, true));
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::closed);
  EXPECT_EQ(at_server.bytes, 103'000U);
  EXPECT_EQ(relay_->bytes_up(), 103'000U);
  EXPECT_EQ(relay_->bytes_down(), 250'000U);
  EXPECT_EQ(flow_->bytes_up, 103'000U);
  context_.run_until([&] { return at_client.ended || at_client.broke; }, Instant{} + 7200s);
  EXPECT_EQ(at_client.bytes, 250'000U);
}

TEST_P(RelayTest, TrafficArmsTheIdleTimerAnew) {
  begin(lasting(10s, 3600s));
  Heard at_server;
  spawn(hear(*server_, at_server));
  const Instant start = clock_.now();
  spawn(tick(*client_, 8, 9s));  // 72 s in all, never silent for 10
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::idle);
  EXPECT_EQ(at_server.bytes, 8U);
  EXPECT_EQ(ended_at_ - start, 63s + 10s) << "10 s after the last byte";
}

TEST_P(RelayTest, OneDirectionKeepsBothAlive) {
  begin(lasting(10s, 3600s));
  Heard at_client;
  spawn(hear(*client_, at_client));
  spawn(tick(*server_, 5, 9s));
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::idle);
  EXPECT_EQ(at_client.bytes, 5U);
}

TEST_P(RelayTest, ItsSessionsEndCutsIt) {
  begin(lasting(600s, 60s));
  Heard at_server;
  spawn(hear(*server_, at_server));
  const Instant start = clock_.now();
  spawn(tick(*client_, 1'000, 1s));
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::expired);
  EXPECT_GE(ended_at_ - start, 60s);
  EXPECT_LE(ended_at_ - start, 61s);
  context_.run_until([&] { return at_server.broke || at_server.ended; }, Instant{} + 3600s);
  EXPECT_TRUE(at_server.broke || at_server.ended);
}

TEST_P(RelayTest, AnotherEndHoldsAtOnce) {
  begin(lasting(600s, 60s));
  spawn(tick(*client_, 1'000, 1s));
  Heard at_server;
  spawn(hear(*server_, at_server));
  context_.run_until([] { return false; }, Instant{} + 5s);
  relay_->set_expiry(UtcTime{clock_.now_utc().unix_ms + 3'000});
  const Instant start = clock_.now();
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::expired);
  EXPECT_LE(ended_at_ - start, 4s);
}

TEST_P(RelayTest, IsCutMidWay) {
  begin(lasting(600s, 3600s));
  Heard at_server;
  spawn(hear(*server_, at_server));
  spawn(tick(*client_, 1'000, 1s));
  context_.run_until([] { return false; }, Instant{} + 5s);
  relay_->cut(Relay::End::revoked);
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::revoked);
  const std::uint64_t heard = at_server.bytes;
  context_.run_until([] { return false; }, Instant{} + 3600s);
  EXPECT_LE(at_server.bytes, heard + 1);
}

TEST_P(RelayTest, ASideThatBreaksEndsTheOther) {
  begin(lasting(600s, 3600s));
  Heard at_client;
  spawn(hear(*client_, at_client));
  context_.run_until([] { return false; }, Instant{} + 1s);
  server_->reset();
  ASSERT_TRUE(until_end());
  EXPECT_EQ(*end_, Relay::End::broken);
}

TEST_P(RelayTest, RelaysOfOneSessionShareItsBandwidth) {
  constexpr std::uint64_t kRate = 125'000;  // 1 Mbps
  constexpr std::uint64_t kBytes = 500'000;
  flow_->up = TokenBucket(kRate);
  begin(lasting(600s, 3600s));
  auto first_client = std::move(client_);
  auto first_server = std::move(server_);
  const auto first = relay_;
  begin(lasting(600s, 3600s));
  Heard one, two;
  const Instant start = clock_.now();
  spawn(hear(*first_server, one));
  spawn(hear(*server_, two));
  spawn(send(*first_client, kBytes, true));
  spawn(send(*client_, kBytes, true));
  ASSERT_TRUE(context_.run_until([&] { return one.ended && two.ended; }, Instant{} + 3600s));
  EXPECT_EQ(one.bytes + two.bytes, 2 * kBytes);
  const std::chrono::duration<double> took = std::max(one.at, two.at) - start;
  const double least = static_cast<double>(2 * kBytes - kBurstBytesMin) / kRate;
  EXPECT_GE(took.count(), least * 0.999);
  EXPECT_LE(took.count(), least * 1.05) << "and no slower than it must be";
  first->cut(Relay::End::stopped);
  relay_->cut(Relay::End::stopped);
  until_end();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RelayTest, ::testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace phase::vcp::gateway
