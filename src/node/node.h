// node.h — a node that serves: provider for others, requester for its owner, control API for its
// programs.
//
// Builds the object graph over an executor and takes it down in order. Belongs to that executor.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "api/control/control_server.h"
#include "api/control/job_book.h"
#include "base/clock.h"
#include "base/random.h"
#include "identity/identity.h"
#include "mesh/mesh.h"
#include "node/local_node.h"
#include "node/modules.h"
#include "store/store.h"

namespace phase::node {

struct Options {
  LocalOptions local;
  store::StoreOptions store;
  control::ControlOptions control;
  control::JobBookLimits jobs;
  mesh::RemoteLimits remote;
  std::filesystem::path modules_folder;  ///< modules that are kept; made when missing
  ModuleLimits modules;
  std::optional<peer::Options> peer;    ///< absent: stays off the network
  std::vector<std::string> keep_peers;  ///< multiaddrs dialled, and dialled again when lost
};

/// After what runs here was ended, own jobs have this long to take their receipts in.
inline constexpr Duration kDrainReceipts = 2s;

class Node {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Everything up and listening, or an error and nothing left behind.
  [[nodiscard]] static Task<Result<std::unique_ptr<Node>>> start(World world, Options options);
  /// Takes down at once what `drain` did not.
  ~Node();

  /// Takes no new jobs, lets running ones end until `deadline`, then ends them: each with a receipt
  /// or an error.
  [[nodiscard]] Task<void> drain(Deadline deadline);
  [[nodiscard]] std::vector<std::string> listen_addresses() const;
  [[nodiscard]] std::uint16_t control_tcp_port() const noexcept;

 private:
  struct State;
  explicit Node(std::shared_ptr<State> state);
  std::shared_ptr<State>
      state_;  // shared with the coroutines that announce and dial; they stop when it is closed
};

}  // namespace phase::node
