// server.h — a bounded HTTP/1.1 server (RFC 9112) on Unix sockets and TCP.
//
// For a node's own people and programs: no compression, no ranges, TLS where it is given a
// certificate. Everything belongs to one executor. Whatever a client does costs its own connection
// only.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/access.h"
#include "api/http/message.h"

namespace phase::http {

class Tls;

struct ServerLimits {
  std::size_t connections_max = 128;  ///< above it a client is told 503 and closed
  std::size_t header_bytes_max = 16_KiB;
  std::size_t body_bytes_total_max = 256_MiB;  ///< bodies being read, of all connections together
  Duration handshake_timeout = 10s;            ///< of TLS, from its first byte to its end
  Duration header_timeout = 10s;               ///< first byte of a request → end of its head
  Duration body_timeout = 60s;  ///< end of the head → end of the body; each piece of a streamed one
  Duration idle_timeout = 60s;  ///< between requests of one connection
  Duration write_timeout = 30s;  ///< for each piece of kWritePieceBytes
  Duration linger_max = 2s;      ///< reading on after a refusal, so that the client sees the answer
};
/// Bodies are written in pieces of this size, each under its own timeout.
inline constexpr std::size_t kWritePieceBytes = 256_KiB;

struct UnixListen {
  std::filesystem::path path;  ///< folder created 0700 when absent
  std::string group;           ///< empty: as it is
};
struct TcpListen {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  std::string token;  ///< every request needs `Authorization: Bearer <token>`
  /// True: no token is needed when `token` and `tokens` are empty.
  bool token_optional = false;
  bool any_address = false;              ///< false: loopback addresses only
  std::vector<std::string> tokens = {};  ///< further ones that are as good
  std::shared_ptr<Tls> tls = {};         ///< absent: plain HTTP
  /// For connections that one of ours hands on: these begin, before TLS, with a NUL and a line, and
  /// this says whose connection it is, an IP address; nothing: it is closed. Absent: none may.
  std::function<std::optional<std::string>(std::string_view line)> introduced = {};
};
/// Of such a line.
inline constexpr std::size_t kIntroductionBytesMax = 256;
inline constexpr std::size_t kTokenBytesMin = 16;
/// Bytes a watched client may send ahead while it is answered.
inline constexpr std::size_t kSentAheadBytesMax = 64_KiB;

class Server {
 public:
  Server(asio::any_io_executor executor, Router router, ServerLimits limits,
         AccessPolicy access = {});
  /// Closes listeners and connections and removes the socket's file. Handlers that wait are resumed
  /// by what they wait for; their replies go nowhere.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The socket has mode 0660 from its first moment. A file that nobody answers on is replaced.
  /// Errors: Code::already_exists when somebody answers, Code::invalid_argument for a path too long
  /// for a socket or an unknown group, Code::permission_denied, Code::io.
  [[nodiscard]] Result<void> listen(const UnixListen& where);
  /// Returns the port. May be called for several addresses. Errors: Code::invalid_argument for an
  /// address that is not allowed or a token below kTokenBytesMin, Code::already_exists for a port
  /// in use, Code::permission_denied, Code::io.
  [[nodiscard]] Result<std::uint16_t> listen(const TcpListen& where);

  /// Takes no new connection, closes those that wait for a request, and the others after the answer
  /// they are at. `connections` then falls to 0. Idempotent.
  void drain();
  [[nodiscard]] std::size_t connections() const noexcept;

  struct State;  ///< this folder's own (state.h)

 private:
  std::shared_ptr<State> state_;  // shared with the coroutines of listeners and connections
};

}  // namespace phase::http
