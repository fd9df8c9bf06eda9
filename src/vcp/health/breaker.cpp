#include "vcp/health/breaker.h"

#include <algorithm>

#include "base/check.h"

namespace phase::vcp {

std::string_view breaker_state_name(BreakerState state) noexcept {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half_open";
  }
  check_failed(__FILE__, __LINE__, "state is known", {});
}

void Breaker::open(Instant now) {
  if (state_ == BreakerState::half_open) {
    cool_down_ = std::min(cool_down_ * 2, limits_.cool_down_max);
  }
  state_ = BreakerState::open;
  opened_ = now;
}

void Breaker::reading(double value, Instant now) {
  static_cast<void>(state(now));  // what was due before this reading
  last_ = value;
  read_ = now;
  if (value > limits_.open_above) open(now);
}

BreakerState Breaker::state(Instant now) {
  if (state_ != BreakerState::open || now - opened_ < cool_down_) return state_;
  const bool calm = last_ && *last_ < limits_.calm_below;
  if (calm || now - read_ >= limits_.blind_max) state_ = BreakerState::half_open;
  return state_;
}

void Breaker::tried(bool well, Instant now) {
  if (state(now) != BreakerState::half_open) return;
  if (!well) {
    open(now);
    return;
  }
  state_ = BreakerState::closed;
  cool_down_ = limits_.cool_down;
}

}  // namespace phase::vcp
