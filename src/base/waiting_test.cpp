// Events, alarms, memory streams and the system clock on a real io_context. The same pieces under
// virtual time: tests/simulation.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "base/event.h"
#include "base/memory_stream.h"
#include "base/system_clock.h"

namespace phase {
namespace {

// Runs a coroutine to its end; leftover work must end by itself.
template <typename F>
void run(asio::io_context& context, F body) {
  bool finished = false;
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        co_await body();
        finished = true;
      },
      asio::detached);
  context.run();
  EXPECT_TRUE(finished);
}

TEST(Event, RemembersOneNotification) {
  asio::io_context context;
  run(context, [&]() -> Task<void> {
    Event event(context.get_executor());
    event.notify();
    event.notify();
    EXPECT_TRUE(co_await event.wait());
    asio::co_spawn(
        context,
        [&]() -> Task<void> {
          event.notify();
          co_return;
        },
        asio::detached);
    EXPECT_TRUE(co_await event.wait());
  });
}

TEST(Turnstile, LetsNoMoreInThanItsLimit) {
  asio::io_context context;
  Turnstile turnstile(context.get_executor(), 2);
  SystemClock clock(context.get_executor());
  int inside = 0;
  int inside_max = 0;
  int passed = 0;
  for (int i = 0; i < 10; ++i) {
    asio::co_spawn(
        context,
        [&]() -> Task<void> {
          EXPECT_TRUE(co_await turnstile.enter());
          inside_max = std::max(inside_max, ++inside);
          static_cast<void>(co_await clock.sleep_for(1ms));
          --inside;
          ++passed;
          turnstile.leave();
        },
        asio::detached);
  }
  context.run();
  EXPECT_EQ(inside_max, 2);
  EXPECT_EQ(passed, 10);
}

TEST(Alarm, RunsOnceUnlessStopped) {
  asio::io_context context;
  SystemClock clock(context.get_executor());
  Alarm fires(clock, context.get_executor());
  Alarm stopped(clock, context.get_executor());
  Alarm stopped_asleep(clock, context.get_executor());
  int count = 0;
  bool wrong = false;
  fires.set(clock.now() + 1ms, [&] { ++count; });
  stopped.set(clock.now() + 3600s, [&] { wrong = true; });
  stopped.stop();
  run(context, [&]() -> Task<void> {
    stopped_asleep.set(clock.now() + 3600s, [&] { wrong = true; });
    static_cast<void>(co_await clock.sleep_for(5ms));
    stopped_asleep.stop();
  });
  // run() returned: no alarm left a timer behind.
  EXPECT_EQ(count, 1);
  EXPECT_FALSE(wrong);
}

TEST(MemoryStream, CarriesEverythingThroughABufferOfOneByte) {
  for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, kMemoryStreamBytes}) {
    asio::io_context context;
    MemoryStreamPair pair = make_memory_stream(context.get_executor(), limit);
    Bytes sent(10'000);
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::uint8_t>(i * 31);
    asio::co_spawn(
        context,
        [&]() -> Task<void> {
          EXPECT_TRUE((co_await pair.first->write(sent)).has_value());
          pair.first->close_write();
        },
        asio::detached);
    run(context, [&]() -> Task<void> {
      Bytes got;
      Bytes piece(33);
      while (true) {
        const Result<std::size_t> n = co_await pair.second->read(piece);
        EXPECT_TRUE(n.has_value());
        if (!n || *n == 0) break;
        got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n));
      }
      EXPECT_EQ(got, sent);
    });
  }
}

TEST(MemoryStream, AWriterWaitsForTheReaderAndAResetWakesBoth) {
  asio::io_context context;
  MemoryStreamPair pair = make_memory_stream(context.get_executor(), 4);
  const Bytes sent(5, 1);
  bool write_ended = false;
  Code write_code = Code::internal;
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        const Result<void> written = co_await pair.first->write(sent);
        write_ended = true;
        if (!written) write_code = written.error().code;
      },
      asio::detached);
  context.poll();  // run() would wait for the writer, which is outstanding work
  EXPECT_FALSE(write_ended);
  context.restart();
  pair.second->reset();
  run(context, [&]() -> Task<void> {
    Bytes piece(8);
    const Result<std::size_t> n = co_await pair.first->read(piece);
    EXPECT_EQ(n.error().code, Code::connection_closed);
  });
  EXPECT_EQ(write_code, Code::connection_closed);
}

TEST(MemoryStream, AnEndThatGoesAwayResetsUnlessItClosed) {
  asio::io_context context;
  MemoryStreamPair pair = make_memory_stream(context.get_executor());
  run(context, [&]() -> Task<void> {
    const Bytes sent{1, 2};
    EXPECT_TRUE((co_await pair.first->write(sent)).has_value());
    pair.first->close_write();
    pair.first.reset();
    Bytes piece(8);
    EXPECT_EQ((co_await pair.second->read(piece)).value(), 2U);
    EXPECT_EQ((co_await pair.second->read(piece)).value(), 0U);
    const Result<void> written = co_await pair.second->write(sent);
    EXPECT_EQ(written.error().code, Code::connection_closed);
  });
  MemoryStreamPair dropped = make_memory_stream(context.get_executor());
  context.restart();
  run(context, [&]() -> Task<void> {
    dropped.first.reset();
    Bytes piece(8);
    const Result<std::size_t> n = co_await dropped.second->read(piece);
    EXPECT_EQ(n.error().code, Code::connection_closed);
  });
}

}  // namespace
}  // namespace phase
