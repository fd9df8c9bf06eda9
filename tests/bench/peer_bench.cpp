// What the way between two nodes costs: connecting, opening a stream, an echo, a long transfer, and
// finding a provider over a bootstrap peer. Both nodes in one process, over loopback; beside each
// figure the same over a bare TCP socket of the same event loop, in the same run.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/check.h"
#include "base/event.h"
#include "base/random.h"
#include "base/system_clock.h"
#include "peer/peer.h"
#include "tests/bench/samples.h"

namespace phase::bench {
namespace {

using asio::ip::tcp;

constexpr const char* kEcho = "/phase/bench/echo/1";
constexpr const char* kSink = "/phase/bench/sink/1";
constexpr int kConnects = 20;
constexpr int kOpens = 200;
constexpr int kEchoes = 2'000;
constexpr std::size_t kTransferBytes = 256_MiB;
constexpr int kDiscoveries = 10;
constexpr std::size_t kIdle = 200;
constexpr const char* kHold = "/phase/bench/hold/1";

/// What the figures of one way are compared by.
struct Figures {
  Samples connect, open, echo;
  double mib_per_second = 0;
  double idle_descriptors = 0, idle_kib = 0;  ///< of one end of an open stream
};

/// The same when a stream was a socket pair (decision 11): medians of microseconds and MiB/s of
/// four runs on one core (`taskset -c 1`), in turns with the first without it. On several cores the
/// kernel's choice of core for each wake-up moves an echo between 40 and 240 us, in either.
struct SocketPair {
  double open, echo, mib_per_second;
};
constexpr SocketPair kQuicBefore{.open = 167, .echo = 39, .mib_per_second = 211};
constexpr SocketPair kTcpBefore{.open = 154, .echo = 38.7, .mib_per_second = 376};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// PSS of this process.
double pss_kib() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Pss:")) return std::stod(line.substr(4));
  }
  return 0;
}

/// A peer's stream or a bare socket: both are driven by the same lines. Passed by name, never as a
/// temporary of a co_await, which g++ 12 destroys twice.
struct Way {
  std::function<Task<Result<std::size_t>>(std::span<std::uint8_t>)> read;
  std::function<Task<Result<void>>(ByteView)> write;
};

Task<void> echo_64(Way way, Samples& samples) {
  std::array<std::uint8_t, 64> bytes{};
  for (int i = 0; i < kEchoes; ++i) {
    const Timed timed(samples);
    PHASE_CHECK((co_await way.write(bytes)).has_value());
    std::size_t got = 0;
    while (got < bytes.size()) {
      const auto count = co_await way.read(std::span(bytes).subspan(got));
      PHASE_CHECK(count.has_value() && *count > 0);
      got += *count;
    }
  }
}

/// Writes everything, then waits for the one byte that says it was all read.
Task<double> transfer(Way way) {
  const Bytes chunk(256_KiB);
  const auto begin = Samples::Clock::now();
  for (std::size_t sent = 0; sent < kTransferBytes; sent += chunk.size()) {
    PHASE_CHECK((co_await way.write(chunk)).has_value());
  }
  std::array<std::uint8_t, 1> done{};
  PHASE_CHECK((co_await way.read(done)).has_value());
  const std::chrono::duration<double> took = Samples::Clock::now() - begin;
  co_return static_cast<double>(kTransferBytes) / (1 << 20) / took.count();
}

Way way_of(ByteStream& stream) {
  return {[&stream](std::span<std::uint8_t> out) { return stream.read(out); },
          [&stream](ByteView bytes) { return stream.write(bytes); }};
}

Task<void> serve_echo(Way way) {
  Bytes buffer(64_KiB);
  while (true) {
    const auto count = co_await way.read(buffer);
    if (!count || *count == 0) co_return;
    if (!co_await way.write(ByteView(buffer).first(*count))) co_return;
  }
}

Task<void> serve_sink(Way way) {
  Bytes buffer(256_KiB);
  for (std::size_t got = 0; got < kTransferBytes;) {
    const auto count = co_await way.read(buffer);
    if (!count || *count == 0) co_return;
    got += *count;
  }
  static_cast<void>(co_await way.write(ByteView(buffer).first(1)));
}

class PeerBench {
 public:
  explicit PeerBench(asio::io_context& io) : io_(io), clock_(io.get_executor()) {}

