#include "node/node.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"
#include "node/no_network.h"
#include "node/node_document.h"

namespace phase::node {

struct Node::State final : control::NodeView, std::enable_shared_from_this<Node::State> {
  State(World with, Options chosen)
      : world(with), options(std::move(chosen)), started(with.clock.now()) {}

  // ── control::NodeView ──
  [[nodiscard]] control::NodeStatus status() const override;
  [[nodiscard]] std::vector<control::PeerEntry> peers() const override;
  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> providers(
      std::string kind, std::string arch, Deadline deadline) override;
  [[nodiscard]] Task<Result<control::PingAnswer>> ping(std::string whom,
                                                       Deadline deadline) override;

  // ── Start and stop ──
  [[nodiscard]] Task<Result<void>> join_network();
  [[nodiscard]] Result<void> open_book();
  static Task<void> announce(std::shared_ptr<State> self);
  static Task<void> keep_connected(std::shared_ptr<State> self, std::string address);
  /// Waits, unless the node closes meanwhile. False then.
  [[nodiscard]] Task<bool> pause(Duration d);
  void close();

  [[nodiscard]] bool takes_others() const { return options.local.policy.takes_others; }

  World world;
  Options options;
  Instant started;
  bool closed = false;
  // In order of use: each may use those above it and is destroyed before them.
  std::unique_ptr<store::Store> store;
  std::unique_ptr<LocalNode> local;
  std::shared_ptr<NodeDocument> document;
  std::unique_ptr<peer::Peer> peer;
  std::unique_ptr<requester::Network> remote;
  RemoteNetwork* elsewhere = nullptr;  // `remote`, unless this node stays off the network
  std::unique_ptr<control::JobBook> book;
  std::unique_ptr<control::ControlServer> server;
};

control::NodeStatus Node::State::status() const {
  const offer::Capabilities now = local->capabilities();
  control::NodeStatus out;
  out.key = world.key.public_key();
  out.agent = now.agent;
  out.arch = now.arch;
  out.runtime = now.runtime;
  out.uptime = world.clock.now() - started;
  out.jobs_running = local->provider().jobs_running();
  out.jobs_queued = local->provider().jobs_queued();
  out.jobs_max = now.jobs_max;
  out.isolation = now.isolation;
  out.open = now.open;
  out.network = peer != nullptr;
  if (peer != nullptr) {
    out.listen_addresses = peer->listen_addresses();
    for (const auto& known : peer->peers()) {
      out.peers_connected += known.connected ? 1 : 0;
    }
  }
  return out;
}

std::vector<control::PeerEntry> Node::State::peers() const {
  std::vector<control::PeerEntry> out;
  if (peer != nullptr) {
    for (const auto& known : peer->peers()) {
      if (known.id.key() != world.key.public_key()) {
        out.push_back({known.id.key(), known.addresses, known.connected, known.round_trip});
      }
    }
  }
  return out;
}

Task<Result<std::vector<requester::Candidate>>> Node::State::providers(std::string kind,
                                                                       std::string arch,
                                                                       Deadline deadline) {
  const auto self = shared_from_this();
  if (elsewhere == nullptr) {
    co_return co_await remote->find(std::move(kind), std::move(arch), deadline);
  }
  co_return co_await elsewhere->list(std::move(kind), std::move(arch), deadline);
}

Task<Result<control::PingAnswer>> Node::State::ping(std::string whom, Deadline deadline) {
  const auto self = shared_from_this();
  if (peer == nullptr) {
    co_return fail(Code::unavailable, "this node stays off the network",
                   "start plasmd without --no-network");
  }
  identity::PublicKey key;
  if (whom.starts_with('/')) {
    PHASE_CO_TRY(key, co_await peer->dial(whom, deadline));
  } else {
    PHASE_CO_TRY(key, policy::parse_requester(whom));
  }
  if (closed) {
    co_return fail(Code::cancelled, "the node stops");
  }
  PHASE_CO_TRY(const Duration round_trip, co_await peer->ping(key, deadline));
  co_return control::PingAnswer{key, round_trip};
}

Task<Result<void>> Node::State::join_network() {
  if (!options.peer) {
    remote = std::make_unique<NoNetwork>();
    co_return Result<void>{};
  }
  PHASE_CO_TRY(peer, co_await peer::Peer::start(world.executor, world.key, *options.peer));
  document = std::make_shared<NodeDocument>(
      NodeDocument::World{world.clock, world.key, world.executor}, [this] {
        auto offered = local->capabilities();
        // Who takes nobody's jobs must not be asked by anybody.
        if (!takes_others()) offered.kinds.clear();
        return offered;
      });
  peer->handle(std::string(offer::kNodeProtocol),
               [of = document](std::unique_ptr<ByteStream> stream, identity::PublicKey) {
                 of->serve(std::move(stream));
               });
  if (takes_others()) {
    peer->handle(std::string(offer::kJobProtocol),
                 [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
                   asio::co_spawn(world.executor, local->provider().serve(std::move(stream), from),
                                  asio::detached);
                 });
    asio::co_spawn(world.executor, announce(shared_from_this()), asio::detached);
  }
  for (const auto& address : options.keep_peers) {
    asio::co_spawn(world.executor, keep_connected(shared_from_this(), address), asio::detached);
  }
  auto found = std::make_unique<RemoteNetwork>(
      RemoteNetwork::World{world.clock, *peer, world.key.public_key(), world.executor},
      options.remote);
  elsewhere = found.get();
  remote = std::move(found);
  co_return Result<void>{};
}

Result<void> Node::State::open_book() {
  PHASE_TRY(book, control::JobBook::open({world.clock, world.random, world.key, *remote,
                                          local->network(), *store, world.executor},
                                         options.jobs));
  PHASE_TRY(server, control::ControlServer::start({world.clock, *book, *this, world.executor},
                                                  options.control));
  return {};
}

Task<bool> Node::State::pause(Duration d) {
  const auto self = shared_from_this();
  const auto slept = co_await world.clock.sleep_for(d);
  co_return slept.has_value() && !closed;
}

Task<void> Node::State::announce(std::shared_ptr<State> self) {
  const auto key =
      capability_key("wasm", native_arch(), capability_shard(self->world.key.public_key()));
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

Task<void> Node::State::keep_connected(std::shared_ptr<State> self, std::string address) {
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

void Node::State::close() {
  closed = true;
  server.reset();
  book.reset();
  elsewhere = nullptr;
  remote.reset();
  if (document != nullptr) {
    document->close();
  }
  peer.reset();
  local.reset();
  store.reset();
}

Task<Result<std::unique_ptr<Node>>> Node::start(World world, Options options) {
  auto state = std::make_shared<State>(world, std::move(options));
  std::unique_ptr<Node> node(new Node(state));  // its destructor takes down what was begun
  state->options.store.owner = world.key.public_key();
  PHASE_CO_TRY(state->store, store::Store::open(state->options.store, world.clock.now_utc()));
  PHASE_CO_TRY(state->local, LocalNode::start({world.clock, world.random, world.key, *state->store,
                                               *state->store, world.executor, world.log},
                                              state->options.local));
  PHASE_CO_TRY_VOID(co_await state->join_network());
  PHASE_CO_TRY_VOID(state->open_book());
  if (state->peer != nullptr) {
    for (const auto& warning : state->peer->warnings()) {
      world.log.warn("{}", printable(warning));
    }
  }
  co_return node;
}

Node::Node(std::shared_ptr<State> state) : state_(std::move(state)) {}

Node::~Node() {
  state_->close();
}

Task<void> Node::drain(Deadline deadline) {
  const auto state = state_;
  // What runs here is ended at the deadline, with a receipt; its requester may be our own job book.
  Event both(state->world.executor);
  asio::co_spawn(state->world.executor, state->local->provider().drain(deadline),
                 [&both](const std::exception_ptr&) { both.notify(); });
  co_await state->book->drain({deadline.at + kDrainReceipts});
  co_await both.wait();
}

std::vector<std::string> Node::listen_addresses() const {
  return state_->peer == nullptr ? std::vector<std::string>{} : state_->peer->listen_addresses();
}

std::uint16_t Node::control_tcp_port() const noexcept {
  return state_->server->tcp_port();
}

}  // namespace phase::node
