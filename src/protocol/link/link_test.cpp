#include "protocol/link/link.h"

#include <gtest/gtest.h>

#include "base/memory_stream.h"
#include "tests/simulation/stage.h"

namespace phase::link {
namespace {

using simulation::Stage;

struct Ends {
  explicit Ends(Stage& stage, LinkLimits limits = {}, std::size_t bytes = kMemoryStreamBytes) {
    MemoryStreamPair pair = make_memory_stream(stage.context.get_executor(), bytes);
    link = Link::make(std::move(pair.first), stage.clock, stage.context.get_executor(), limits);
    other = std::move(pair.second);
  }
  std::shared_ptr<Link> link;
  std::unique_ptr<ByteStream> other;
};

offer::Frame stdin_frame(std::size_t size, std::uint8_t fill) {
  offer::StdinData data;
  data.data.assign(size, fill);
  return data;
}

TEST(Link, BeatsAfterFiveSecondsWithoutAnotherFrame) {
  Stage stage;
  Ends ends(stage);
  ends.link->watch();
  EXPECT_TRUE(stage.play([&]() -> Task<void> {
    for (int beat = 1; beat <= 3; ++beat) {
      const auto frame = co_await offer::read_frame(*ends.other);
      EXPECT_TRUE(frame && std::holds_alternative<offer::Heartbeat>(*frame));
      EXPECT_EQ(stage.clock.now().ns / 1'000'000'000, 5 * beat);
    }
    // A frame of ours counts as a sign of life: the next beat comes 5 s after it.
    static_cast<void>(co_await stage.clock.sleep_for(3s));
    const offer::Frame end = offer::StdinEnd{};
    EXPECT_TRUE((co_await ends.link->write(end)).has_value());
    static_cast<void>(co_await offer::read_frame(*ends.other));
    const auto frame = co_await offer::read_frame(*ends.other);
    EXPECT_TRUE(frame && std::holds_alternative<offer::Heartbeat>(*frame));
    EXPECT_EQ(stage.clock.now().ns / 1'000'000'000, 23);
    ends.link->reset({Code::cancelled, "enough", {}});
  }));
  EXPECT_TRUE(stage.settle());
}

TEST(Link, GivesUpAfterTwentySecondsOfSilenceAndSaysSo) {
  Stage stage;
  Ends ends(stage);
  ends.link->watch();
  EXPECT_TRUE(stage.play([&]() -> Task<void> {
    const Result<offer::Frame> frame = co_await ends.link->read();
    EXPECT_EQ(frame.error().code, Code::timed_out);
    EXPECT_EQ(stage.clock.now().ns, 20'000'000'000);
  }));
  EXPECT_TRUE(stage.settle());
}

TEST(Link, HeartbeatsKeepItAliveAndAreNotHandedOut) {
  Stage stage;
  Ends ends(stage);
  ends.link->watch();
  stage.start([&]() -> Task<void> {
    for (int i = 0; i < 4; ++i) {
      static_cast<void>(co_await stage.clock.sleep_for(15s));
      const offer::Frame beat = offer::Heartbeat{};
      EXPECT_TRUE((co_await offer::write_frame(*ends.other, beat)).has_value());
    }
    const offer::Frame end = offer::End{};
    EXPECT_TRUE((co_await offer::write_frame(*ends.other, end)).has_value());
  });
  EXPECT_TRUE(stage.play([&]() -> Task<void> {
    const Result<offer::Frame> frame = co_await ends.link->read();
    EXPECT_TRUE(frame && std::holds_alternative<offer::End>(*frame));
    EXPECT_EQ(stage.clock.now().ns, 60'000'000'000);
    ends.link->reset({Code::cancelled, "enough", {}});
  }));
  EXPECT_TRUE(stage.settle());
}

TEST(Link, SilenceIsNotCountedWhileNobodyReads) {
  Stage stage;
  Ends ends(stage);
  ends.link->watch();
  stage.start([&]() -> Task<void> {  // takes what the link sends, says nothing
    Bytes sink(64);
    while ((co_await ends.other->read(sink)).value_or(0) > 0) {
    }
  });
  EXPECT_TRUE(stage.play([&]() -> Task<void> {
    static_cast<void>(co_await stage.clock.sleep_for(300s));
    EXPECT_FALSE(ends.link->broken());
    static_cast<void>(co_await ends.link->read());
    EXPECT_EQ(stage.clock.now().ns, 320'000'000'000);
  }));
  EXPECT_TRUE(stage.settle());
}

TEST(Link, AnOtherSideThatDoesNotReadIsGivenUpWhereALimitIsSet) {
  for (const bool limited : {true, false}) {
    Stage stage;
    LinkLimits limits;
    if (limited) limits.stall_max = 20s;
    Ends ends(stage, limits, 100);
    ends.link->watch();
    bool ended = false;
    Code code = Code::internal;
    stage.start([&]() -> Task<void> {
      const offer::Frame frame = stdin_frame(1000, 1);
      const Result<void> written = co_await ends.link->write(frame);
      ended = true;
      if (!written) code = written.error().code;
    });
    stage.context.run_until([] { return false; }, Instant{60'000'000'000});
    EXPECT_EQ(ended, limited);
    EXPECT_EQ(code, limited ? Code::timed_out : Code::internal);
    ends.link->reset({Code::cancelled, "enough", {}});
    EXPECT_TRUE(stage.settle());
  }
}

TEST(Link, FramesOfManyWritersDoNotMix) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Stage stage(seed);
    Ends ends(stage, {}, 1 + seed);
    constexpr int kWriters = 5;
    for (int writer = 0; writer < kWriters; ++writer) {
      stage.start([&ends, writer]() -> Task<void> {
        for (int i = 0; i < 3; ++i) {
          const offer::Frame frame = stdin_frame(10U + static_cast<std::size_t>(writer),
                                                 static_cast<std::uint8_t>(writer));
          EXPECT_TRUE((co_await ends.link->write(frame)).has_value());
        }
      });
    }
    EXPECT_TRUE(stage.play([&]() -> Task<void> {
      for (int i = 0; i < kWriters * 3; ++i) {
        const auto frame = co_await offer::read_frame(*ends.other);
        EXPECT_TRUE(frame.has_value());
        if (!frame) co_return;
        const Bytes& data = std::get<offer::StdinData>(*frame).data;
        EXPECT_EQ(data, Bytes(10U + data[0], data[0]));
      }
    }));
    EXPECT_TRUE(stage.settle());
  }
}

TEST(Link, TheFirstReasonOfAResetStaysForReaderAndWriter) {
  Stage stage;
  Ends ends(stage);
  ends.link->reset({Code::protocol, "first", {}});
  ends.link->reset({Code::cancelled, "second", {}});
  EXPECT_TRUE(stage.play([&]() -> Task<void> {
    const offer::Frame end = offer::End{};
    EXPECT_EQ((co_await ends.link->write(end)).error().message, "first");
    EXPECT_EQ((co_await ends.link->read()).error().message, "first");
  }));
}

}  // namespace
}  // namespace phase::link
