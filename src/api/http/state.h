// state.h — what a Server shares with its connections. Private to this folder.
#pragma once

#include <list>
#include <optional>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "api/http/server.h"
#include "api/http/tls.h"
#include "base/hash.h"

namespace phase::http {

using Socket = asio::generic::stream_protocol::socket;

/// Hashes of the bearer tokens of which a request must carry one.
using Tokens = std::vector<Sha256>;

/// What connections of one listener have in common.
struct Door {
  std::shared_ptr<const Tokens> tokens;  ///< null: none is needed
  std::shared_ptr<Tls> tls;              ///< null: plain
  std::function<std::optional<std::string>(std::string_view line)> introduced;
};

/// Closes a connection from outside.
struct ConnectionHandle {
  std::function<void()> close;
  std::function<void()> close_when_idle;
};

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor on, Router routes, ServerLimits with, AccessPolicy who)
      : executor(std::move(on)), router(std::move(routes)), limits(with), access(std::move(who)) {}

  asio::any_io_executor executor;
  const Router router;
  const ServerLimits limits;
  const AccessPolicy access;
  bool closed = false;
  bool draining = false;
  std::size_t body_bytes = 0;  ///< being read now
  std::list<ConnectionHandle> connections;
  std::optional<asio::local::stream_protocol::acceptor> unix_acceptor;
  std::list<asio::ip::tcp::acceptor> tcp_acceptors;
  std::filesystem::path socket_path;

  void serve(Socket socket, std::shared_ptr<const Door> door);  ///< one connection, to its end
  void stop_listening();
};

}  // namespace phase::http
