#include "vcp/server/front.h"

#include <array>
#include <charconv>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sodium.h>

#include "base/bytes.h"
#include "base/waiters.h"
#include "vcp/accounts/token.h"

namespace phase::vcp {
namespace {

using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPieceBytes = 16_KiB;

/// Two connections that carry the same bytes.
struct Pair {
  explicit Pair(tcp::socket from) : client(std::move(from)), leader(client.get_executor()) {}
  void close() {
    boost::system::error_code ignored;
    client.close(ignored);
    leader.close(ignored);
  }
  tcp::socket client, leader;
  int open = 2;  // directions
};

/// Until `from` ends; then `to` is told, and both are closed once the other direction ended too.
Task<void> carry(std::shared_ptr<Pair> pair, tcp::socket& from, tcp::socket& to) {
  std::array<std::uint8_t, kPieceBytes> piece{};
  bool broken = false;
  while (!broken) {
    auto [error, count] = co_await from.async_read_some(asio::buffer(piece), kAwait);
    if (error) {
      broken = error != asio::error::eof;
      break;
    }
    auto [refused, written] = co_await asio::async_write(to, asio::buffer(piece, count), kAwait);
    broken = static_cast<bool>(refused);
  }
  boost::system::error_code ignored;
  to.shutdown(tcp::socket::shutdown_send, ignored);
  if (--pair->open == 0 || broken) pair->close();
}

}  // namespace

std::string introduction(const FrontKey& key, std::string_view client) {
  const std::string who = "PHASE/1 " + std::string(client);
  return std::string(1, '\0') + who + " " + hmac_sha256(key, who).hex() + "\n";
}

std::optional<std::string> introduced(const FrontKey& key, std::string_view line) {
  constexpr std::string_view kBegin = "PHASE/1 ";
  const std::size_t last = line.rfind(' ');
  if (!line.starts_with(kBegin) || last == std::string_view::npos || last < kBegin.size()) {
    return std::nullopt;
  }
  const std::string wanted = hmac_sha256(key, line.substr(0, last)).hex();
  const std::string_view mark = line.substr(last + 1);
  if (mark.size() != wanted.size() ||
      sodium_memcmp(mark.data(), wanted.data(), wanted.size()) != 0) {
    return std::nullopt;
  }
  return std::string(line.substr(kBegin.size(), last - kBegin.size()));
}

Result<FrontAddress> front_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  FrontAddress out;
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    out.host = text.substr(0, colon);
    if (out.host.starts_with('[') && out.host.ends_with(']')) {
      out.host = out.host.substr(1, out.host.size() - 2);
    }
    const bool whole = error == std::errc() && end == port.data() + port.size();
    if (whole && out.port != 0 && !out.host.empty()) return out;
  }
  return fail(Code::invalid_argument, "\"" + printable(text) + "\" is no host:port");
}

struct Front::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor on, Clock& time, const FrontKey& with)
      : executor(on), clock(time), key(with), acceptor(on), resolver(on), changed(time, on) {}

  static Task<void> accept(std::shared_ptr<State> self);
  static Task<void> serve(std::shared_ptr<State> self, tcp::socket socket);
  [[nodiscard]] Task<bool> introduce(Pair& pair);
  [[nodiscard]] Task<bool> connect(tcp::socket& socket, Deadline deadline);
  void close();

  asio::any_io_executor executor;
  Clock& clock;
  FrontKey key;
  tcp::acceptor acceptor;
  tcp::resolver resolver;
  std::optional<FrontAddress> leader;
  std::set<std::shared_ptr<Pair>> pairs;
  Waiters changed;  // the leader, or the number of pairs
  bool closed = false;
};

void Front::State::close() {
  closed = true;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  resolver.cancel();
  for (const auto& pair : pairs) pair->close();
  changed.notify_all();
}

