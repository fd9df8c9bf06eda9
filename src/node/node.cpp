#include "node/node.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"
#include "mesh/no_network.h"

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
  [[nodiscard]] Result<void> open_modules();
  [[nodiscard]] Result<void> open_book();
  void close();

  [[nodiscard]] bool takes_others() const { return options.local.policy.takes_others; }

  World world;
  Options options;
  Instant started;
  bool closed = false;
  // In order of use: each may use those above it and is destroyed before them.
  std::unique_ptr<store::Store> store;
  std::unique_ptr<LocalNode> local;
  std::unique_ptr<phase::mesh::Mesh> mesh;  // null: stays off the network
  std::unique_ptr<phase::mesh::NoNetwork> nowhere;
  requester::Network* remote = nullptr;  // of the mesh, or nowhere
  std::unique_ptr<Modules> modules;
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
  out.network = mesh != nullptr;
  if (mesh != nullptr) {
    out.listen_addresses = mesh->peer().listen_addresses();
    for (const auto& known : mesh->peer().peers()) {
      out.peers_connected += known.connected ? 1 : 0;
    }
  }
  return out;
}

std::vector<control::PeerEntry> Node::State::peers() const {
  std::vector<control::PeerEntry> out;
  if (mesh != nullptr) {
    for (const auto& known : mesh->peer().peers()) {
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
  requester::Wanted wanted{std::move(kind), std::move(arch), std::nullopt};
  if (mesh == nullptr) {
    co_return co_await remote->find(std::move(wanted), deadline);
  }
  co_return co_await mesh->network().list(std::move(wanted), deadline);
}

Task<Result<control::PingAnswer>> Node::State::ping(std::string whom, Deadline deadline) {
  const auto self = shared_from_this();
  if (mesh == nullptr) {
    co_return fail(Code::unavailable, "this node stays off the network",
                   "start plasmd without --no-network");
  }
  identity::PublicKey key;
  if (whom.starts_with('/')) {
    PHASE_CO_TRY(key, co_await mesh->peer().dial(whom, deadline));
  } else {
    PHASE_CO_TRY(key, policy::parse_requester(whom));
  }
  if (closed) {
    co_return fail(Code::cancelled, "the node stops");
  }
  PHASE_CO_TRY(const Duration round_trip, co_await mesh->peer().ping(key, deadline));
  co_return control::PingAnswer{key, round_trip};
}

Task<Result<void>> Node::State::join_network() {
  if (!options.peer) {
    nowhere = std::make_unique<mesh::NoNetwork>();
    remote = nowhere.get();
    co_return Result<void>{};
  }
  mesh::Mesh::Options joins{*options.peer, options.keep_peers, options.remote, {}};
  mesh::Mesh::Serve serve;
  if (takes_others()) {
    joins.announced = {mesh::capability_key("wasm", offer::native_arch(),
                                            mesh::capability_shard(world.key.public_key()))};
    serve = [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
      return local->provider().serve(std::move(stream), from);
    };
  }
  std::function<offer::Capabilities()> says = [this] {
    auto offered = local->capabilities();
    // Who takes nobody's jobs must not be asked by anybody.
    if (!takes_others()) offered.kinds.clear();
    return offered;
  };
  const mesh::Mesh::World place{world.clock, world.key, world.executor, world.log};
  PHASE_CO_TRY(
      mesh, co_await mesh::Mesh::start(place, std::move(joins), std::move(says), std::move(serve)));
  remote = &mesh->network();
  co_return Result<void>{};
}

/// Modules are given to those whose jobs are taken.
Result<void> Node::State::open_modules() {
  const policy::Options& rules = options.local.policy;
  std::string_view whom = "nobody";
  if (mesh != nullptr && rules.takes_others && rules.open) {
    whom = "anybody";
  } else if (mesh != nullptr && rules.takes_others && !rules.allow.empty()) {
    whom = "allowlist";
  }
  const Modules::World place{world.clock, world.key.public_key(), local->policy(), whom,
                             mesh.get(),  world.executor,         world.log};
  PHASE_TRY(modules, Modules::open(place, options.modules_folder, options.modules));
  if (!options.modules.received) return {};
  local->on_received([this](const job::ArtifactRef& ref, ByteView module) {
    if (modules == nullptr) return;  // the node stops
    auto bytes = std::make_shared<const Bytes>(to_bytes(module));
    asio::co_spawn(world.executor, modules->keep(std::move(bytes), ref), asio::detached);
  });
  return {};
}

Result<void> Node::State::open_book() {
  PHASE_TRY(book, control::JobBook::open({world.clock, world.random, world.key, *remote,
                                          local->network(), *store, world.executor, modules.get()},
                                         options.jobs));
  PHASE_TRY(server, control::ControlServer::start({world.clock, *book, *this, world.executor},
                                                  options.control));
  return {};
}

void Node::State::close() {
  closed = true;
  server.reset();
  book.reset();
  modules.reset();
  remote = nullptr;
  mesh.reset();
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
  PHASE_CO_TRY_VOID(state->open_modules());
  PHASE_CO_TRY_VOID(state->open_book());
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
  return state_->mesh == nullptr ? std::vector<std::string>{}
                                 : state_->mesh->peer().listen_addresses();
}

std::uint16_t Node::control_tcp_port() const noexcept {
  return state_->server->tcp_port();
}

}  // namespace phase::node
