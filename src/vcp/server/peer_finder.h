// peer_finder.h — looks for providers of the mesh and watches whether they answer.
//
// Providers announce themselves in the DHT (spec/discovery.md); each is asked for its signed
// document and pinged. The coordinator is a client of the DHT: it announces nothing.
#pragma once

#include <memory>

#include "peer/peer.h"
#include "vcp/coordinator/peers.h"

namespace phase::vcp {

struct PeerFinderOptions {
  std::size_t peers_max = 64;  ///< asked in one search: twice as many
  Duration search_every = 10s;
  Duration search_max = 10s;
  Duration ping_every = 5s;  ///< also how old a round trip gets
  Duration ping_max = 2s;
  std::uint32_t missed_max = 3;  ///< pings without an answer, then it is gone
};

class PeerFinder {
 public:
  /// All borrowed; they outlive it.
  struct World {
    Clock& clock;
    peer::Peer& peer;
    identity::PublicKey self;
    PeerSink& sink;
    asio::any_io_executor executor;
  };
  /// Begins to look.
  PeerFinder(World world, PeerFinderOptions options);
  ~PeerFinder();
  PeerFinder(const PeerFinder&) = delete;
  PeerFinder& operator=(const PeerFinder&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with its coroutines; they stop when it is closed
};

}  // namespace phase::vcp
