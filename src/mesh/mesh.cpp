#include "mesh/mesh.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "mesh/node_document.h"

namespace phase::mesh {

struct Mesh::State : std::enable_shared_from_this<Mesh::State> {
  explicit State(World with) : world(with) {}

  void handle(std::function<offer::Capabilities()> capabilities, Serve serve);
  static Task<void> announce(std::shared_ptr<State> self, std::string key);
  static Task<void> keep_connected(std::shared_ptr<State> self, std::string address);
  /// Waits, unless the node closes meanwhile. False then.
  [[nodiscard]] Task<bool> pause(Duration d);
  void close();

  World world;
  bool closed = false;
  // In order of use: each may use those above it and is destroyed before them.
  std::shared_ptr<NodeDocument> document;
  std::unique_ptr<peer::Peer> peer;
  std::unique_ptr<RemoteNetwork> remote;
};

void Mesh::State::handle(std::function<offer::Capabilities()> capabilities, Serve serve) {
  document = std::make_shared<NodeDocument>(
      NodeDocument::World{world.clock, world.key, world.executor}, std::move(capabilities));
  peer->handle(std::string(offer::kNodeProtocol),
               [of = document](std::unique_ptr<ByteStream> stream, identity::PublicKey) {
                 of->serve(std::move(stream));
               });
  if (!serve) return;
  peer->handle(std::string(offer::kJobProtocol),
               [executor = world.executor, serve = std::move(serve)](
                   std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
                 asio::co_spawn(executor, serve(std::move(stream), from), asio::detached);
               });
}

Task<bool> Mesh::State::pause(Duration d) {
  const auto self = shared_from_this();
  const auto slept = co_await world.clock.sleep_for(d);
  co_return slept.has_value() && !closed;
}

Task<void> Mesh::State::announce(std::shared_ptr<State> self, std::string key) {
  Duration wait = kRedialFirst;
  while (!self->closed) {
    const auto done = co_await self->peer->provide(key);
    if (self->closed || done) {
      co_return;
    }
    self->world.log.debug("not announced yet: {}", printable(done.error().text()));
    const bool go_on = co_await self->pause(wait);
    if (!go_on) {
      co_return;
    }
    wait = std::min<Duration>(2 * wait, kRedialMax);
  }
}

Task<void> Mesh::State::keep_connected(std::shared_ptr<State> self, std::string address) {
  Duration wait = kRedialFirst;
  bool told = false;
  while (!self->closed) {
    const auto dialled =
        co_await self->peer->dial(address, self->world.clock.deadline_after(kDialMax));
    if (self->closed) {
      co_return;
    }
    if (dialled) {
      wait = kRedialMax;  // dialling a connected peer costs nothing
      told = false;
    } else if (!std::exchange(told, true)) {
      self->world.log.warn("peer {} cannot be reached, trying again: {}", printable(address),
                           printable(dialled.error().text()));
    }
    const bool go_on = co_await self->pause(wait);
    if (!go_on) {
      co_return;
    }
    wait = std::min<Duration>(2 * wait, kRedialMax);
  }
}

void Mesh::State::close() {
  closed = true;
  remote.reset();
  if (document != nullptr) {
    document->close();
  }
  peer.reset();
}

Task<Result<std::unique_ptr<Mesh>>> Mesh::start(World world, Options options,
                                                std::function<offer::Capabilities()> capabilities,
                                                Serve serve) {
  auto state = std::make_shared<State>(world);
  std::unique_ptr<Mesh> mesh(new Mesh(state));  // its destructor takes down what was begun
  PHASE_CO_TRY(state->peer,
               co_await peer::Peer::start(world.executor, world.key, std::move(options.peer)));
  state->handle(std::move(capabilities), std::move(serve));
  for (auto& key : options.announced) {
    mesh->announce(std::move(key));
  }
  for (auto& address : options.keep_peers) {
    asio::co_spawn(world.executor, State::keep_connected(state, std::move(address)),
                   asio::detached);
  }
  state->remote = std::make_unique<RemoteNetwork>(
      RemoteNetwork::World{world.clock, *state->peer, world.key.public_key(), world.executor},
      options.remote);
  for (const auto& warning : state->peer->warnings()) {
    world.log.warn("{}", printable(warning));
  }
  co_return mesh;
}

Mesh::Mesh(std::shared_ptr<State> state) : state_(std::move(state)) {}

Mesh::~Mesh() {
  state_->close();
}

peer::Peer& Mesh::peer() noexcept {
  return *state_->peer;
}

RemoteNetwork& Mesh::network() noexcept {
  return *state_->remote;
}

void Mesh::announce(std::string key) {
  asio::co_spawn(state_->world.executor, State::announce(state_, std::move(key)), asio::detached);
}

}  // namespace phase::mesh
