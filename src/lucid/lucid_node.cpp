#include "lucid/lucid_node.h"

#include <algorithm>
#include <map>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"
#include "lucid/catalog_files.h"
#include "lucid/inference_jobs.h"
#include "lucid/local_models.h"
#include "lucid/name_meaning.h"
#include "lucid/pulls.h"
#include "lucid/sharing.h"
#include "lucid/upstream.h"
#include "mesh/artifact_peers.h"
#include "mesh/own_network.h"
#include "mesh/told.h"
#include "protocol/provider/provider.h"
#include "store/store.h"

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;

/// Models named in the node document; a document names at most 512.
constexpr std::size_t kModelsToldMax = 256;
constexpr std::size_t kModelNameToldMax = 128;
/// Keys announced in the DHT; the network library takes 256 of one node.
constexpr std::size_t kAnnouncedMax = 240;

PeerView::Offer offer_of(const offer::Capabilities& says) {
  return {says.agent,        says.arch,     says.runtime, says.model_names,
          says.jobs_running, says.jobs_max, says.open};
}

/// Peers and providers as one list: connected ones first, then nearest first.
std::vector<PeerView> merged(const std::vector<peer::PeerInfo>& known,
                             const std::vector<requester::Candidate>& providers) {
  std::map<std::string, PeerView> all;
  for (const peer::PeerInfo& peer : known) {
    all.insert_or_assign(peer.id.text(), PeerView{peer.id, peer.connected, peer.round_trip,
                                                  peer.addresses, std::nullopt});
  }
  for (const requester::Candidate& candidate : providers) {
    const auto id = identity::PeerId::from(candidate.key);
    PeerView& view = all.try_emplace(id.text(), PeerView{id, false, {}, {}, {}}).first->second;
    view.offer = offer_of(candidate.capabilities);
    if (!view.round_trip) view.round_trip = candidate.round_trip;
  }
  std::vector<PeerView> out;
  for (auto& [id, view] : all) out.push_back(std::move(view));
  std::ranges::stable_sort(out, {}, [](const PeerView& peer) {
    return std::pair(!peer.connected, peer.round_trip.value_or(Duration::max()));
  });
  if (out.size() > kPeersToldMax) out.resize(kPeersToldMax, out.front());
  return out;
}

provider::ProviderLimits provider_limits() {
  provider::ProviderLimits out;
  out.jobs_running_max = kAsksWaitingMax;  // the engine batches; its own queue is behind it
  out.jobs_queued_max = 16;
  out.jobs_per_requester_max = kAsksWaitingMax;  // others: Gate
  return out;
}

}  // namespace

struct LucidNode::State : std::enable_shared_from_this<LucidNode::State> {
  State(World with, Options chosen) : world(with), options(std::move(chosen)) {}

  [[nodiscard]] Result<void> open_models();
  [[nodiscard]] Result<void> open_policy();
  void open_provider();
  [[nodiscard]] Task<Result<void>> join();
  void open_service();
  [[nodiscard]] Result<void> open_artifacts();
  void announce(std::string key);
  void announce_shared();
  [[nodiscard]] offer::Capabilities capabilities() const;
  [[nodiscard]] static Task<std::vector<artifact::SignedRecord>> records_of(
      std::shared_ptr<State> self, std::string name, std::string digest);
  [[nodiscard]] static Task<Result<ArtifactId>> resolve(std::shared_ptr<State> self,
                                                        PullSpec asked);
  static Task<void> watch_policy(std::shared_ptr<State> self);
  static Task<void> watch_machine(std::shared_ptr<State> self);
  static Task<void> first_look(std::shared_ptr<State> self);
  void reload_policy(bool quiet);
  void close();