Task<void> Front::State::accept(std::shared_ptr<State> self) {
  while (!self->closed) {
    if (self->pairs.size() >= kFrontConnectionsMax) {
      static_cast<void>(co_await self->changed.wait());
      continue;
    }
    auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
    if (self->closed) co_return;
    if (error) {
      // Out of descriptors, or a connection that was gone already.
      constexpr auto kBreath = 100ms;
      const Deadline until = self->clock.deadline_after(kBreath);
      static_cast<void>(co_await self->changed.wait(until));
      continue;
    }
    asio::co_spawn(self->executor, serve(self, std::move(socket)), asio::detached);
  }
}

/// To whoever leads, also one that only begins to.
Task<bool> Front::State::connect(tcp::socket& socket, Deadline deadline) {
  constexpr auto kBreath = 200ms;
  while (!closed && clock.now() < deadline.at) {
    if (leader) {
      const std::string host = leader->host;
      const std::string port = std::to_string(leader->port);
      auto [unknown, found] = co_await resolver.async_resolve(host, port, kAwait);
      for (const auto& entry : found) {
        boost::system::error_code ignored;
        socket.close(ignored);
        const auto [error] = co_await socket.async_connect(entry.endpoint(), kAwait);
        if (!error) co_return true;
      }
    }
    const Deadline until = std::min(deadline, clock.deadline_after(kBreath),
                                    [](const auto& a, const auto& b) { return a.at < b.at; });
    static_cast<void>(co_await changed.wait(until));
  }
  co_return false;
}

/// Tells the leader whose connection it is.
Task<bool> Front::State::introduce(Pair& pair) {
  boost::system::error_code gone;
  asio::ip::address client = pair.client.remote_endpoint(gone).address();
  if (gone) co_return false;
  if (client.is_v6() && client.to_v6().is_v4_mapped()) {
    client = asio::ip::make_address_v4(asio::ip::v4_mapped, client.to_v6());
  }
  const std::string line = introduction(key, client.to_string());
  auto [error, written] = co_await asio::async_write(pair.leader, asio::buffer(line), kAwait);
  co_return !error;
}

Task<void> Front::State::serve(std::shared_ptr<State> self, tcp::socket socket) {
  const auto pair = std::make_shared<Pair>(std::move(socket));
  self->pairs.insert(pair);
  const Deadline deadline = self->clock.deadline_after(kFrontPatience);
  bool there = co_await self->connect(pair->leader, deadline);
  if (there) there = co_await self->introduce(*pair);
  if (there && !self->closed) {
    boost::system::error_code ignored;
    for (tcp::socket* one : {&pair->client, &pair->leader}) {
      one->set_option(tcp::no_delay(true), ignored);
      one->set_option(asio::socket_base::keep_alive(true), ignored);
    }
    asio::co_spawn(self->executor, carry(pair, pair->client, pair->leader), asio::detached);
    co_await carry(pair, pair->leader, pair->client);
    // The client may still send; the leader has said all.
    pair->close();
  } else {
    pair->close();
  }
  self->pairs.erase(pair);
  self->changed.notify_all();
}

Front::Front(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Front>> Front::start(asio::any_io_executor executor, Clock& clock,
                                            FrontAddress listen, const FrontKey& key) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(listen.host, error);
  if (error) {
    return fail(Code::invalid_argument, "\"" + printable(listen.host) + "\" is no IP address",
                "--listen 127.0.0.1:3000");
  }
  auto state = std::make_shared<State>(executor, clock, key);
  const tcp::endpoint endpoint(address, listen.port);
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(error == asio::error::address_in_use ? Code::already_exists : Code::io,
                "cannot listen on port " + std::to_string(listen.port) + ": " + error.message(),
                "choose another --listen");
  }
  asio::co_spawn(executor, State::accept(state), asio::detached);
  return std::unique_ptr<Front>(new Front(std::move(state)));
}

Front::~Front() {
  state_->close();
}

void Front::set_leader(FrontAddress leader) {
  state_->leader = std::move(leader);
  state_->changed.notify_all();
}

std::uint16_t Front::port() const noexcept {
  boost::system::error_code ignored;
  return state_->acceptor.local_endpoint(ignored).port();
}

}  // namespace phase::vcp
