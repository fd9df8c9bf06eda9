// server.h — a whole coordinator without its main: state, scheduler, sessions with nodes over
// libp2p, a worker for the second look, REST API and pages.
//
// Builds the object graph over one executor and takes it down in order.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "api/vcp/api_server.h"
#include "identity/identity.h"
#include "node/local_node.h"
#include "peer/peer.h"
#include "vcp/accounts/accounts.h"
#include "vcp/coordinator/coordinator.h"
#include "vcp/session/session.h"
#include "vcp/state/database_journal.h"
#include "vcp/state/lease.h"

namespace phase::vcp {

struct ServerOptions {
  std::filesystem::path data_dir;  ///< exists
  JournalOptions state;            ///< what stays of the past
  CoordinatorOptions coordinator;
  Accounts::Options accounts;
  api::ApiOptions api;
  SessionLimits sessions;
  peer::Options peer;  ///< where nodes reach it
  /// Multiaddrs told to nodes instead of those it listens on, for a coordinator behind a proxy.
  /// /p2p/… is added where it is missing.
  std::vector<std::string> announced;
  node::LocalOptions local;  ///< what runs jobs here, when results differ
};

/// Runs on nodes and here: how long a node may be silent, and so on.
[[nodiscard]] requester::RequesterLimits run_limits();

class Server {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    std::shared_ptr<spdlog::logger> log;
    /// Stands between the coordinator and its state file; for tests that stop it at a write.
    /// Absent: nothing does.
    std::function<std::unique_ptr<Journal>(std::unique_ptr<Journal>)> around_journal = {};
    /// Of a fleet whose state is on a PostgreSQL server; absent: it is in the data folder.
    std::optional<Lead> lead = {};
  };
  /// Everything up and listening, or an error and nothing left behind. `on_broken`: the state
  /// cannot be written any more, so the process must end.
  [[nodiscard]] static Task<Result<std::unique_ptr<Server>>> start(
      World world, ServerOptions options, std::function<void(const Error&)> on_broken);
  ~Server();

  /// Takes nothing new, lets runs end until `deadline`, then stops.
  [[nodiscard]] Task<void> drain(Deadline deadline);
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::vector<std::string> mesh_addresses() const;
  /// Empty once there is an administrator.
  [[nodiscard]] std::string bootstrap_code() const;

 private:
  struct State;
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines of sessions
};

}  // namespace phase::vcp
