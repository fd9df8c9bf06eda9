#include "api/http/server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/http/state.h"

namespace phase::http {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr int kBacklog = 128;
/// After an accept that failed (no descriptors left) we wait this long.
constexpr Duration kAcceptPause = 100ms;

Code code_of(const boost::system::error_code& error) {
  if (error == asio::error::access_denied || error == asio::error::no_permission) {
    return Code::permission_denied;
  }
  return error == asio::error::address_in_use ? Code::already_exists : Code::io;
}

/// Says 503 without waiting and drops the connection.
void turn_away(const Router& router, Socket socket) {
  const Response busy =
      router.error({Code::busy, "too many connections", "close one, or try again"}, "");
  const std::string text =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1"
      "\r\nContent-Type: " +
      busy.content_type + "\r\nContent-Length: " + std::to_string(busy.body.size()) + "\r\n\r\n" +
      busy.body;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
}

template <typename Acceptor>
Task<void> accept_loop(std::shared_ptr<Server::State> state, Acceptor& acceptor,
                       std::shared_ptr<const Door> door) {
  asio::steady_timer pause(state->executor);
  while (!state->closed && !state->draining) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (state->closed || state->draining || error == asio::error::operation_aborted) {
      co_return;
    }
    if (error) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    if (state->connections.size() >= state->limits.connections_max) {
      if (door->tls == nullptr) {  // a handshake would cost what there is too much of
        turn_away(state->router, Socket(std::move(socket)));
      }
      continue;
    }
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
      socket.set_option(asio::ip::tcp::no_delay(true), error);  // only slower when it fails
    }
    state->serve(Socket(std::move(socket)), door);
  }
}

/// True when somebody accepts connections on this socket.
bool answers(asio::any_io_executor executor, const std::filesystem::path& path) {
  asio::local::stream_protocol::socket probe(executor);
  boost::system::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path.string()), error);
  return !error;
}

Result<void> make_room(asio::any_io_executor executor, const std::filesystem::path& path) {
  std::error_code error;
  const auto folder = path.parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    if (!std::filesystem::create_directories(folder, error) && error) {
      return fail(Code::io, "cannot make the folder " + folder.string() + ": " + error.message());
    }
    if (::chmod(folder.c_str(), 0700) != 0) {
      return fail_errno(errno, "cannot make the folder " + folder.string() + " private");
    }
  }
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0) {
    return {};
  }
  if (!S_ISSOCK(facts.st_mode)) {
    return fail(Code::already_exists, path.string() + " exists and is not a socket",
                "choose another path");
  }
  if (answers(std::move(executor), path)) {
    return fail(Code::already_exists, "another daemon answers on " + path.string(),
                "stop it, or choose another socket");
  }
  if (::unlink(path.c_str()) != 0) {
    return fail_errno(errno, "cannot replace the stale socket " + path.string());
  }
  return {};
}

Result<void> give_to_group(const std::filesystem::path& path, const std::string& name) {
  const group* entry =
      ::getgrnam(name.c_str());  // at start, before other threads of ours look names up
  if (entry == nullptr) {
    return fail(Code::invalid_argument, "there is no group " + printable(name, 64));
  }
  if (::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
    return fail_errno(errno, "cannot give " + path.string() + " to the group " + name);
  }
  return {};
}

/// Nothing when no request needs a token.
Result<std::shared_ptr<const Tokens>> hashed_tokens(const TcpListen& where) {
  auto out = std::make_shared<Tokens>();
  const auto add = [&out](const std::string& token) -> Result<void> {
    if (token.size() < kTokenBytesMin) {
      return fail(Code::invalid_argument, "the control API's token has fewer than " +
                                              std::to_string(kTokenBytesMin) + " bytes");
    }
    out->push_back(sha256(as_bytes(token)));
    return {};
  };
  if (where.token_optional && where.token.empty() && where.tokens.empty()) {
    return nullptr;
  }
  if (!where.token.empty() || where.tokens.empty()) {
    PHASE_TRY_VOID(add(where.token));
  }
  for (const std::string& token : where.tokens) {
    PHASE_TRY_VOID(add(token));
  }
  return out;
}

}  // namespace

