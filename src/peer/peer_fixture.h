// peer_fixture.h — nodes in one process for the tests of src/peer.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "base/event.h"
#include "base/random.h"
#include "base/system_clock.h"
#include "peer/peer.h"

#define CO_ASSERT(condition)                \
  if (!(condition)) {                       \
    ADD_FAILURE() << "not so: " #condition; \
    co_return;                              \
  }
#define CO_ASSERT_OK(result)                  \
  if (!(result)) {                            \
    ADD_FAILURE() << (result).error().text(); \
    co_return;                                \
  }

namespace phase::peer {

inline constexpr const char* kEcho = "/phase/test/echo/1";
inline constexpr const char* kQuicLoopback = "/ip4/127.0.0.1/udp/0/quic-v1";
inline constexpr const char* kTcpLoopback = "/ip4/127.0.0.1/tcp/0";
inline constexpr const char* kWebSocketLoopback = "/ip4/127.0.0.1/tcp/0/ws";

/// Options that listen on `address` alone, or not at all.
inline Options listening_on(const std::string& address) {
  Options options;
  options.listen.assign(1, address);
  return options;
}
inline Options not_listening() {
  Options options;
  options.listen.clear();
  return options;
}

/// Reads to the end.
inline Task<Result<Bytes>> read_all(ByteStream& stream) {
  Bytes all;
  Bytes buffer(65'536);
  while (true) {
    PHASE_CO_TRY(const std::size_t count, co_await stream.read(buffer));
    if (count == 0) co_return all;
    all.insert(all.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

/// Sends back what comes, to the end.
inline Task<void> echo(std::unique_ptr<ByteStream> stream) {
  Bytes buffer(65'536);
  while (true) {
    const Result<std::size_t> count = co_await stream->read(buffer);
    if (!count) co_return;
    if (*count == 0) break;
    const auto sent = co_await stream->write(ByteView(buffer).first(*count));
    if (!sent) co_return;
  }
  stream->close_write();
}

/// Bytes that differ from place to place.
inline Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (std::uint8_t& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

class PeerTest : public testing::Test {
 protected:
  /// Runs a test written as a coroutine; a minute is a failure.
  void run(std::function<Task<void>()> body) {
    bool ended = false;
    asio::co_spawn(io_, std::move(body), [this, &ended](std::exception_ptr error) {
      if (error) ADD_FAILURE() << "the test threw";
      ended = true;
      io_.stop();
    });
    io_.run_for(std::chrono::seconds(60));
    EXPECT_TRUE(ended) << "the test did not end";
  }

  Deadline in(Duration time) { return clock_.deadline_after(time); }

  /// A node with a key of its own; no mDNS, which is for other machines.
  Task<std::unique_ptr<Peer>> start_peer(Options options) {
    auto key = identity::KeyPair::generate(random_);
    options.mdns = false;
    auto peer = co_await Peer::start(io_.get_executor(), key, std::move(options));
    if (!peer) {
      ADD_FAILURE() << peer.error().text();
      std::abort();
    }
    co_return *std::move(peer);
  }

  Peer::StreamHandler echo_handler() {
    return [this](std::unique_ptr<ByteStream> stream, const identity::PublicKey&) {
      asio::co_spawn(io_, echo(std::move(stream)), asio::detached);
    };
  }

  /// Writes `bytes`, ends, and reads to the end, at the same time.
  Task<Result<Bytes>> exchange(ByteStream& stream, const Bytes& bytes) {
    auto send = [](ByteStream& to, const Bytes& what) -> Task<void> {
      const auto sent = co_await to.write(what);
      EXPECT_TRUE(sent.has_value());
      to.close_write();
    };
    asio::co_spawn(io_, send(stream, bytes), asio::detached);
    co_return co_await read_all(stream);
  }

  asio::io_context io_;
  SystemClock clock_{io_.get_executor()};
  SystemRandom random_;
};

}  // namespace phase::peer
