#include "node/modules.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fcntl.h>

#include "artifact/fetcher.h"
#include "base/artifact_text.h"
#include "base/pool_task.h"
#include "mesh/artifact_peers.h"
#include "mesh/remote_network.h"
#include "node/module_index.h"

namespace phase::node {
namespace {

namespace fs = std::filesystem;
using control::KeptModule;

Error stopping() {
  return {Code::cancelled, "the node stops", {}};
}

/// Reads a module back. Errors: Code::verification_failed when the disk gives other bytes.
Result<Bytes> read_module(const fs::path& path, const job::ArtifactRef& ref) {
  PHASE_TRY(const std::string text, read_file(path, job::kModuleBytesMax));
  Bytes bytes = to_bytes(text);
  if (job::reference(bytes) != ref) {
    return fail(Code::verification_failed, path.string() + " is not what was kept there");
  }
  return bytes;
}

}  // namespace

struct Modules::State final : artifact::Library, std::enable_shared_from_this<Modules::State> {
  State(World with, ModuleLimits bounds) : world(with), index(bounds.bytes_max) {}

  // ── artifact::Library ──
  [[nodiscard]] Result<Item> open(const ArtifactId& id, const identity::PublicKey& who) override;
  [[nodiscard]] std::vector<Bytes> records(const artifact::Names&,
                                           const identity::PublicKey&) override {
    return {};  // modules have no names here
  }

  [[nodiscard]] Result<void> begin(const fs::path& folder);
  void sweep(const fs::path& blobs);
  void join(mesh::Mesh& mesh);
  void close();
  void announce(const ArtifactId& id);
  /// It lies in its place: it is known from now on, and others go for it.
  static Task<Result<void>> note(std::shared_ptr<State> self, job::ArtifactRef ref);
  static Task<Result<void>> keep(std::shared_ptr<State> self, std::shared_ptr<const Bytes> module,
                                 job::ArtifactRef ref);
  static Task<Result<KeptModule>> get(std::shared_ptr<State> self, ArtifactId id,
                                      const Progress& progress, requester::CancelToken& cancel);
  static Task<Result<void>> fetch(std::shared_ptr<State> self, ArtifactId id,
                                  const Progress& progress, requester::CancelToken& cancel);
  [[nodiscard]] tl::unexpected<Error> nobody(const ArtifactId& id) const;

