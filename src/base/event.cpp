#include "base/event.h"

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/check.h"

namespace phase {
namespace {

/// Knows that a context is being destroyed. Its coroutines are then destroyed one by one, and their
/// destructors notify each other; a channel whose waiter went that way must not be sent to.
class Ending final : public asio::execution_context::service {
 public:
  using key_type = Ending;
  static const asio::execution_context::id id;
  explicit Ending(asio::execution_context& context) : service(context) {}
  void shutdown() override { *ended = true; }

  const std::shared_ptr<bool> ended = std::make_shared<bool>(false);
};
const asio::execution_context::id Ending::id;

/// A channel that says no once its context ends.
struct Tokens {
  Tokens(asio::any_io_executor executor, std::size_t limit)
      : channel(executor, limit),
        // Services end in reverse order of their making: this one, made now, before the channel's.
        ended(asio::use_service<Ending>(asio::query(executor, asio::execution::context)).ended) {}

  /// False when full, or when nobody is left to take it.
  bool put() { return !*ended && channel.try_send(boost::system::error_code{}); }
  Task<bool> take() {
    // What is there is taken at once; only who waits goes through the executor.
    bool taken = false;
    channel.try_receive([&taken](boost::system::error_code error) { taken = !error; });
    if (taken) co_return true;
    auto [error] = co_await channel.async_receive(asio::as_tuple(asio::use_awaitable));
    co_return !error;
  }

  asio::experimental::channel<asio::any_io_executor, void(boost::system::error_code)> channel;
  const std::shared_ptr<const bool> ended;
};

}  // namespace

struct Event::Impl {
  Tokens flag;
};

Event::Event(asio::any_io_executor executor) : impl_(new Impl{Tokens(std::move(executor), 1)}) {}
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;
Event::~Event() = default;

void Event::notify() {
  // Fails when the flag is already up, which is what is wanted.
  static_cast<void>(impl_->flag.put());
}

Task<bool> Event::wait() {
  return impl_->flag.take();
}

struct Turnstile::Impl {
  Tokens places;
};

Turnstile::Turnstile(asio::any_io_executor executor, std::size_t limit)
    : impl_(new Impl{Tokens(std::move(executor), limit)}) {
  for (std::size_t i = 0; i < limit; ++i) PHASE_CHECK(impl_->places.put());
}
Turnstile::~Turnstile() = default;

Task<bool> Turnstile::enter() {
  return impl_->places.take();
}

void Turnstile::leave() {
  PHASE_CHECK(impl_->places.put() || *impl_->places.ended);
}

struct Alarm::Run {
  std::function<void()> action;  // empty once run or stopped
  bool asleep = false;
  asio::cancellation_signal signal;
};

Alarm::Alarm(Clock& clock, asio::any_io_executor executor)
    : clock_(clock), executor_(std::move(executor)) {}

Alarm::~Alarm() {
  stop();
}

void Alarm::set(Instant at, std::function<void()> action) {
  stop();
  auto run = std::make_shared<Run>();
  run->action = std::move(action);
  run_ = run;
  auto sleep = [run, at, &clock = clock_]() -> Task<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (!run->action) co_return;  // stopped before it began
    run->asleep = true;
    const Result<void> slept = co_await clock.sleep_until(at);
    if (!slept || !run->action) co_return;
    const std::function<void()> act = std::exchange(run->action, nullptr);
    act();
  };
  // The handler is the last thing of the coroutine to go; it keeps the signal until then.
  asio::co_spawn(executor_, std::move(sleep),
                 asio::bind_cancellation_slot(run->signal.slot(), [run](std::exception_ptr) {}));
}

void Alarm::stop() {
  if (!run_) return;
  const std::shared_ptr<Run> run = std::exchange(run_, nullptr);
  if (!run->action) return;
  run->action = nullptr;
  // A coroutine of Asio that is cancelled before it began throws out of the executor; it looks at
  // `action` instead.
  if (run->asleep) run->signal.emit(asio::cancellation_type::terminal);
}

}  // namespace phase
