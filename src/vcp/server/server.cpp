#include "vcp/server/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "api/dashboard/dashboard.h"
#include "daemon/daemon.h"
#include "store/store.h"
#include "vcp/coordinator/module_files.h"
#include "vcp/coordinator/requester_runner.h"
#include "vcp/server/module_rows.h"
#include "vcp/server/peer_finder.h"
#include "vcp/server/snapshot_door.h"
#include "vcp/state/database_journal.h"

namespace phase::vcp {
namespace {

/// Nodes are reached over the connection that each of them opened, peers by the addresses the DHT
/// knows; who is asked is the scheduler's.
class FleetNetwork final : public requester::Network {
 public:
  explicit FleetNetwork(peer::Peer& peer) : peer_(peer) {}
  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted,
                                                                     Deadline) override {
    co_return fail(Code::unsupported, "a coordinator names the node it wants");
  }
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey provider,
                                                               std::string protocol,
                                                               Deadline deadline) override {
    auto stream = co_await peer_.open(provider, std::move(protocol), deadline);
    co_return stream;
  }

 private:
  peer::Peer& peer_;
};

}  // namespace

requester::RequesterLimits run_limits() {
  requester::RequesterLimits limits;
  limits.attempts_max = 1;
  limits.open_max = 5s;
  limits.answer_max = 15s;
  return limits;
}

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(World with, ServerOptions chosen) : world(std::move(with)), options(std::move(chosen)) {}

  [[nodiscard]] Result<void> open_files();
  [[nodiscard]] Result<void> open_database(std::function<void(const Error&)> on_broken);
  [[nodiscard]] Result<void> open_worker();
  [[nodiscard]] Task<Result<void>> open_fleet(std::function<void(const Error&)> on_broken);
  void look_for_peers();
  [[nodiscard]] Result<void> open_doors();
  static Task<Result<void>> snapshot(std::shared_ptr<State> self, std::filesystem::path folder);
  static Task<void> serve(std::shared_ptr<State> self, std::unique_ptr<ByteStream> stream,
                          identity::PublicKey from);
  void close();
  [[nodiscard]] std::vector<std::string> addresses() const;

  World world;
  ServerOptions options;
  bool closed = false;
  // In order of use: each may use those above it and is destroyed before them.
  DatabaseJournal* file = nullptr;  ///< in the data folder: `journal`, or what it stands before
  std::unique_ptr<Journal> journal;
  std::unique_ptr<ModuleStore> modules;
  std::unique_ptr<Accounts> accounts;
  std::unique_ptr<store::Store> worker_store;
  std::unique_ptr<node::LocalNode> local;
  std::unique_ptr<peer::Peer> peer;
  std::unique_ptr<FleetNetwork> network;
  std::unique_ptr<RequesterRunner> nodes, own;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<PeerFinder> finder;  ///< with peers_max only
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<api::ApiServer> api;
  std::unique_ptr<SnapshotDoor> door;
};

/// The state in the data folder.
Result<void> Server::State::open_files() {
  const std::filesystem::path& folder = options.data_dir;
  PHASE_TRY(auto opened,
            DatabaseJournal::open(world.executor, world.clock, folder / kStateFile, options.state));
  file = opened.get();
  journal = std::move(opened);
  const std::filesystem::path kept = folder / "tasks";
  PHASE_TRY_VOID(daemon::make_folder(kept, "--data-dir DIR"));
  modules = std::make_unique<ModuleFiles>(kept);
  options.accounts.folder = folder / "accounts";
  PHASE_TRY(accounts,
            Accounts::open({world.clock, world.random, world.executor}, options.accounts));
  return {};
}

/// The state on a server, where this coordinator leads.
Result<void> Server::State::open_database(std::function<void(const Error&)> on_broken) {
  Lead& lead = *world.lead;
  PHASE_TRY(journal,
            DatabaseJournal::open(world.executor, world.clock, std::move(lead.journal),
                                  options.state, std::move(lead.still_here), std::move(on_broken)));
  PHASE_TRY(modules, ModuleRows::open(std::move(lead.modules)));
  PHASE_TRY(accounts, Accounts::open({world.clock, world.random, world.executor}, options.accounts,
                                     std::move(lead.accounts)));
  return {};
}

/// What runs jobs here, for the second look.
Result<void> Server::State::open_worker() {
  if (world.around_journal) journal = world.around_journal(std::move(journal));
  store::StoreOptions store;
  store.path = options.data_dir / "worker.db";
  store.owner = world.key.public_key();
  store.durability = store::Durability::process;  // receipts to itself
  PHASE_TRY(worker_store, store::Store::open(store, world.clock.now_utc()));
  PHASE_TRY(local, node::LocalNode::start({world.clock, world.random, world.key, *worker_store,
                                           *worker_store, world.executor, *world.log},
                                          options.local));
  return {};
}

