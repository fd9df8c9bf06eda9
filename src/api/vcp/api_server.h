// api_server.h — the REST API of a coordinator (spec/vcp-api.md) over HTTP, with its dashboard and
// its metrics.
//
// Belongs to the executor of the fleet. Decides nothing about tasks: it checks who asks, what is
// asked for and how often, and puts it to `Fleet`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "api/http/message.h"
#include "api/http/server.h"
#include "base/random.h"
#include "vcp/accounts/accounts.h"
#include "vcp/coordinator/view.h"

namespace phase::vcp::api {

/// A token bucket: `burst` at once, `per_minute` for ever.
struct Rate {
  std::uint32_t per_minute = 0, burst = 0;
};
/// Names of the published environment in brackets.
struct Rates {
  Rate auth{10, 3};      ///< RATE_LIMIT_AUTH_{RPM,BURST}
  Rate node{20, 5};      ///< RATE_LIMIT_NODE_…
  Rate task{30, 10};     ///< RATE_LIMIT_TASK_…
  Rate proof{15, 3};     ///< RATE_LIMIT_PROOF_…
  Rate general{60, 10};  ///< RATE_LIMIT_GENERAL_…
  Rate read{600, 100};   ///< RATE_LIMIT_READ_…: GET by an account; a dashboard asks often
};

struct ApiOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 3000;         ///< 0: any
  std::shared_ptr<http::Tls> tls;    ///< absent: plain HTTP
  std::vector<std::string> hosts;    ///< names a Host may have besides this machine's; "*": any
  std::vector<std::string> origins;  ///< pages of others that may use it (CORS_ALLOWED_ORIGINS)
  std::vector<std::string> trusted_proxies;  ///< CIDRs whose X-Forwarded-For counts
  bool metrics_open = false;                 ///< GET /metrics needs nobody
  bool open_registration = true;             ///< POST /auth/register
  Rates rates;
  std::size_t connections_max = 1'024;
  std::size_t event_streams_max = 256;  ///< at once
  /// Adds the routes of pages, after those of the API: dashboard::add_routes. Absent: none.
  std::function<Result<void>(http::Router&)> pages = {};
  /// As http::TcpListen has it.
  std::function<std::optional<std::string>(std::string_view line)> introduced = {};
};
/// What CORS_ALLOWED_ORIGINS, TRUSTED_PROXY_CIDRS, RATE_LIMIT_… and PORT say.
/// Errors: Code::invalid_argument naming the variable.
[[nodiscard]] Result<void> read_environment(ApiOptions& options);

class ApiServer {
 public:
  /// All outlive the server.
  struct World {
    Clock& clock;
    Random& random;
    asio::any_io_executor executor;
    Fleet& fleet;
    Accounts& accounts;
    std::shared_ptr<spdlog::logger> log;
  };
  /// Listens. Errors: those of http::Server::listen and of `pages`; Code::invalid_argument for a
  /// bad option.
  [[nodiscard]] static Result<std::unique_ptr<ApiServer>> start(World world, ApiOptions options);
  /// Closes connections. Handlers that wait end by what they wait for.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Takes no new connection, lets answers on their way go out, and ends event streams:
  /// `connections` falls to 0.
  void drain();
  [[nodiscard]] std::size_t connections() const noexcept;

  struct State;  ///< this folder's own

 private:
  explicit ApiServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with handlers
};

}  // namespace phase::vcp::api
