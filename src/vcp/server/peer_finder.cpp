#include "vcp/server/peer_finder.h"

#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "mesh/remote_network.h"

namespace phase::vcp {

struct PeerFinder::State : std::enable_shared_from_this<PeerFinder::State> {
  State(World with, PeerFinderOptions chosen) : world(with), options(chosen) {}

  static Task<void> search(std::shared_ptr<State> self);
  static Task<void> watch(std::shared_ptr<State> self);
  static Task<void> ping(std::shared_ptr<State> self, identity::PublicKey key);
  void take(const requester::Candidate& found);

  World world;
  PeerFinderOptions options;
  bool closed = false;
  std::unique_ptr<mesh::RemoteNetwork> network;
  std::map<identity::PublicKey, std::uint32_t> missed;  // of those who were pinged last
};

void PeerFinder::State::take(const requester::Candidate& found) {
  const offer::Capabilities& has = found.capabilities;
  if (!has.open) {
    world.sink.peer_gone(found.key, "it takes no jobs of strangers");
    return;
  }
  world.sink.peer_seen({found.key, has.region.value_or(""), has.cpu_cores, has.memory_bytes,
                        has.jobs_max, found.round_trip});
}

Task<void> PeerFinder::State::search(std::shared_ptr<State> self) {
  while (!self->closed) {
    requester::Wanted wanted;
    wanted.kind = "wasm";
    const Deadline until = self->world.clock.deadline_after(self->options.search_max);
    const auto found = co_await self->network->list(std::move(wanted), until);
    if (self->closed) co_return;
    if (found) {
      for (const requester::Candidate& one : *found) self->take(one);
    }
    const auto slept = co_await self->world.clock.sleep_for(self->options.search_every);
    if (!slept) co_return;
  }
}

Task<void> PeerFinder::State::watch(std::shared_ptr<State> self) {
  while (!self->closed) {
    const std::vector<identity::PublicKey> online = self->world.sink.peers_online();
    std::map<identity::PublicKey, std::uint32_t> still;
    for (const identity::PublicKey& key : online) {
      still[key] = self->missed[key];
      asio::co_spawn(self->world.executor, ping(self, key), asio::detached);
    }
    self->missed = std::move(still);
    const auto slept = co_await self->world.clock.sleep_for(self->options.ping_every);
    if (!slept) co_return;
  }
}

Task<void> PeerFinder::State::ping(std::shared_ptr<State> self, identity::PublicKey key) {
  const Deadline until = self->world.clock.deadline_after(self->options.ping_max);
  const auto took = co_await self->world.peer.ping(key, until);
  if (self->closed) co_return;
  const auto counted = self->missed.find(key);
  if (counted == self->missed.end()) co_return;  // it is gone already
  if (took) {
    counted->second = 0;
    self->world.sink.peer_latency(key, *took);
  } else if (++counted->second >= self->options.missed_max) {
    self->missed.erase(counted);
    self->world.sink.peer_gone(key, "no answer to " + std::to_string(self->options.missed_max) +
                                        " pings: " + took.error().message);
  }
}

PeerFinder::PeerFinder(World world, PeerFinderOptions options)
    : state_(std::make_shared<State>(world, options)) {
  mesh::RemoteLimits limits;
  limits.candidates_max = 2 * options.peers_max;
  limits.search_max = options.search_max;
  limits.asks_connected = false;  // those are the nodes of the fleet
  state_->network = std::make_unique<mesh::RemoteNetwork>(
      mesh::RemoteNetwork::World{world.clock, world.peer, world.self, world.executor}, limits);
  asio::co_spawn(world.executor, State::search(state_), asio::detached);
  asio::co_spawn(world.executor, State::watch(state_), asio::detached);
}

PeerFinder::~PeerFinder() {
  state_->closed = true;
  state_->network.reset();
}

}  // namespace phase::vcp