  World world;
  Options options;
  bool closed = false;
  std::optional<FileStamp> policy_stamp;
  // In order of use: each may use those above it and is destroyed before them.
  std::unique_ptr<store::Store> store;
  std::unique_ptr<worker::InferenceWorker> worker;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<ModelPool> pool;
  std::unique_ptr<InferenceJobs> jobs;
  std::unique_ptr<Gate> gate;
  std::unique_ptr<WorkLog> work;
  std::unique_ptr<phase::mesh::ToldPolicy> told_policy;
  std::unique_ptr<phase::mesh::ToldReceipts> told_receipts;
  std::unique_ptr<provider::Provider> provider;
  std::unique_ptr<phase::mesh::OwnNetwork> own;
  std::unique_ptr<artifact::NameBook> book;
  std::unique_ptr<Sharing> sharing;
  std::shared_ptr<artifact::Store> artifacts;
  std::shared_ptr<artifact::Server> artifact_server;
  std::unique_ptr<phase::mesh::Mesh> mesh;
  std::unique_ptr<phase::mesh::ArtifactPeers> artifact_peers;
  std::unique_ptr<artifact::Fetcher> fetcher;
  std::set<std::string> announced;
  std::unique_ptr<Pulls> pulls;
  std::unique_ptr<LocalModels> models;
  std::unique_ptr<Service> service;
};

Result<void> LucidNode::State::open_models() {
  store::StoreOptions kept;
  kept.path = options.data_dir / "lucidd.db";
  kept.durability = store::Durability::process;  // an answer does not wait for the disk
  PHASE_TRY(store, store::Store::open(kept, world.clock.now_utc()));
  if (!options.worker_path.empty()) {
    PHASE_TRY(worker,
              worker::InferenceWorker::start(
                  world.executor, {options.worker_path, options.isolated, options.devices}));
    if (const std::string& missing = worker->missing_isolation(); !missing.empty()) {
      world.log.warn("models run without some layers of isolation: {}", printable(missing));
    }
  }
  PHASE_TRY(catalog,
            Catalog::open({world.clock, world.executor, worker.get(), world.log}, options.catalog));
  pool = std::make_unique<ModelPool>(
      ModelPool::World{world.clock, world.executor, *catalog, worker.get(), world.log},
      options.pool);
  jobs = std::make_unique<InferenceJobs>(world.executor, *catalog, *pool, world.key.public_key());
  return {};
}

Result<void> LucidNode::State::open_policy() {
  std::error_code error;
  if (!fs::exists(options.policy_file, error)) {
    fs::create_directories(options.policy_file.parent_path(), error);
    PHASE_TRY_VOID(write_file(options.policy_file, default_policy_text()));
    world.log.info("policy: {} made with defaults", options.policy_file.string());
  }
  PHASE_TRY(OperatorPolicy policy, read_policy(options.policy_file));
  if (auto at = stamp(options.policy_file)) policy_stamp = *at;
  Gate::World place{world.clock,
                    *catalog,
                    world.key.public_key(),
                    offer::native_arch(),
                    [this] {
                      const std::size_t all = provider->jobs_running() + provider->jobs_queued();
                      return all - provider->jobs_of(world.key.public_key());
                    },
                    [this](const identity::PublicKey& key) { return provider->jobs_of(key); },
                    local_hour};
  gate = std::make_unique<Gate>(std::move(place), std::move(policy));
  return {};
}

void LucidNode::State::open_provider() {
  told_policy = std::make_unique<mesh::ToldPolicy>(*gate, world.clock, world.log);
  work = std::make_unique<WorkLog>(*store, world.key.public_key());
  told_receipts = std::make_unique<mesh::ToldReceipts>(*work, world.log);
  const provider::ProviderLimits limits = provider_limits();
  provider = std::make_unique<provider::Provider>(
      provider::Provider::World{world.clock, world.random, world.key, *jobs, *told_policy, *store,
                                *told_receipts, world.executor},
      limits);
  own = std::make_unique<mesh::OwnNetwork>(world.executor, *provider, world.key.public_key(),
                                           limits.jobs_running_max,
                                           [this] { return capabilities(); });
}

offer::Capabilities LucidNode::State::capabilities() const {
  offer::Capabilities out = offer::native_capabilities(world.clock.now_utc());
  out.agent = options.agent;
  out.runtime = "llama.cpp";
  out.jobs_running = provider->jobs_running();
  out.jobs_max = gate->policy().max_concurrent_remote_jobs;
  if (worker != nullptr) out.isolation = worker->isolation();
  if (options.upstream) out.isolation = {"upstream"};
  out.open = gate->policy().allow_unauthenticated_jobs;
  if (!options.serves || !gate->takes_others() || gate->paused()) return out;
  out.kinds = {"inference"};
  for (const LocalModelPtr& model : catalog->list()) {
    const std::string name = model->name.text();
    if (out.models.size() >= kModelsToldMax) break;
    if (name.size() > kModelNameToldMax) continue;
    if (!serves_model(gate->policy(), name) && !serves_model(gate->policy(), model->name.name)) {
      continue;
    }
    out.models.push_back(Sha256{model->content.id.value});
    out.model_names.push_back(name);
  }
  return out;
}

