// metered.h — a worker whose runs claim the energy they took their share of.
#pragma once

#include <memory>
#include <optional>

#include "protocol/provider/worker.h"

namespace phase::node {

/// Measures the machine's energy and divides it among the runs under way.
class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  virtual void run_began() = 0;
  virtual void run_ended() = 0;
  /// Millijoules that a run would have on its account had it gone on since the start; a run's own
  /// are the difference. Absent: unknown.
  [[nodiscard]] virtual std::optional<double> share_mj() = 0;
};

/// Passes everything on and fills `claimed.energy_mj` of an exit. The node's own word, as all of
/// `claimed`; absent where the machine has no counter.
class Metered final : public provider::Worker {
 public:
  /// Both outlive this; `meter` may be null: nothing is filled in.
  Metered(provider::Worker& worker, EnergyMeter* meter) : worker_(worker), meter_(meter) {}

  [[nodiscard]] Result<void> takes(const job::Job& job) const override {
    return worker_.takes(job);
  }
  [[nodiscard]] bool holds_module(const job::Job& job) const override {
    return worker_.holds_module(job);
  }
  [[nodiscard]] Task<Result<void>> prepare(const job::Job& job, ByteView module) override {
    return worker_.prepare(job, module);
  }
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override;

 private:
  provider::Worker& worker_;
  EnergyMeter* meter_;
};

}  // namespace phase::node
