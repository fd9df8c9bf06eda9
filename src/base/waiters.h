// waiters.h — coroutines that wait for the next change of something, each until its own deadline.

#pragma once

#include <list>
#include <optional>

#include "base/clock.h"
#include "base/event.h"

namespace phase {

/// Belongs to one executor. Must outlive its waiters: they hold what owns it.
class Waiters {
 public:
  Waiters(Clock& clock, asio::any_io_executor executor)
      : clock_(clock), executor_(std::move(executor)) {}
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  /// Wakes all that wait now.
  void notify_all();
  /// Returns true at the next notify_all, or at the deadline; the caller looks again itself. False:
  /// the coroutine's cancellation slot fired.
  [[nodiscard]] Task<bool> wait(Deadline deadline);
  [[nodiscard]] Task<bool> wait();

 private:
  [[nodiscard]] Task<bool> wait(std::optional<Deadline> deadline);
  Clock& clock_;
  asio::any_io_executor executor_;
  std::list<Event*> events_;
};

}  // namespace phase
