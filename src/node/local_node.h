// local_node.h — what runs jobs on this machine: worker, policy and provider, and the way to them
// in memory.
//
// Own jobs reach the provider by the same stream, manifest and receipt as those of others.
// Belongs to one executor.
#pragma once

#include <functional>
#include <memory>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "base/random.h"
#include "identity/identity.h"
#include "node/metered.h"
#include "policy/policy.h"
#include "protocol/offer/frame.h"
#include "protocol/provider/provider.h"
#include "protocol/requester/requester.h"
#include "worker/wasm/wasm_worker.h"

namespace phase::node {

struct LocalOptions {
  worker::WasmWorker::Options worker;
  policy::Options policy;  ///< self, arch and runtime are filled in here
  provider::ProviderLimits provider;
  std::string agent;              ///< "plasmd/0.1.0"
  EnergyMeter* energy = nullptr;  ///< borrowed; null: runs claim no energy
  /// Stands between provider and worker, for tests of nodes that lie. Absent: nothing does.
  std::function<std::unique_ptr<provider::Worker>(provider::Worker&)> around_worker = {};
};

class LocalNode {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    manifest::ReplayRecord& replays;
    provider::ReceiptSink& receipts;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Starts the worker program. Errors: those of WasmWorker::start.
  [[nodiscard]] static Result<std::unique_ptr<LocalNode>> start(World world, LocalOptions options);
  ~LocalNode();

  [[nodiscard]] provider::Provider& provider() noexcept;
  /// Finds and opens this node only.
  [[nodiscard]] requester::Network& network() noexcept;
  [[nodiscard]] worker::WasmWorker& worker() noexcept;
  [[nodiscard]] const policy::Policy& policy() const noexcept;
  /// From now on hears of modules that others send with jobs that are not private.
  void on_received(std::function<void(const job::ArtifactRef&, ByteView)> sink);
  /// What this node says of itself now, not yet signed.
  [[nodiscard]] offer::Capabilities capabilities() const;

 private:
  struct State;
  explicit LocalNode(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace phase::node
