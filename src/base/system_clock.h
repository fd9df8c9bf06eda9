// system_clock.h — the Clock of production: the kernel's clocks, timers of an Asio executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "base/clock.h"

namespace phase {

/// CLOCK_REALTIME and CLOCK_MONOTONIC. Sleeps are timers on `executor` (an io_context, or a strand
/// or pool thread of one); the coroutine that sleeps resumes on its own executor.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  [[nodiscard]] UtcTime now_utc() const override;
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] Task<Result<void>> sleep_until(Instant at) override;

 private:
  asio::any_io_executor executor_;
};

}  // namespace phase
