// event.h — waiting without threads: a flag one coroutine waits for, and an action at a time.
//
// Both work on any executor whose context keeps services (io_context, the simulator), need no lock,
// and belong to that executor.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"

namespace phase {

/// A flag that remembers one notification. At most one coroutine waits at a time.
class Event {
 public:
  explicit Event(asio::any_io_executor executor);
  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;
  ~Event();  // a waiting coroutine is resumed with false

  /// Wakes the waiter, or lets the next `wait` pass at once. Never blocks; many count as one.
  void notify();
  /// True when notified; false when the coroutine's cancellation slot fired or the event is gone.
  [[nodiscard]] Task<bool> wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// At most `limit` holders at once; others wait their turn, first come, first served.
class Turnstile {
 public:
  Turnstile(asio::any_io_executor executor, std::size_t limit);
  ~Turnstile();

  /// Waits for a place. False when cancelled through the slot, or the turnstile is gone.
  [[nodiscard]] Task<bool> enter();
  void leave();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Does something at a time, unless stopped before. Costs one sleeping coroutine while set.
class Alarm {
 public:
  /// `clock` must outlive the executor's last handler.
  Alarm(Clock& clock, asio::any_io_executor executor);
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm();  // stops

  /// Replaces what was set before. `action` runs on the executor, never inside this call, and may
  /// set the alarm again.
  void set(Instant at, std::function<void()> action);
  /// After this the action does not run. Idempotent.
  void stop();

 private:
  struct Run;
  Clock& clock_;
  asio::any_io_executor executor_;
  std::shared_ptr<Run> run_;  // shared with the coroutine that sleeps for it
};

}  // namespace phase
