// state.h — what a Server shares with its connections. Private to this folder.
#pragma once

#include <list>
#include <optional>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "api/http/server.h"
#include "base/hash.h"

namespace phase::http {

using Socket = asio::generic::stream_protocol::socket;

/// Closes a connection from outside.
struct ConnectionHandle {
  std::function<void()> close;
};

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor on, Router routes, ServerLimits with)
      : executor(std::move(on)), router(std::move(routes)), limits(with) {}

  asio::any_io_executor executor;
  const Router router;
  const ServerLimits limits;
  bool closed = false;
  std::size_t body_bytes = 0;  ///< being read now
  std::list<ConnectionHandle> connections;
  std::optional<asio::local::stream_protocol::acceptor> unix_acceptor;
  std::optional<asio::ip::tcp::acceptor> tcp_acceptor;
  std::filesystem::path socket_path;

  /// Serves one connection to its end. `token`: hash of the bearer token a request must carry.
  void serve(Socket socket, std::optional<Sha256> token);
};

}  // namespace phase::http
