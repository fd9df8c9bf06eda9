// requester_runner.h — runs as jobs of the protocol: manifest, offer, output, receipt, verdict.
#pragma once

#include "base/random.h"
#include "vcp/coordinator/runner.h"

namespace phase::vcp {

class RequesterRunner final : public Runner {
 public:
  /// All borrowed. `key`: the coordinator's, which signs manifests.
  RequesterRunner(requester::Requester::World world, requester::RequesterLimits limits)
      : world_(world), limits_(limits) {
    limits_.attempts_max = 1;  // going elsewhere is the scheduler's
  }
  /// `order.key` of an order without a node: whom this runner's network reaches.
  void set_self(const identity::PublicKey& key) { self_ = key; }

  [[nodiscard]] Task<Result<RunResult>> run(RunOrder order, RunWatch& watch,
                                            requester::CancelToken& cancel,
                                            requester::RevealGate& gate) override;

 private:
  requester::Requester::World world_;
  requester::RequesterLimits limits_;
  std::optional<identity::PublicKey> self_;
};

}  // namespace phase::vcp
