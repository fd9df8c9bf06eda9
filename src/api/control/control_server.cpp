#include "api/control/control_server.h"

#include "api/control/routes.h"
#include "api/http/server.h"

namespace phase::control {

struct ControlServer::State {
  std::shared_ptr<Api> api;
  http::Server server;
  std::uint16_t tcp_port = 0;
};

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() {
  // Handlers that wait in the book or the node see this before they touch either again.
  state_->api->closed = true;
}

Result<std::unique_ptr<ControlServer>> ControlServer::start(World world, ControlOptions options) {
  auto api = std::make_shared<Api>(world);
  http::ServerLimits limits;
  limits.connections_max = options.connections_max;
  std::unique_ptr<State> state(
      new State{api, http::Server(world.executor, make_routes(api), limits)});
  PHASE_TRY_VOID(
      state->server.listen(http::UnixListen{std::move(options.socket), std::move(options.group)}));
  if (options.tcp) {
    PHASE_TRY(state->tcp_port, state->server.listen(http::TcpListen{
                                   options.tcp->address, options.tcp->port, options.tcp->token}));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

std::uint16_t ControlServer::tcp_port() const noexcept {
  return state_->tcp_port;
}

}  // namespace phase::control
