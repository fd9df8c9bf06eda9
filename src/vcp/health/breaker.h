// breaker.h — stops sending work to a node that is too hot, too far or failing, and tries it again
// with care (M. Nygard, "Release It!", circuit breaker).
//
//   closed ──over the limit──► open ──calm again, and the cool-down over──► half_open
//     ▲                         ▲                                              │
//     └───its one run went well─┼──────────its one run failed, or over it──────┘
//
// Each time it opens again without having been closed, the cool-down doubles. Pure: time comes in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace phase::vcp {

enum class BreakerState : std::uint8_t { closed, open, half_open };
[[nodiscard]] std::string_view breaker_state_name(BreakerState state) noexcept;

struct BreakerLimits {
  double open_above = 0;  ///< a reading above it opens
  double calm_below = 0;  ///< only readings below it let it half open
  Duration cool_down = 30s;
  Duration cool_down_max = 3600s;
  /// Open and without any reading for so long: one run may try. A sensor can go for good.
  Duration blind_max = 600s;
};

class Breaker {
 public:
  explicit Breaker(BreakerLimits limits) : limits_(limits), cool_down_(limits.cool_down) {}

  /// What the sensor says now.
  void reading(double value, Instant now);
  /// Where it stands; open becomes half_open by time alone.
  [[nodiscard]] BreakerState state(Instant now);
  /// The one run of half_open ended. Ignored in other states.
  void tried(bool well, Instant now);
  /// The last reading; absent before the first.
  [[nodiscard]] std::optional<double> last() const noexcept { return last_; }
  [[nodiscard]] const BreakerLimits& limits() const noexcept { return limits_; }

 private:
  void open(Instant now);

  BreakerLimits limits_;
  BreakerState state_ = BreakerState::closed;
  Duration cool_down_;
  Instant opened_, read_;
  std::optional<double> last_;
};

}  // namespace phase::vcp
