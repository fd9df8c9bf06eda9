#include "vcp/health/reputation.h"

#include <algorithm>
#include <cmath>

namespace phase::vcp {

void Reputation::decay_to(UtcTime now) {
  if (now <= at) return;
  const double ns = static_cast<double>(now.unix_ms - at.unix_ms) * 1e6;
  const double runs = std::exp2(-ns / static_cast<double>(kReputationHalfLife.count()));
  successes *= runs;
  failures *= runs;
  disputes *= std::exp2(-ns / static_cast<double>(kDisputeHalfLife.count()));
  at = now;
}

void Reputation::succeeded(UtcTime now) {
  decay_to(now);
  successes += 1;
}

void Reputation::failed(UtcTime now) {
  decay_to(now);
  failures += 1;
}

void Reputation::disputed(UtcTime now) {
  failed(now);
  disputes += 1;
}

double Reputation::score(UtcTime now) const {
  Reputation then = *this;
  then.decay_to(now);
  const double kept =
      (then.successes + kReputationPrior) / (then.successes + then.failures + 2 * kReputationPrior);
  return std::max(0.0, kept - std::min(kDisputeCost * then.disputes, kDisputeCostMax));
}

}  // namespace phase::vcp