Server::Server(asio::any_io_executor executor, Router router, ServerLimits limits,
               AccessPolicy access)
    : state_(std::make_shared<State>(std::move(executor), std::move(router), limits,
                                     std::move(access))) {}

Server::~Server() {
  state_->closed = true;
  state_->stop_listening();
  for (const ConnectionHandle& connection : state_->connections) {
    connection.close();
  }
}

void Server::drain() {
  state_->draining = true;
  state_->stop_listening();
  for (const ConnectionHandle& connection : state_->connections) {
    connection.close_when_idle();
  }
}

void Server::State::stop_listening() {
  boost::system::error_code ignored;
  if (unix_acceptor && unix_acceptor->is_open()) {
    unix_acceptor->close(ignored);
    ::unlink(socket_path.c_str());
  }
  for (auto& acceptor : tcp_acceptors) {
    acceptor.close(ignored);
  }
}

Result<void> Server::listen(const UnixListen& where) {
  asio::local::stream_protocol::endpoint endpoint;
  try {
    endpoint = asio::local::stream_protocol::endpoint(where.path.string());
  } catch (const std::exception&) {
    return fail(Code::invalid_argument,
                "the path " + where.path.string() + " is too long for a socket",
                "at most 107 bytes; choose a shorter one");
  }
  PHASE_TRY_VOID(make_room(state_->executor, where.path));
  boost::system::error_code error;
  auto& acceptor = state_->unix_acceptor.emplace(state_->executor);
  acceptor.open(endpoint.protocol(), error);
  // The mode before the first listen: from then on it can be connected to.
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (error) {
    state_->unix_acceptor.reset();
    return fail(code_of(error), "cannot listen on " + where.path.string() + ": " + error.message());
  }
  state_->socket_path = where.path;
  if (::chmod(where.path.c_str(), 0660) != 0) {
    return fail_errno(errno, "cannot set the mode of " + where.path.string());
  }
  if (!where.group.empty()) {
    PHASE_TRY_VOID(give_to_group(where.path, where.group));
  }
  acceptor.listen(kBacklog, error);
  if (error) {
    return fail(code_of(error), "cannot listen on " + where.path.string() + ": " + error.message());
  }
  asio::co_spawn(state_->executor, accept_loop(state_, acceptor, std::make_shared<const Door>()),
                 asio::detached);
  return {};
}

Result<std::uint16_t> Server::listen(const TcpListen& where) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(where.address, error);
  if (error) {
    return fail(Code::invalid_argument,
                "this is no address to listen on: " + printable(where.address, 64));
  }
  if (!where.any_address && !address.is_loopback()) {
    return fail(Code::invalid_argument,
                "the control API listens on loopback addresses only, not on " +
                    printable(where.address, 64),
                "use 127.0.0.1 or ::1");
  }
  PHASE_TRY(auto tokens, hashed_tokens(where));
  auto& acceptor = state_->tcp_acceptors.emplace_back(state_->executor);
  const asio::ip::tcp::endpoint endpoint(address, where.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(kBacklog, error);
  }
  if (error) {
    state_->tcp_acceptors.pop_back();
    return fail(code_of(error),
                "cannot listen on port " + std::to_string(where.port) + ": " + error.message());
  }
  auto door = std::make_shared<const Door>(Door{std::move(tokens), where.tls, where.introduced});
  asio::co_spawn(state_->executor, accept_loop(state_, acceptor, std::move(door)), asio::detached);
  return acceptor.local_endpoint(error).port();
}

std::size_t Server::connections() const noexcept {
  return state_->connections.size();
}

}  // namespace phase::http