Task<Result<void>> LucidNode::State::join() {
  if (!options.mesh) co_return Result<void>{};
  mesh::Mesh::Options joins = *options.mesh;
  mesh::Mesh::Serve serve;
  if (options.serves) {
    joins.announced = {mesh::capability_key("inference", offer::native_arch(),
                                            mesh::capability_shard(world.key.public_key()))};
    serve = [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
      return provider->serve(std::move(stream), from);
    };
  }
  std::function<offer::Capabilities()> says = [this] { return capabilities(); };
  const mesh::Mesh::World place{world.clock, world.key, world.executor, world.log};
  PHASE_CO_TRY(
      mesh, co_await mesh::Mesh::start(place, std::move(joins), std::move(says), std::move(serve)));
  co_return Result<void>{};
}

/// What publishers say of a name. Asks them only where a digest has to find its content: others are
/// known by what they offer.
Task<std::vector<artifact::SignedRecord>> LucidNode::State::records_of(std::shared_ptr<State> self,
                                                                       std::string name,
                                                                       std::string digest) {
  const artifact::Names wanted{name, {}, {}};
  const UtcTime now = self->world.clock.now_utc();
  auto known = self->book->records(wanted, now).value_or(std::vector<artifact::SignedRecord>{});
  const bool there = std::ranges::any_of(known, [&digest](const artifact::SignedRecord& one) {
    return one.record.content.sha256.hex().starts_with(digest);
  });
  if (digest.empty() || there || self->artifact_peers == nullptr) co_return known;
  const artifact::SearchWorld place{self->world.clock, self->world.executor, *self->artifact_peers};
  artifact::Names asked = wanted;
  std::string key = artifact::name_key(name);
  const artifact::SearchLimits limits;
  std::vector<artifact::SignedRecord> heard =
      co_await artifact::search_names(place, std::move(asked), std::move(key), limits);
  if (self->closed) co_return known;
  const auto kept = self->book->remember(heard, now);
  if (!kept) self->world.log.warn("{}", printable(kept.error().text()));
  known.insert(known.end(), heard.begin(), heard.end());
  co_return artifact::newest(std::move(known));
}

/// The content that others mean by what a client wrote.
Task<Result<ArtifactId>> LucidNode::State::resolve(std::shared_ptr<State> self, PullSpec asked) {
  const requester::Wanted wanted{"inference", "", std::nullopt};
  const Deadline deadline = self->world.clock.deadline_after(kResolveMax);
  Result<std::vector<requester::Candidate>> found =
      co_await self->mesh->network().find(wanted, deadline);
  if (!found) co_return fail(found.error());
  if (self->closed) co_return fail(Code::cancelled, "the node stops");
  std::string name = asked.name->text();
  PHASE_CO_TRY(const std::optional<artifact::Pin> pin, self->book->pin_of(name));
  std::string digest = asked.digest_prefix;
  if (digest.empty() && pin && pin->sha256 && !pin->id) digest = pin->sha256->hex();
  std::vector<artifact::SignedRecord> records =
      co_await records_of(self, std::move(name), std::move(digest));
  if (self->closed) co_return fail(Code::cancelled, "the node stops");
  co_return meaning_of(asked, *found, pin, records);
}

/// The store of artifacts beside the catalog's own, what others may have of it, and the way to
/// theirs.
Result<void> LucidNode::State::open_artifacts() {
  const fs::path folder = catalog->data_dir() / "artifacts";
  PHASE_TRY(artifacts, artifact::Store::open({folder, catalog->data_dir() / "blobs"}));
  book = std::make_unique<artifact::NameBook>(folder);
  sharing = std::make_unique<Sharing>(
      Sharing::World{world.clock, world.key, *catalog, *gate, *book, world.log});
  if (mesh == nullptr) return {};
  artifact::ServerLimits limits;
  limits.bytes_per_second = gate->policy().share_bytes_per_second;
  artifact_server = std::make_shared<artifact::Server>(
      artifact::Server::World{world.clock, world.executor, artifacts}, limits);
  artifact_server->share(sharing.get());
  mesh::serve_artifacts(*mesh, artifact_server);
  artifact_peers = std::make_unique<mesh::ArtifactPeers>(*mesh, world.key.public_key());
  fetcher = std::make_unique<artifact::Fetcher>(
      artifact::Fetcher::World{world.clock, world.executor, *artifact_peers, artifacts, world.log});
  return {};
}

