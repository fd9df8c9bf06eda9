// routes.h — the requests of spec/control-api.md, over a job book and a node. Private to this
// folder.
#pragma once

#include <memory>

#include "api/control/control_server.h"
#include "api/http/message.h"

namespace phase::control {

/// What every handler shares. Handlers look at `closed` after each wait: book and node are gone
/// then.
struct Api {
  explicit Api(ControlServer::World with) : world(with) {}
  ControlServer::World world;
  bool closed = false;
};

[[nodiscard]] http::Router make_routes(std::shared_ptr<Api> api);

}  // namespace phase::control
