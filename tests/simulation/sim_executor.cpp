#include "tests/simulation/sim_executor.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace phase::simulation {
namespace {

// 2026-01-01T00:00:00Z: late enough that nothing subtracts below zero.
constexpr std::uint64_t kStartUnixMs = 1'767'225'600'000;

using SleepSignature = void(boost::system::error_code);

// Starts one timer of the context for a completion handler of Asio.
struct StartSleep {
  SimContext& context;
  Instant at;

  template <typename Handler>
  void operator()(Handler handler) const {
    auto slot = asio::get_associated_cancellation_slot(handler);
    // std::function wants copies; the handler is shared with nobody.
    auto kept = std::make_shared<Handler>(std::move(handler));
    const auto id = context.add_timer(at, [kept, &world = context](bool fired) {
      const auto error = fired ? boost::system::error_code{}
                               : boost::system::error_code(asio::error::operation_aborted);
      asio::post(world.get_executor(), [kept, error]() mutable { std::move (*kept)(error); });
    });
    if (slot.is_connected()) {
      slot.assign([&world = context, id](asio::cancellation_type) { world.cancel_timer(id); });
    }
  }
};

}  // namespace

SimContext::SimContext(std::uint64_t seed) : random_(seed) {
  trace_.update_u64(seed);
}

SimContext::~SimContext() {
  drop_work();
  shutdown();  // services destroy the coroutines that wait in them, which may start others
  drop_work();
  destroy();
}

void SimContext::drop_work() {
  // Coroutines own what they wait for; destroying one may add or drop others.
  while (!timers_.empty() || !ready_.empty()) {
    const auto timers = std::exchange(timers_, {});
    const auto ready = std::exchange(ready_, {});
    timer_times_.clear();
  }
}

std::uint64_t SimContext::choose(std::uint64_t bound) {
  // Not std::uniform_int_distribution: its results differ between standard libraries.
  const std::uint64_t value = bound <= 1 ? 0 : random_() % bound;
  trace_.update_u64(value);
  return value;
}

void SimContext::note(std::string_view what) {
  trace_.update_u32(static_cast<std::uint32_t>(what.size())).update(as_bytes(what));
}

SimContext::TimerId SimContext::add_timer(Instant at, std::function<void(bool)> run) {
  const TimerId timer = next_timer_++;
  timers_.emplace(std::pair{std::max(at, now_), timer}, std::move(run));
  timer_times_.emplace(timer, std::max(at, now_));
  return timer;
}

void SimContext::cancel_timer(TimerId timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  auto node = timers_.extract(std::pair{found->second, timer});
  timer_times_.erase(found);
  if (node) node.mapped()(false);
}

void SimContext::step() {
  const std::size_t index = choose(ready_.size());
  std::swap(ready_[index], ready_.back());
  const std::unique_ptr<Work> work = std::move(ready_.back());
  ready_.pop_back();
  ++steps_;
  work->run();
}

bool SimContext::advance(Instant until) {
  if (timers_.empty()) return false;
  auto next = timers_.begin();
  if (next->first.first > until) return false;
  now_ = next->first.first;
  trace_.update_u64(static_cast<std::uint64_t>(now_.ns));
  auto node = timers_.extract(next);
  timer_times_.erase(node.key().second);
  node.mapped()(true);
  return true;
}

bool SimContext::run_until(const std::function<bool()>& done, Instant until) {
  const std::uint64_t steps_end = steps_ + kStepsMax;
  while (!done() && steps_ < steps_end) {
    if (!ready_.empty()) {
      step();
    } else if (!advance(until)) {
      break;
    }
  }
  return done();
}

UtcTime SimClock::now_utc() const {
  return UtcTime{kStartUnixMs + static_cast<std::uint64_t>(context_.now().ns / 1'000'000)};
}

Task<Result<void>> SimClock::sleep_until(Instant at) {
  const auto token = asio::as_tuple(asio::use_awaitable);
  auto [error] = co_await asio::async_initiate<decltype(token), SleepSignature>(
      StartSleep{context_, at}, token);
  if (error) co_return fail(Code::cancelled, "the sleep was cancelled");
  co_return Result<void>{};
}

}  // namespace phase::simulation