void LucidNode::State::announce(std::string key) {
  if (announced.size() >= kAnnouncedMax || !announced.insert(key).second) return;
  mesh->announce(std::move(key));
}

/// Names and contents that others may fetch, for those who look for them in the DHT.
void LucidNode::State::announce_shared() {
  if (closed || mesh == nullptr) return;
  for (const LocalModelPtr& model : sharing->shared()) {
    announce(mesh::model_key(Sha256{model->content.id.value}));
    announce(artifact::name_key(model->name.text()));
    artifact_server->prepare(model->content.id, world.key.public_key());
  }
}

void LucidNode::State::open_service() {
  std::function<void()> changed = [this] { announce_shared(); };
  pulls = std::make_unique<Pulls>(Pulls::World{world.clock, world.executor, world.key, *catalog,
                                               *book, *sharing, *artifacts, artifact_peers.get(),
                                               fetcher.get(), std::move(changed), world.log});
  models = std::make_unique<LocalModels>(
      LocalModels::World{world.executor, world.random, *catalog, *pool, *pulls});
  Service::Options serving = options.service;
  if (mesh != nullptr && !options.mesh_models.empty()) {
    serving.resolve = [this](PullSpec asked) {
      return resolve(shared_from_this(), std::move(asked));
    };
    serving.may_leave = [globs = options.mesh_models](const ModelName& name) {
      return std::ranges::any_of(globs, [&name](const std::string& glob) {
        return glob_matches(glob, name.text()) || glob_matches(glob, name.name);
      });
    };
  }
  requester::Network* elsewhere = serving.resolve ? &mesh->network() : nullptr;
  service = std::make_unique<Service>(
      Service::World{world.clock, world.random, world.key, world.executor, *catalog, *pool, *models,
                     *store, *own, elsewhere, world.log},
      std::move(serving));
}

void LucidNode::State::reload_policy(bool quiet) {
  const auto at = stamp(options.policy_file);
  if (!at) return;
  if (quiet && policy_stamp == *at) return;
  policy_stamp = *at;
  auto policy = read_policy(options.policy_file);
  if (!policy) {
    world.log.error("{}: {}; the last good policy stays", options.policy_file.string(),
                    printable(policy.error().text()));
    return;
  }
  gate->set_policy(*std::move(policy));
  if (artifact_server != nullptr) {
    artifact_server->set_rate(gate->policy().share_bytes_per_second);
  }
  announce_shared();
  world.log.info("policy: {} is in force", options.policy_file.string());
}

Task<void> LucidNode::State::watch_policy(std::shared_ptr<State> self) {
  while (!self->closed) {
    const auto slept = co_await self->world.clock.sleep_for(kPolicyInterval);
    if (!slept || self->closed) co_return;
    self->reload_policy(true);
  }
}

Task<void> LucidNode::State::watch_machine(std::shared_ptr<State> self) {
  while (!self->closed) {
    self->gate->set_machine(read_machine_state(self->options.sys_root));
    const auto slept = co_await self->world.clock.sleep_for(kStateInterval);
    if (!slept) co_return;
  }
}

Task<void> LucidNode::State::first_look(std::shared_ptr<State> self) {
  co_await self->catalog->refresh();
  if (self->closed || self->mesh == nullptr) co_return;
  self->announce_shared();
  if (!self->options.serves) co_return;
  for (const LocalModelPtr& model : self->catalog->list()) {
    self->announce(mesh::model_key(Sha256{model->content.id.value}));
  }
}

void LucidNode::State::close() {
  closed = true;
  service.reset();
  models.reset();
  pulls.reset();
  fetcher.reset();
  if (artifact_server != nullptr) artifact_server->close();
  if (artifact_peers != nullptr) artifact_peers->close();  // questions under way still know it
  mesh.reset();
  own.reset();
  provider.reset();
  jobs.reset();
  pool.reset();
  catalog.reset();
  worker.reset();
  store.reset();
}