  World world;
  bool closed = false;
  ModuleIndex index;
  fs::path index_path;
  std::size_t announced = 0, keeping = 0;
  asio::thread_pool disk{1};  // in order: what goes is gone before it comes again
  std::shared_ptr<artifact::Store> store;
  std::shared_ptr<artifact::Server> server;  // null: off the network, with the two below
  std::unique_ptr<mesh::ArtifactPeers> peers;
  std::unique_ptr<artifact::Fetcher> fetcher;
};

// ── Start and stop ──

Result<void> Modules::State::begin(const fs::path& folder) {
  const fs::path blobs = folder / "blobs";
  PHASE_TRY(store, artifact::Store::open({folder, blobs}));
  index_path = folder / "modules";
  const auto text = read_file(index_path, kIndexBytesMax);
  if (text) {
    index.read(*text);
  } else if (text.error().code != Code::not_found) {
    world.log.warn("{}; the modules kept before are forgotten", printable(text.error().text()));
  }
  sweep(blobs);
  if (world.mesh != nullptr) join(*world.mesh);
  return {};
}

/// Index and folder say the same afterwards.
void Modules::State::sweep(const fs::path& blobs) {
  std::error_code error;
  const std::list<job::ArtifactRef> known = index.all();
  for (const job::ArtifactRef& ref : known) {
    const auto size = fs::file_size(store->blob_path(ref.sha256), error);
    if (error || size != ref.length) index.drop(ref.id);
  }
  for (const auto& entry : fs::directory_iterator(blobs, error)) {
    const std::string name = entry.path().filename().string();
    const auto sha256 = name.size() > 7 ? Sha256::from_hex_text(name.substr(7))
                                        : Result<Sha256>{fail(Code::malformed, "no hash")};
    if (sha256 && index.holds(*sha256)) continue;
    std::error_code removing;
    fs::remove(entry.path(), removing);
  }
}

void Modules::State::join(mesh::Mesh& mesh) {
  server = std::make_shared<artifact::Server>(
      artifact::Server::World{world.clock, world.executor, store}, artifact::ServerLimits{});
  server->share(this);
  mesh::serve_artifacts(mesh, server);
  peers = std::make_unique<mesh::ArtifactPeers>(mesh, world.self);
  artifact::FetchLimits limits;
  limits.bytes_max = job::kModuleBytesMax;
  fetcher = std::make_unique<artifact::Fetcher>(
      artifact::Fetcher::World{world.clock, world.executor, *peers, store, world.log}, limits);
  for (const job::ArtifactRef& ref : index.all()) announce(ref.id);
}

void Modules::State::close() {
  closed = true;
  fetcher.reset();
  if (server != nullptr) server->close();
  if (peers != nullptr) peers->close();  // questions under way still know it
  disk.join();
}

void Modules::State::announce(const ArtifactId& id) {
  if (server == nullptr) return;
  server->prepare(id, world.self);
  if (world.shared_with == "nobody" || announced >= kModulesAnnouncedMax) return;
  ++announced;
  world.mesh->announce(mesh::module_key(id));
}

// ── Giving ──

Result<artifact::Library::Item> Modules::State::open(const ArtifactId& id,
                                                     const identity::PublicKey& who) {
  // Who may not is told the same as when it is not here.
  const auto nothing = [] { return fail(Code::not_found, "no such module for you"); };
  if (who != world.self && !world.policy.lets_in(who)) return nothing();
  const auto ref = index.use(id);
  if (!ref) return nothing();
  auto file = open_file(store->blob_path(ref->sha256), O_RDONLY);
  if (!file) return nothing();
  return Item{*ref, *std::move(file)};
}

// ── Keeping ──

Task<Result<void>> Modules::State::note(std::shared_ptr<State> self, job::ArtifactRef ref) {
  const std::vector<job::ArtifactRef> gone = self->index.add(ref);
  std::string text = self->index.text();
  std::vector<fs::path> files;
  for (const job::ArtifactRef& one : gone) files.push_back(self->store->blob_path(one.sha256));
  auto writes = [&self, &text, &files] {
    std::error_code error;
    for (const fs::path& file : files) fs::remove(file, error);
    return write_file(self->index_path, text);
  };
  const Result<void> written = co_await in_pool(self->disk, writes);
  if (self->closed) co_return fail(stopping());
  self->announce(ref.id);
  if (!gone.empty()) self->world.log.info("{} older modules made room", gone.size());
  co_return written;
}

Task<Result<void>> Modules::State::keep(std::shared_ptr<State> self,
                                        std::shared_ptr<const Bytes> module, job::ArtifactRef ref) {
  if (self->closed) co_return fail(stopping());
  if (self->index.use(ref.id)) co_return Result<void>{};
  if (self->keeping >= kKeepsAtOnceMax) {
    co_return fail(Code::busy, "too many modules are on their way to the disk", "try again");
  }
  ++self->keeping;
  const fs::path path = self->store->blob_path(ref.sha256);
  auto writes = [&path, &module] { return write_file(path, as_text(*module)); };
  Result<void> kept = co_await in_pool(self->disk, writes);
  --self->keeping;
  if (self->closed) co_return fail(stopping());
  if (kept) {
    const Result<void> noted = co_await note(self, ref);
    kept = noted;
  }
  if (!kept && !self->closed) {
    self->world.log.warn("module {} is not kept: {}", ref.id.hex(), printable(kept.error().text()));
  }
  co_return kept;
}

// ── Getting ──

Task<Result<KeptModule>> Modules::State::get(std::shared_ptr<State> self, ArtifactId id,
                                             const Progress& progress,
                                             requester::CancelToken& cancel) {
  Result<Bytes> bytes = fail(Code::internal, "nothing was read");
  for (int tries = 0; tries < kModuleTriesMax && !self->closed; ++tries) {
    std::optional<job::ArtifactRef> here = self->index.use(id);
    if (!here) {
      const Result<void> fetched = co_await fetch(self, id, progress, cancel);
      if (!fetched) co_return fail(fetched.error());
      here = self->index.use(id);
      if (!here) continue;  // it went for another one already
    }
    const job::ArtifactRef ref = *here;
    auto reads = [&self, &ref] { return read_module(self->store->blob_path(ref.sha256), ref); };
    bytes = co_await in_pool(self->disk, reads);
    if (self->closed) break;
    if (bytes) co_return KeptModule{ref, *std::move(bytes)};
    self->world.log.warn("{}; fetching it again", printable(bytes.error().text()));
    self->index.drop(id);
  }
  if (self->closed) co_return fail(stopping());
  co_return fail(bytes.error());
}

tl::unexpected<Error> Modules::State::nobody(const ArtifactId& id) const {
  const std::string what = "nobody has it: module " + artifact_text(id);
  if (fetcher == nullptr) {
    return fail(Code::unavailable, what + " is not kept here, and this node stays off the network",
                "run it from its file, or start plasmd without --no-network");
  }
  return fail(Code::unavailable,
              what + " is not kept here, and no peer that can be reached gives it",
              "run it from its file; or have whoever has it add it (phase artifact add FILE) and "
              "let this node in (plasmd start --allow " +
                  identity::PeerId::from(world.self).text() +
                  "), and connect to them: plasmd start --bootstrap ADDRESS");
}

Task<Result<void>> Modules::State::fetch(std::shared_ptr<State> self, ArtifactId id,
                                         const Progress& progress, requester::CancelToken& cancel) {
  const auto cancelled = [] {
    return fail(Code::cancelled, "cancelled while fetching its module");
  };
  if (cancel.requested()) co_return cancelled();
  if (self->fetcher == nullptr) co_return self->nobody(id);
  auto asked = self->fetcher->fetch(id, mesh::module_key(id), {});
  if (!asked) co_return fail(asked.error());
  // The one who cancels takes the wish back at once.
  auto wish = std::make_shared<std::unique_ptr<artifact::Fetcher::Ticket>>(*std::move(asked));
  cancel.on_request([weak = std::weak_ptr(wish)] {
    if (const auto alive = weak.lock()) alive->reset();
  });
  offer::Progress told{"fetching the module", 0, 0};
  progress(told);
  while (*wish != nullptr) {
    const Result<artifact::FetchProgress> at = co_await (*wish)->next();
    if (self->closed) co_return fail(stopping());
    if (cancel.requested()) break;
    if (!at && at.error().code == Code::unavailable) co_return self->nobody(id);
    if (!at) co_return fail(at.error());
    if (at->content) {
      const job::ArtifactRef ref = *at->content;
      const Result<void> noted = co_await note(self, ref);
      if (self->closed) co_return fail(stopping());
      // It is here all the same; a restart forgets it.
      if (!noted) self->world.log.warn("{}", printable(noted.error().text()));
      co_return Result<void>{};
    }
    const bool moved = at->total && (told.done != at->held || told.total != *at->total);
    if (moved) {
      told.done = at->held;
      told.total = *at->total;
      progress(told);
    }
  }
  co_return cancelled();
}

// ── Modules ──

Modules::Modules(std::shared_ptr<State> state) : state_(std::move(state)) {}

Modules::~Modules() {
  state_->close();
}

Result<std::unique_ptr<Modules>> Modules::open(World world, const fs::path& folder,
                                               ModuleLimits limits) {
  auto state = std::make_shared<State>(world, limits);
  std::unique_ptr<Modules> out(new Modules(state));
  PHASE_TRY_VOID(state->begin(folder));
  return out;
}

Task<Result<void>> Modules::keep(std::shared_ptr<const Bytes> module, job::ArtifactRef ref) {
  return State::keep(state_, std::move(module), ref);
}

Task<Result<KeptModule>> Modules::get(ArtifactId id, const Progress& progress,
                                      requester::CancelToken& cancel) {
  return State::get(state_, id, progress, cancel);
}

std::string_view Modules::shared_with() const {
  return state_->world.shared_with;
}

}  // namespace phase::node