Task<Result<void>> Server::State::open_fleet(std::function<void(const Error&)> on_broken) {
  PHASE_CO_TRY(peer, co_await peer::Peer::start(world.executor, world.key, options.peer));
  network = std::make_unique<FleetNetwork>(*peer);
  const requester::Requester::World outside{world.clock, world.random,   world.key,
                                            *network,    world.executor, nullptr};
  nodes = std::make_unique<RequesterRunner>(outside, run_limits());
  const requester::Requester::World inside{world.clock,      world.random,   world.key,
                                           local->network(), world.executor, nullptr};
  own = std::make_unique<RequesterRunner>(inside, run_limits());
  own->set_self(world.key.public_key());
  Coordinator::World place{world.clock, world.random, *journal,       *modules,
                           *nodes,      *own,         world.executor, *world.log};
  PHASE_CO_TRY(coordinator, co_await Coordinator::open(place, options.coordinator));
  coordinator->on_broken(std::move(on_broken));
  const Sessions::World talk{world.clock, world.random, coordinator->sink(), world.executor};
  sessions = std::make_unique<Sessions>(talk, options.sessions);
  coordinator->on_dismiss([this](const NodeName& name, ByeReason reason) {
    if (sessions) sessions->dismiss(name, reason);
  });
  coordinator->on_mesh_address(
      [this] { return MeshAddress{world.key.peer_id().text(), peer->listen_addresses()}; });
  look_for_peers();
  co_return Result<void>{};
}

void Server::State::look_for_peers() {
  if (options.coordinator.peers_max == 0) return;
  PeerFinderOptions look;
  look.peers_max = options.coordinator.peers_max;
  look.ping_every = options.sessions.heartbeat;
  const PeerFinder::World around{world.clock, *peer, world.key.public_key(), coordinator->peers(),
                                 world.executor};
  finder = std::make_unique<PeerFinder>(around, look);
}

/// Where nodes are told to dial.
std::vector<std::string> Server::State::addresses() const {
  if (options.announced.empty()) return peer->listen_addresses();
  std::vector<std::string> out = options.announced;
  const std::string self = "/p2p/" + world.key.peer_id().text();
  for (std::string& address : out) {
    if (address.find("/p2p/") == std::string::npos) address += self;
  }
  return out;
}

Result<void> Server::State::open_doors() {
  options.api.pages = [](http::Router& router) {
    return dashboard::add_routes(router, dashboard::read_environment());
  };
  PHASE_TRY(api, api::ApiServer::start({world.clock, world.random, world.executor, *coordinator,
                                        *accounts, world.log},
                                       options.api));
  if (file == nullptr) return {};  // the server has its own tools for copies
  const SnapshotDoor::Take take = [this](std::filesystem::path folder) {
    return snapshot(shared_from_this(), std::move(folder));
  };
  auto opened = SnapshotDoor::open(world.executor, options.data_dir, take);
  if (opened) {
    door = *std::move(opened);
  } else {
    world.log->warn("no backup while running: {}", opened.error().text());
  }
  return {};
}

/// The fleet first: whoever owns something there has an account in what is copied after it.
Task<Result<void>> Server::State::snapshot(std::shared_ptr<State> self,
                                           std::filesystem::path folder) {
  if (self->closed) co_return fail(Code::unavailable, "the coordinator stops");
  std::filesystem::path to = folder / kStateFile;
  auto fleet = co_await self->file->copy_to(std::move(to));
  if (!fleet || self->closed) co_return fleet;
  to = folder / kAccountsFile;
  auto people = co_await self->accounts->copy_to(std::move(to));
  co_return people;
}

Task<void> Server::State::serve(std::shared_ptr<State> self, std::unique_ptr<ByteStream> stream,
                                identity::PublicKey from) {
  if (!self->sessions) co_return;
  co_await self->sessions->serve(std::move(stream), from);
}

void Server::State::close() {
  closed = true;
  door.reset();
  api.reset();
  if (sessions) sessions->stop();
  sessions.reset();
  finder.reset();
  coordinator.reset();
  own.reset();
  nodes.reset();
  network.reset();
  peer.reset();
  local.reset();
  worker_store.reset();
  accounts.reset();
  modules.reset();
  journal.reset();
}

Task<Result<std::unique_ptr<Server>>> Server::start(World world, ServerOptions options,
                                                    std::function<void(const Error&)> on_broken) {
  auto state = std::make_shared<State>(std::move(world), std::move(options));
  std::unique_ptr<Server> out(new Server(state));  // its destructor takes down what was begun
  PHASE_CO_TRY_VOID(state->world.lead ? state->open_database(on_broken) : state->open_files());
  PHASE_CO_TRY_VOID(state->open_worker());
  PHASE_CO_TRY_VOID(co_await state->open_fleet(std::move(on_broken)));
  PHASE_CO_TRY_VOID(state->open_doors());
  const std::weak_ptr<State> weak = state;
  state->peer->handle(std::string(kFleetProtocol),
                      [weak](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
                        const auto self = weak.lock();
                        if (!self || self->closed) return;
                        asio::co_spawn(self->world.executor,
                                       State::serve(self, std::move(stream), from), asio::detached);
                      });
  co_return out;
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  state_->close();
}

Task<void> Server::drain(Deadline deadline) {
  const auto state = state_;
  co_await state->coordinator->drain(deadline);
  state->api->drain();
  state->sessions->stop();
}

std::uint16_t Server::port() const noexcept {
  return state_->api->port();
}

std::vector<std::string> Server::mesh_addresses() const {
  return state_->addresses();
}

std::string Server::bootstrap_code() const {
  return state_->accounts->bootstrap_code();
}

}  // namespace phase::vcp
