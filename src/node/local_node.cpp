#include "node/local_node.h"

#include "mesh/own_network.h"
#include "mesh/told.h"
#include "node/received.h"

namespace phase::node {

struct LocalNode::State {
  State(World with, LocalOptions chosen, std::unique_ptr<worker::WasmWorker> runs)
      : world(with),
        options(std::move(chosen)),
        worker(std::move(runs)),
        policy(with.clock, options.policy),
        metered(*worker, options.energy),
        around(options.around_worker ? options.around_worker(metered) : nullptr),
        received(with.key.public_key(), policy, around ? *around : metered),
        told_policy(received, with.clock, with.log),
        told_receipts(with.receipts, with.log),
        provider({with.clock, with.random, with.key, received, told_policy, with.replays,
                  told_receipts, with.executor},
                 options.provider),
        network(with.executor, provider, with.key.public_key(), options.provider.jobs_running_max,
                [this] { return capabilities(); }) {}

  [[nodiscard]] offer::Capabilities capabilities() const {
    offer::Capabilities out = offer::native_capabilities(world.clock.now_utc());
    out.agent = options.agent;
    out.cpu_cores = options.policy.resources.cpu_cores;
    out.memory_bytes = options.policy.resources.memory_bytes;
    out.kinds = {"wasm"};
    out.runtime = options.policy.resources.runtime;
    out.region = options.policy.resources.region;
    out.jobs_running = provider.jobs_running();
    out.jobs_max = options.provider.jobs_running_max;
    out.isolation = worker->isolation();
    out.open = options.policy.open && options.policy.takes_others;
    return out;
  }

  World world;
  LocalOptions options;
  std::unique_ptr<worker::WasmWorker> worker;
  policy::Policy policy;
  Metered metered;
  std::unique_ptr<provider::Worker> around;
  Received received;
  mesh::ToldPolicy told_policy;
  mesh::ToldReceipts told_receipts;
  provider::Provider provider;  // uses all above
  mesh::OwnNetwork network;
};

Result<std::unique_ptr<LocalNode>> LocalNode::start(World world, LocalOptions options) {
  PHASE_TRY(auto worker, worker::WasmWorker::start(world.executor, options.worker));
  for (const auto& warning : worker->warnings()) {
    world.log.warn("isolation: {}", printable(warning));
  }
  options.policy.self = world.key.public_key();
  options.policy.resources.arch = offer::native_arch();
  options.policy.resources.runtime = worker->runtime();
  auto state = std::make_unique<State>(world, std::move(options), std::move(worker));
  return std::unique_ptr<LocalNode>(new LocalNode(std::move(state)));
}

LocalNode::LocalNode(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocalNode::~LocalNode() = default;

provider::Provider& LocalNode::provider() noexcept {
  return state_->provider;
}
requester::Network& LocalNode::network() noexcept {
  return state_->network;
}
worker::WasmWorker& LocalNode::worker() noexcept {
  return *state_->worker;
}
const policy::Policy& LocalNode::policy() const noexcept {
  return state_->policy;
}
void LocalNode::on_received(std::function<void(const job::ArtifactRef&, ByteView)> sink) {
  state_->received.tell(std::move(sink));
}
offer::Capabilities LocalNode::capabilities() const {
  return state_->capabilities();
}

}  // namespace phase::node
