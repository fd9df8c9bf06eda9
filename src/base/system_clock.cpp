#include "base/system_clock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace phase {

UtcTime SystemClock::now_utc() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  return UtcTime{static_cast<std::uint64_t>(ms)};
}

Instant SystemClock::now() const {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return Instant{std::chrono::duration_cast<Duration>(since).count()};
}

Task<Result<void>> SystemClock::sleep_until(Instant at) {
  const auto since =
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(Duration(at.ns));
  asio::steady_timer timer(executor_, std::chrono::steady_clock::time_point(since));
  auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (error) co_return fail(Code::cancelled, "the sleep was cancelled");
  co_return Result<void>{};
}

}  // namespace phase
