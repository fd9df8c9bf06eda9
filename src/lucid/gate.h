// gate.h — admission of inference jobs by the operator's policy, which may change at any time.
// Implements provider::AdmissionPolicy.
#pragma once

#include <ctime>
#include <functional>

#include "base/clock.h"
#include "lucid/catalog.h"
#include "lucid/operator_policy.h"
#include "policy/budget.h"
#include "protocol/provider/provider.h"

namespace phase::lucid {

class Gate final : public provider::AdmissionPolicy {
 public:
  struct World {
    Clock& clock;
    Catalog& catalog;
    identity::PublicKey self;
    std::string arch;
    std::function<std::uint64_t()> remote_jobs;                        ///< others' jobs here now
    std::function<std::uint64_t(const identity::PublicKey&)> jobs_of;  ///< of one requester
    std::function<int()> hour_local;
  };
  Gate(World world, OperatorPolicy policy);

  [[nodiscard]] std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest& request) override;

  [[nodiscard]] const OperatorPolicy& policy() const noexcept { return policy_; }
  void set_policy(OperatorPolicy policy);
  /// Overrides the file's manual_pause until the node ends or it is set again.
  void set_manual_pause(bool paused) { paused_ = paused; }
  [[nodiscard]] bool manual_pause() const noexcept {
    return paused_.value_or(policy_.manual_pause);
  }
  void set_machine(MachineState state) { machine_ = state; }
  [[nodiscard]] const MachineState& machine() const noexcept { return machine_; }
  /// Why others are not served now; nothing when they are.
  [[nodiscard]] std::optional<std::string> paused() const;
  /// True when somebody else may send jobs at all.
  [[nodiscard]] bool takes_others() const noexcept;

 private:
  [[nodiscard]] std::optional<provider::Refused> refuse_asked(
      const manifest::Manifest& manifest) const;

  World world_;
  OperatorPolicy policy_;
  std::optional<bool> paused_;
  MachineState machine_;
  policy::Budget budget_;
};

/// The hour of the local day now, 0 … 23.
[[nodiscard]] int local_hour();

}  // namespace phase::lucid