Task<Result<std::unique_ptr<LucidNode>>> LucidNode::start(World world, Options options) {
  auto state = std::make_shared<State>(world, std::move(options));
  std::unique_ptr<LucidNode> node(new LucidNode(state));  // takes down what was begun
  if (state->options.upstream) {
    UpstreamUrl url = *state->options.upstream;
    PHASE_CO_TRY(state->options.catalog.elsewhere,
                 co_await upstream_models(world.executor, world.clock, std::move(url)));
  }
  PHASE_CO_TRY_VOID(state->open_models());
  PHASE_CO_TRY_VOID(state->open_policy());
  state->open_provider();
  PHASE_CO_TRY_VOID(co_await state->join());
  PHASE_CO_TRY_VOID(state->open_artifacts());
  state->open_service();
  asio::co_spawn(world.executor, State::watch_policy(state), asio::detached);
  asio::co_spawn(world.executor, State::watch_machine(state), asio::detached);
  asio::co_spawn(world.executor, State::first_look(state), asio::detached);
  co_return node;
}

LucidNode::LucidNode(std::shared_ptr<State> state) : state_(std::move(state)) {}

LucidNode::~LucidNode() {
  state_->close();
}

Lucid& LucidNode::service() noexcept {
  return *state_->service;
}
Gate& LucidNode::gate() noexcept {
  return *state_->gate;
}
mesh::Mesh* LucidNode::mesh() noexcept {
  return state_->mesh.get();
}
std::vector<std::string> LucidNode::listen_addresses() const {
  return state_->mesh == nullptr ? std::vector<std::string>{}
                                 : state_->mesh->peer().listen_addresses();
}
offer::Capabilities LucidNode::capabilities() const {
  return state_->capabilities();
}
void LucidNode::reload_policy() {
  state_->gate->set_machine(read_machine_state(state_->options.sys_root));
  state_->reload_policy(false);
}

Task<void> LucidNode::drain(Deadline deadline) {
  const auto state = state_;
  co_await state->provider->drain(deadline);
}

NodeStatus LucidNode::status() const {
  const Gate& gate = *state_->gate;
  const provider::Provider& provider = *state_->provider;
  NodeStatus out{identity::PeerId::from(state_->world.key.public_key())};
  out.agent = state_->options.agent;
  out.worker = !state_->options.serves        ? "none"
               : state_->options.upstream     ? "llama-server"
               : state_->options.catalog.echo ? "echo"
                                              : "llama-cpp";
  out.isolated = state_->options.isolated;
  out.network = state_->mesh != nullptr;
  out.listen_addresses = listen_addresses();
  if (state_->mesh != nullptr) {
    out.mesh_models = state_->options.mesh_models;
    for (const peer::PeerInfo& known : state_->mesh->peer().peers()) {
      out.peers_connected += known.connected ? 1 : 0;
    }
  }
  out.takes_others = state_->options.serves && gate.takes_others();
  out.manual_pause = gate.manual_pause();
  out.paused = gate.paused();
  out.machine = gate.machine();
  out.jobs_of_others = provider.jobs_running() + provider.jobs_queued() -
                       provider.jobs_of(state_->world.key.public_key());
  out.own_asks = state_->service->asks_running();
  return out;
}

const OperatorPolicy& LucidNode::rules() const {
  return state_->gate->policy();
}

std::string LucidNode::rules_file() const {
  return state_->options.policy_file.string();
}

void LucidNode::pause(bool paused) {
  state_->gate->set_manual_pause(paused);
  state_->world.log.info("serving others: {}", paused ? "paused by hand" : "resumed by hand");
}

std::vector<WorkEntry> LucidNode::work() const {
  return state_->work->list();
}

Task<std::vector<PeerView>> LucidNode::peers() {
  const auto state = state_;
  if (state->mesh == nullptr) co_return std::vector<PeerView>{};
  const requester::Wanted wanted{"inference", "", std::nullopt};
  const Deadline deadline = state->world.clock.deadline_after(kPeersLookMax);
  Result<std::vector<requester::Candidate>> found =
      co_await state->mesh->network().find(wanted, deadline);
  if (state->closed) co_return std::vector<PeerView>{};
  if (!found) found = std::vector<requester::Candidate>{};  // nobody offers: the peers still count
  co_return merged(state->mesh->peer().peers(), *found);
}

}  // namespace phase::lucid
