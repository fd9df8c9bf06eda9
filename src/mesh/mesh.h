// mesh.h — a node among others: listens, says what it offers, takes job streams, finds providers.
//
// Owns the peer and everything that hangs on it, and takes it down in order. Belongs to one
// executor. What the node offers and how it serves is passed in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "identity/identity.h"
#include "mesh/remote_network.h"
#include "peer/peer.h"
#include "protocol/offer/frame.h"

namespace phase::mesh {

/// A peer that should be connected is dialled again after this, doubled up to the second.
inline constexpr Duration kRedialFirst = 1s;
inline constexpr Duration kRedialMax = 60s;
inline constexpr Duration kDialMax = 10s;

class Mesh {
 public:
  struct World {
    Clock& clock;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  struct Options {
    peer::Options peer;
    std::vector<std::string> keep_peers;  ///< multiaddrs dialled, and dialled again when lost
    RemoteLimits remote;
    std::vector<std::string> announced;  ///< DHT keys of what is offered here
  };
  using Serve = std::function<Task<void>(std::unique_ptr<ByteStream>, identity::PublicKey)>;
  /// `capabilities` and `serve` are called until the mesh is destroyed; an empty `serve` takes no
  /// job of anybody. Errors: those of Peer::start.
  [[nodiscard]] static Task<Result<std::unique_ptr<Mesh>>> start(
      World world, Options options, std::function<offer::Capabilities()> capabilities, Serve serve);
  ~Mesh();

  [[nodiscard]] peer::Peer& peer() noexcept;
  [[nodiscard]] RemoteNetwork& network() noexcept;
  /// Announces another key from now on.
  void announce(std::string key);

 private:
  struct State;
  explicit Mesh(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with coroutines that announce and dial; they stop when
                                  // it is closed
};

}  // namespace phase::mesh
