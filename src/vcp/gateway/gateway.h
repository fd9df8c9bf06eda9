// gateway.h — clients with a session, relayed to where it leads (spec/gateway.md).
//
// A client connects, sends one line of JSON, gets "OK\n" and then whatever the destination sends.
// Everything belongs to one executor; whatever a client does costs its own connection only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "vcp/gateway/dialer.h"
#include "vcp/gateway/session.h"

namespace phase::http {
class Tls;
}

namespace phase::vcp::gateway {

struct GatewayLimits {
  Duration handshake_max = 10s;  ///< from the connection to the end of its first line, TLS included
  Duration connect_max = 5s;     ///< to resolve and reach a destination
  Duration idle_max = 600s;      ///< without a byte either way
  Duration linger_max = 1s;      ///< after a refusal, so that the client sees why
  std::size_t handshakes_max = 256;  ///< connections that are not relays yet
  std::size_t handshakes_per_address_max = 64;
  std::size_t relays_max = 2'048;
  std::size_t relays_per_session_max = 128;
};

struct GatewayOptions {
  std::string address = "0.0.0.0";
  std::uint16_t port = 7000;       ///< 0: any
  std::shared_ptr<http::Tls> tls;  ///< absent: plain
  bool allow_private = false;      ///< destinations that are not on the public Internet
  GatewayLimits limits;
  Resolver resolver = system_resolver();
};

class Gateway {
 public:
  /// Outlive the gateway.
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Listens. Errors: Code::invalid_argument (no address), already_exists (port in use),
  /// permission_denied, io.
  [[nodiscard]] static Result<std::unique_ptr<Gateway>> start(World world, GatewayOptions options,
                                                              std::vector<Session> sessions);
  /// Closes what is open.
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// All at once. Relays whose session is gone, has another token, or does not lead there any more
  /// are cut; a new end or bandwidth holds for those that stand.
  void replace_sessions(std::vector<Session> sessions);

  /// Accepts nobody from now on. Idempotent.
  void stop_accepting();
  /// Waits until no relay is left, at most until `deadline`; then cuts the rest.
  [[nodiscard]] Task<void> drain(Deadline deadline);

  struct Figures {
    std::size_t sessions = 0, handshakes = 0, relays = 0;
    std::uint64_t relays_begun = 0, refused = 0;
  };
  [[nodiscard]] Figures figures() const noexcept;

 private:
  struct State;
  explicit Gateway(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines of its connections
};

}  // namespace phase::vcp::gateway