  Task<void> run() {
    const Figures bare = co_await over_sockets();
    const Figures quic = co_await over_peers("/ip4/127.0.0.1/udp/0/quic-v1");
    const Figures tls = co_await over_peers("/ip4/127.0.0.1/tcp/0");
    bare.connect.print("peer/connect/bare_tcp");
    bare.echo.print("peer/echo/bare_tcp");
    std::printf("%-58s %10.0f MiB/s\n", "peer/throughput/bare_tcp", bare.mib_per_second);
    compare("quic", quic, bare);
    before("quic", quic, kQuicBefore);
    compare("tcp", tls, bare);
    before("tcp", tls, kTcpBefore);
    co_await discovery();
  }

 private:
  static void compare(const std::string& name, const Figures& peer, const Figures& bare) {
    peer.connect.print("peer/connect/" + name);
    peer.open.print("peer/open/" + name);
    peer.echo.print("peer/echo/" + name);
    std::printf("%-58s %10.0f MiB/s\n", ("peer/throughput/" + name).c_str(), peer.mib_per_second);
    print_ratio("peer/connect_ratio/" + name, peer.connect.p50(), bare.connect.p50());
    print_ratio("peer/echo_ratio/" + name, peer.echo.p50(), bare.echo.p50());
    print_ratio("peer/throughput_ratio/" + name, bare.mib_per_second, peer.mib_per_second);
  }

  static void before(const std::string& name, const Figures& now, const SocketPair& old) {
    std::printf("%-58s %10.2f descriptors, %.1f KiB\n", ("peer/idle_stream/" + name).c_str(),
                now.idle_descriptors, now.idle_kib);
    print_ratio("peer/open_to_socket_pair/" + name, now.open.p50(), old.open);
    print_ratio("peer/echo_to_socket_pair/" + name, now.echo.p50(), old.echo);
    print_ratio("peer/throughput_to_socket_pair/" + name, now.mib_per_second, old.mib_per_second);
  }

  Deadline soon() { return clock_.deadline_after(30s); }

  Task<std::unique_ptr<peer::Peer>> start(peer::Options options) {
    const auto key = identity::KeyPair::generate(random_);
    options.mdns = false;
    auto peer = co_await peer::Peer::start(io_.get_executor(), key, std::move(options));
    PHASE_CHECK(peer.has_value());
    co_return *std::move(peer);
  }
  static peer::Options listening(const char* address) {
    peer::Options options;
    options.listen.clear();
    options.streams_per_peer_max = 2 * kIdle;
    if (address != nullptr) options.listen.emplace_back(address);
    return options;
  }

  template <Task<void> (*serve)(Way)>
  peer::Peer::StreamHandler handler() {
    return [this](std::unique_ptr<ByteStream> stream, const identity::PublicKey&) {
      auto keep = [](std::unique_ptr<ByteStream> mine) -> Task<void> {
        Way way = way_of(*mine);
        co_await serve(std::move(way));
        mine->close_write();
      };
      asio::co_spawn(io_, keep(std::move(stream)), asio::detached);
    };
  }

  Task<Figures> over_peers(const char* address) {
    Figures out;
    auto server = co_await start(listening(address));
    server->handle(kEcho, handler<serve_echo>());
    server->handle(kSink, handler<serve_sink>());
    const std::string there = server->listen_addresses().at(0);
    for (int i = 0; i < kConnects; ++i) {
      auto client = co_await start(listening(nullptr));
      const Timed timed(out.connect);
      PHASE_CHECK((co_await client->dial(there, soon())).has_value());
    }
    auto client = co_await start(listening(nullptr));
    const auto who = co_await client->dial(there, soon());
    PHASE_CHECK(who.has_value());
    co_await idle(*server, *client, *who, out);
    for (int i = 0; i < kOpens; ++i) {
      const Timed timed(out.open);
      PHASE_CHECK((co_await client->open(*who, kEcho, soon())).has_value());
    }
    auto stream = co_await client->open(*who, kEcho, soon());
    PHASE_CHECK(stream.has_value());
    Way way = way_of(**stream);
    co_await echo_64(std::move(way), out.echo);
    stream = co_await client->open(*who, kSink, soon());
    PHASE_CHECK(stream.has_value());
    Way long_way = way_of(**stream);
    out.mib_per_second = co_await transfer(std::move(long_way));
    co_return out;
  }

  /// Of open streams that nobody uses; both ends are in this process.
  Task<void> idle(peer::Peer& server, peer::Peer& client, identity::PublicKey who, Figures& out) {
    std::vector<std::unique_ptr<ByteStream>> streams;
    Event arrived(io_.get_executor());
    server.handle(kHold, [&](std::unique_ptr<ByteStream> stream, const identity::PublicKey&) {
      streams.push_back(std::move(stream));
      arrived.notify();
    });
    const std::size_t descriptors = open_descriptors();
    const double kib = pss_kib();
    for (std::size_t i = 0; i < kIdle; ++i) {
      auto stream = co_await client.open(who, kHold, soon());
      PHASE_CHECK(stream.has_value());
      streams.push_back(*std::move(stream));
    }
    while (streams.size() < 2 * kIdle) PHASE_CHECK(co_await arrived.wait());
    constexpr double kEnds = 2.0 * kIdle;
    out.idle_descriptors = static_cast<double>(open_descriptors() - descriptors) / kEnds;
    out.idle_kib = (pss_kib() - kib) / kEnds;
  }

