// control_server.h — the control API on a Unix socket and, when asked for, on loopback TCP with a
// token. Normative: spec/control-api.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "api/control/job_book.h"
#include "api/control/node_view.h"
#include "api/control/socket_path.h"
#include "base/clock.h"

namespace phase::control {

struct ControlTcp {
  std::string address = "127.0.0.1";  ///< a loopback address; anything else is refused
  std::uint16_t port = 0;             ///< 0: any; see ControlServer::tcp_port
  std::string token;                  ///< at least 16 bytes
};

struct ControlOptions {
  /// The socket's file. Its folder is created 0700 when absent. A stale socket (nobody answers) is
  /// replaced.
  std::filesystem::path socket;
  /// Group that owns the socket; empty: the daemon's own.
  std::string group;
  std::optional<ControlTcp> tcp;
  std::size_t connections_max = 128;
};

class ControlServer {
 public:
  struct World {
    Clock& clock;
    JobBook& jobs;
    NodeView& node;
    asio::any_io_executor executor;  ///< the job book's
  };
  /// Listens. The socket has mode 0660 from its first moment.
  /// Errors: Code::already_exists when another daemon answers on the socket or the port is taken
  /// (hint names the flag), Code::invalid_argument for a TCP address that is not loopback or a
  /// short token, Code::io.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> start(World world,
                                                                    ControlOptions options);
  /// Closes listeners and connections and removes the socket's file.
  ~ControlServer();
  [[nodiscard]] std::uint16_t tcp_port() const noexcept;  ///< 0 without TCP

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace phase::control
