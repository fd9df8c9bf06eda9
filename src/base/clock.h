// clock.h — time as a parameter: wall time to write into documents, monotonic time to wait by.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace phase {

namespace asio = boost::asio;

template <typename T>
using Task = asio::awaitable<T>;

using Duration = std::chrono::nanoseconds;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

/// Milliseconds since 1970-01-01T00:00:00Z, as documents carry it.
struct UtcTime {
  std::uint64_t unix_ms = 0;
  friend auto operator<=>(const UtcTime&, const UtcTime&) = default;
};

/// A point on the monotonic clock of one process. Not comparable between processes.
struct Instant {
  std::int64_t ns = 0;
  friend auto operator<=>(const Instant&, const Instant&) = default;
  friend Instant operator+(Instant at, Duration d) { return {at.ns + d.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration{a.ns - b.ns}; }
};

/// The last moment something is worth doing. Passed down, never restarted at each layer.
struct Deadline {
  Instant at;
};

/// Time as the protocol sees it. Production: base/system_clock.h. Simulation: tests/simulation.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UtcTime now_utc() const = 0;
  [[nodiscard]] virtual Instant now() const = 0;
  /// Suspends the calling coroutine. Completes early, with Code::cancelled, when the coroutine's
  /// cancellation slot fires.
  [[nodiscard]] virtual Task<Result<void>> sleep_until(Instant at) = 0;

  [[nodiscard]] Deadline deadline_after(Duration d) const { return {now() + d}; }
  [[nodiscard]] Task<Result<void>> sleep_for(Duration d) { return sleep_until(now() + d); }
};

}  // namespace phase
