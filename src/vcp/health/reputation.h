// reputation.h — how often a node kept its word, as a coordinator saw it.
//
// Beta-Bernoulli (Jøsang and Ismail, "The Beta Reputation System", 2002): with S verified runs, F
// failed ones and D disputes lost, each halved every half-life,
//
//   score = max(0, (S + kPrior) / (S + F + 2 kPrior) − min(kDisputeCost · D, kDisputeCostMax))
//
// A node without runs scores ½, one success gives 0.6, and 1 is never reached. Pure values.
#pragma once

#include "base/clock.h"

namespace phase::vcp {

/// Runs of each kind that a new node is credited with: how much it takes to be believed.
inline constexpr double kReputationPrior = 2;
inline constexpr Duration kReputationHalfLife = std::chrono::hours(24 * 7);
/// A dispute lost is remembered longer than a machine that was switched off.
inline constexpr Duration kDisputeHalfLife = std::chrono::hours(24 * 30);
inline constexpr double kDisputeCost = 0.05, kDisputeCostMax = 0.3;

/// Can be kept in a row and taken up again.
struct Reputation {
  double successes = 0, failures = 0, disputes = 0;  ///< as of `at`, decayed
  UtcTime at;

  void succeeded(UtcTime now);
  void failed(UtcTime now);
  /// A proven lie: another result than what was found right. Counts as a failure too.
  void disputed(UtcTime now);
  /// 0 … 1, never 1. A `now` before `at` counts as `at`.
  [[nodiscard]] double score(UtcTime now) const;
  friend bool operator==(const Reputation&, const Reputation&) = default;

 private:
  void decay_to(UtcTime now);
};

}  // namespace phase::vcp
