// sim_executor.h — a deterministic world to run coroutines in: one thread, one seed, virtual time.
//
// A SimContext is an Asio execution context whose executor goes wherever an any_io_executor goes.
// It picks the next of the handlers that are ready by its seed, so every order that a real executor
// could show can appear, and the same seed shows it again. When nothing is ready, time jumps to the
// next timer: 400 virtual seconds cost nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

#include "base/clock.h"
#include "base/hash.h"

namespace phase::simulation {

/// Handlers one run may execute; beyond it the run counts as endless.
inline constexpr std::uint64_t kStepsMax = 5'000'000;

class SimContext final : public asio::execution_context {
 public:
  class Executor;

  explicit SimContext(std::uint64_t seed);
  ~SimContext();

  [[nodiscard]] Executor get_executor() noexcept;
  /// Executes handlers and advances time until `done()`, or nothing is left, or `until` or
  /// kStepsMax is reached. Returns done().
  bool run_until(const std::function<bool()>& done, Instant until);

  [[nodiscard]] Instant now() const noexcept { return now_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] std::size_t timers() const noexcept { return timers_.size(); }
  [[nodiscard]] std::size_t ready() const noexcept { return ready_.size(); }
  /// Seeded choices for the world around the executor (faults, sizes, delays). In [0, bound).
  [[nodiscard]] std::uint64_t choose(std::uint64_t bound);
  /// True once in `one_in` times.
  [[nodiscard]] bool chance(std::uint64_t one_in) { return choose(one_in) == 0; }

  /// Adds a word to the trace.
  void note(std::string_view what);
  /// Hash of every choice, time step and note so far: equal for equal seeds.
  [[nodiscard]] Sha256 trace() const { return trace_.finish(); }

  /// Something to be done at a time; `run(false)` when cancelled.
  using TimerId = std::uint64_t;
  TimerId add_timer(Instant at, std::function<void(bool)> run);
  void cancel_timer(TimerId timer);

 private:
  struct Work {
    virtual ~Work() = default;
    virtual void run() = 0;
  };
  template <typename F>
  struct WorkOf final : Work {
    explicit WorkOf(F f) : function(std::move(f)) {}
    void run() override { std::move(function)(); }
    F function;
  };
  struct Timer {
    Instant at;
    std::function<void(bool)> run;
  };

  template <typename F>
  void add(F&& function) {
    ready_.push_back(std::make_unique<WorkOf<std::decay_t<F>>>(std::forward<F>(function)));
  }
  void step();
  void drop_work();
  bool advance(Instant until);

  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Work>> ready_;
  std::map<std::pair<Instant, TimerId>, std::function<void(bool)>> timers_;
  std::map<TimerId, Instant> timer_times_;
  TimerId next_timer_ = 1;
  Instant now_;
  std::uint64_t steps_ = 0;
  Sha256Stream trace_;
};

/// Never runs a handler inside `execute`, so the seed decides about every order.
class SimContext::Executor {
 public:
  explicit Executor(SimContext& context) noexcept : context_(&context) {}

  template <typename F>
  void execute(F&& function) const {
    context_->add(std::forward<F>(function));
  }
  [[nodiscard]] SimContext& query(asio::execution::context_t) const noexcept { return *context_; }
  [[nodiscard]] static constexpr asio::execution::blocking_t query(
      asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }
  [[nodiscard]] Executor require(asio::execution::blocking_t::never_t) const noexcept {
    return *this;
  }
  friend bool operator==(const Executor&, const Executor&) noexcept = default;

 private:
  SimContext* context_;
};

inline SimContext::Executor SimContext::get_executor() noexcept {
  return Executor(*this);
}

/// Virtual time. Wall time starts at a fixed date.
class SimClock final : public Clock {
 public:
  explicit SimClock(SimContext& context) : context_(context) {}
  [[nodiscard]] UtcTime now_utc() const override;
  [[nodiscard]] Instant now() const override { return context_.now(); }
  [[nodiscard]] Task<Result<void>> sleep_until(Instant at) override;

 private:
  SimContext& context_;
};

}  // namespace phase::simulation
