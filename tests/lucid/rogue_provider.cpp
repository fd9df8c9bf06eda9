// rogue_provider.cpp — for tests only: a LUCID provider on loopback, real but for one fault that it
// is started with. The product has no such switch.
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/random.h"
#include "base/system_clock.h"
#include "lucid/gate.h"
#include "lucid/inference_jobs.h"
#include "mesh/mesh.h"
#include "mesh/told.h"
#include "store/store.h"
#include "tests/simulation/rogue.h"

namespace phase::lucid {
namespace {

/// Says that it has a model, and has it not. Others: simulation::Lie.
constexpr std::string_view kLacksModel = "lacks_model";

struct Words {
  std::string fault = "none", worker;
  std::filesystem::path model_dir, data;
  std::uint16_t port = 0;
  std::vector<std::string> bootstrap;
};

Catalog::Options catalog_of(const Words& words, bool empty) {
  Catalog::Options out;
  out.data_dir = words.data / (empty ? "none" : "models");
  if (!empty) out.model_dir = words.model_dir;
  return out;
}

OperatorPolicy open_policy() {
  OperatorPolicy out;
  out.allow_unauthenticated_jobs = true;
  out.auto_pause_on_battery = false;
  out.auto_pause_on_thermal_threshold_c.reset();
  out.max_jobs_per_minute_per_key = 1000;
  return out;
}

class RogueProvider {
 public:
  RogueProvider(asio::io_context& context, Words words)
      : context_(context), words_(std::move(words)), clock_(context.get_executor()) {}

  Task<void> live() {
    const Result<void> started = co_await start();
    if (!started) {
      log_.error("{}", started.error().text());
      std::exit(1);
    }
    log_.info("ready: http none {}", key_.peer_id().text());
  }

 private:
  Task<Result<void>> start() {
    const auto executor = context_.get_executor();
    std::filesystem::create_directories(words_.data);
    store::StoreOptions kept;
    kept.path = words_.data / "rogue.db";
    kept.durability = store::Durability::process;
    PHASE_CO_TRY(store_, store::Store::open(kept, clock_.now_utc()));
    PHASE_CO_TRY(worker_, worker::InferenceWorker::start(executor, {words_.worker, true}));
    const Catalog::World place{clock_, executor, worker_.get(), log_};
    PHASE_CO_TRY(claimed_, Catalog::open(place, catalog_of(words_, false)));
    PHASE_CO_TRY(catalog_, Catalog::open(place, catalog_of(words_, lacks())));
    co_await claimed_->refresh();
    co_await catalog_->refresh();
    pool_ = std::make_unique<ModelPool>(
        ModelPool::World{clock_, executor, *catalog_, worker_.get(), log_}, ModelPool::Options{});
    jobs_ = std::make_unique<InferenceJobs>(executor, *catalog_, *pool_, key_.public_key());
    open_provider();
    co_return co_await join();
  }
  void open_provider() {
    gate_ = std::make_unique<Gate>(
        Gate::World{clock_, *claimed_, key_.public_key(), offer::native_arch(),
                    [this] { return provider_->jobs_running() + provider_->jobs_queued(); },
                    [](const identity::PublicKey&) { return std::uint64_t{0}; }, [] { return 12; }},
        open_policy());
    told_ = std::make_unique<mesh::ToldPolicy>(*gate_, clock_, log_);
    provider_ = std::make_unique<provider::Provider>(
        provider::Provider::World{clock_, random_, key_, *jobs_, *told_, *store_, *store_,
                                  context_.get_executor()},
        provider::ProviderLimits{});
    const auto lie = simulation::lie_named(words_.fault).value_or(simulation::Lie::none);
    rogue_ = std::make_unique<simulation::Rogue>(
        clock_, random_, context_.get_executor(), key_, lie,
        [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
          return provider_->serve(std::move(stream), from);
        });
  }
  Task<Result<void>> join() {
    mesh::Mesh::Options joins;
    const std::string port = std::to_string(words_.port);
    joins.peer.listen = {"/ip4/127.0.0.1/udp/" + port + "/quic-v1", "/ip4/127.0.0.1/tcp/" + port};
    joins.peer.mdns = false;
    joins.peer.bootstrap = words_.bootstrap;
    mesh::Mesh::Serve serve = [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
      log_.info("asked by {}", identity::PeerId::from(from).text());
      return rogue_->serve(std::move(stream), from);
    };
    std::function<offer::Capabilities()> says = [this] { return capabilities(); };
    const mesh::Mesh::World place{clock_, key_, context_.get_executor(), log_};
    PHASE_CO_TRY(mesh_, co_await mesh::Mesh::start(place, std::move(joins), std::move(says),
                                                   std::move(serve)));
    for (const LocalModelPtr& model : claimed_->list()) {
      mesh_->announce(mesh::model_key(Sha256{model->content.id.value}));
    }
    co_return Result<void>{};
  }
  [[nodiscard]] offer::Capabilities capabilities() {
    offer::Capabilities out = offer::native_capabilities(clock_.now_utc());
    out.agent = "rogue";
    out.runtime = "llama.cpp";
    out.jobs_max = 4;
    out.open = true;
    out.kinds = {"inference"};
    for (const LocalModelPtr& model : claimed_->list()) {
      out.models.push_back(Sha256{model->content.id.value});
      out.model_names.push_back(model->name.text());
    }
    return out;
  }
  [[nodiscard]] bool lacks() const { return words_.fault == kLacksModel; }

  asio::io_context& context_;
  Words words_;
  SystemClock clock_;
  SystemRandom random_;
  spdlog::logger log_{"rogue", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<worker::InferenceWorker> worker_;
  std::unique_ptr<Catalog> claimed_, catalog_;
  std::unique_ptr<ModelPool> pool_;
  std::unique_ptr<InferenceJobs> jobs_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<mesh::ToldPolicy> told_;
  std::unique_ptr<provider::Provider> provider_;
  std::unique_ptr<simulation::Rogue> rogue_;
  std::unique_ptr<mesh::Mesh> mesh_;
};

int program(int argc, char** argv) {
  Words words;
  CLI::App app{"A LUCID provider with a fault, for tests"};
  app.add_option("--fault", words.fault, "none, lacks_model, or a word of tests/simulation/rogue.h")
      ->required();
  app.add_option("--model-dir", words.model_dir)->required();
  app.add_option("--data", words.data)->required();
  app.add_option("--worker-path", words.worker)->required();
  app.add_option("--libp2p-port", words.port)->required();
  app.add_option("--bootstrap-peer", words.bootstrap);
  CLI11_PARSE(app, argc, argv);
  if (words.fault != kLacksModel && !simulation::lie_named(words.fault)) {
    std::cerr << "rogue_provider: no such fault: " << words.fault << '\n';
    return 2;
  }
  asio::io_context context(1);
  RogueProvider rogue(context, std::move(words));
  asio::co_spawn(context, rogue.live(), asio::detached);
  context.run();
  return 0;
}

}  // namespace
}  // namespace phase::lucid

int main(int argc, char** argv) {
  return phase::lucid::program(argc, argv);
}
