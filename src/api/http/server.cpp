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
void turn_away(Socket socket) {
  const Response busy =
      error_response({Code::busy, "too many connections", "close one, or try again"});
  const std::string text =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(busy.body.size()) + "\r\n\r\n" + busy.body;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
}

template <typename Acceptor>
Task<void> accept_loop(std::shared_ptr<Server::State> state, Acceptor& acceptor,
                       std::optional<Sha256> token) {
  asio::steady_timer pause(state->executor);
  while (!state->closed) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (state->closed || error == asio::error::operation_aborted) {
      co_return;
    }
    if (error) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    if (state->connections.size() >= state->limits.connections_max) {
      turn_away(Socket(std::move(socket)));
      continue;
    }
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
      socket.set_option(asio::ip::tcp::no_delay(true), error);  // only slower when it fails
    }
    state->serve(Socket(std::move(socket)), token);
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

}  // namespace

Server::Server(asio::any_io_executor executor, Router router, ServerLimits limits)
    : state_(std::make_shared<State>(std::move(executor), std::move(router), limits)) {}

Server::~Server() {
  state_->closed = true;
  boost::system::error_code ignored;
  if (state_->unix_acceptor) {
    state_->unix_acceptor->close(ignored);
    ::unlink(state_->socket_path.c_str());
  }
  if (state_->tcp_acceptor) {
    state_->tcp_acceptor->close(ignored);
  }
  for (const ConnectionHandle& connection : state_->connections) {
    connection.close();
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
  asio::co_spawn(state_->executor, accept_loop(state_, acceptor, std::nullopt), asio::detached);
  return {};
}

Result<std::uint16_t> Server::listen(const TcpListen& where) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(where.address, error);
  if (error || !address.is_loopback()) {
    return fail(Code::invalid_argument,
                "the control API listens on loopback addresses only, not on " +
                    printable(where.address, 64),
                "use 127.0.0.1 or ::1");
  }
  if (where.token.size() < kTokenBytesMin) {
    return fail(Code::invalid_argument, "the control API's token has fewer than " +
                                            std::to_string(kTokenBytesMin) + " bytes");
  }
  auto& acceptor = state_->tcp_acceptor.emplace(state_->executor);
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
    state_->tcp_acceptor.reset();
    return fail(code_of(error),
                "cannot listen on port " + std::to_string(where.port) + ": " + error.message());
  }
  asio::co_spawn(state_->executor, accept_loop(state_, acceptor, sha256(as_bytes(where.token))),
                 asio::detached);
  return acceptor.local_endpoint(error).port();
}

std::size_t Server::connections() const noexcept {
  return state_->connections.size();
}

}  // namespace phase::http