  static Way way_of_socket(tcp::socket& socket) {
    return {[&socket](std::span<std::uint8_t> out) { return read(socket, out); },
            [&socket](ByteView bytes) { return write(socket, bytes); }};
  }
  static Task<Result<std::size_t>> read(tcp::socket& socket, std::span<std::uint8_t> out) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(out.data(), out.size()),
                                                          asio::as_tuple(asio::use_awaitable));
    if (error) co_return fail(Code::connection_closed, error.message());
    co_return count;
  }
  static Task<Result<void>> write(tcp::socket& socket, ByteView bytes) {
    auto [error, count] = co_await asio::async_write(
        socket, asio::buffer(bytes.data(), bytes.size()), asio::as_tuple(asio::use_awaitable));
    if (error) co_return fail(Code::connection_closed, error.message());
    co_return Result<void>{};
  }

  /// A connected pair; the accepting end runs `serve`.
  Task<std::unique_ptr<tcp::socket>> connect(tcp::acceptor& acceptor, Task<void> (*serve)(Way),
                                             Samples* samples) {
    auto accept = [this, &acceptor, serve]() -> Task<void> {
      auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
      PHASE_CHECK(!error);
      socket.set_option(tcp::no_delay(true));
      Way way = way_of_socket(socket);
      co_await serve(std::move(way));
    };
    asio::co_spawn(io_, accept, asio::detached);
    auto socket = std::make_unique<tcp::socket>(io_);
    const auto begin = Samples::Clock::now();
    auto [error] = co_await socket->async_connect(acceptor.local_endpoint(),
                                                  asio::as_tuple(asio::use_awaitable));
    PHASE_CHECK(!error);
    if (samples != nullptr) samples->add(Samples::Clock::now() - begin);
    socket->set_option(tcp::no_delay(true));
    co_return socket;
  }

  Task<Figures> over_sockets() {
    Figures out;
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    for (int i = 0; i < kConnects; ++i) {
      static_cast<void>(co_await connect(acceptor, serve_echo, &out.connect));
    }
    const auto echoing = co_await connect(acceptor, serve_echo, nullptr);
    Way way = way_of_socket(*echoing);
    co_await echo_64(std::move(way), out.echo);
    const auto sinking = co_await connect(acceptor, serve_sink, nullptr);
    Way long_way = way_of_socket(*sinking);
    out.mib_per_second = co_await transfer(std::move(long_way));
    co_return out;
  }

  /// From the start of a requester that knows one bootstrap peer to the key of a provider.
  Task<void> discovery() {
    constexpr const char* kKey = "/phase/capability/2/wasm/x86_64/0";
    auto bootstrap = co_await start(listening("/ip4/127.0.0.1/udp/0/quic-v1"));
    peer::Options knowing = listening("/ip4/127.0.0.1/udp/0/quic-v1");
    knowing.bootstrap = bootstrap->listen_addresses();
    auto provider = co_await start(knowing);
    PHASE_CHECK((co_await provider->provide(kKey)).has_value());
    Samples samples;
    for (int i = 0; i < kDiscoveries + 1; ++i) {
      peer::Options asking = listening(nullptr);
      asking.bootstrap = bootstrap->listen_addresses();
      std::optional<Timed> timed;
      // The first one waits for the provider's own announcement, which is not measured.
      Samples unused;
      timed.emplace(i == 0 ? unused : samples);
      auto requester = co_await start(std::move(asking));
      while (true) {
        const auto found = co_await requester->find_providers(kKey, soon());
        if (found && !found->empty()) break;
        static_cast<void>(co_await clock_.sleep_for(1ms));
      }
      timed.reset();
    }
    samples.print("peer/discovery_by_dht");
  }

  asio::io_context& io_;
  SystemClock clock_;
  SystemRandom random_;
};

}  // namespace
}  // namespace phase::bench

int main() {
  boost::asio::io_context io;
  phase::bench::PeerBench bench(io);
  boost::asio::co_spawn(io, bench.run(), [&io](std::exception_ptr error) {
    if (error) std::abort();
    io.stop();
  });
  io.run();
}
