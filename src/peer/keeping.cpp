#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "peer/keeping_internal.h"
#include "peer/limits.h"

namespace phase::peer {
namespace {

using Timer = asio::steady_timer;

/// Wakes early when the timer is cancelled.
Task<void> wait_for(std::shared_ptr<Timer> timer, Duration duration) {
  timer->expires_after(std::chrono::duration_cast<Timer::duration>(duration));
  static_cast<void>(co_await timer->async_wait(asio::as_tuple(asio::use_awaitable)));
}

}  // namespace

struct Announcer::State {
  explicit State(std::shared_ptr<Core> the_core)
      : core(std::move(the_core)), timer(std::make_shared<Timer>(core->executor())) {}
  std::shared_ptr<Core> core;
  std::shared_ptr<Timer> timer;
  std::set<std::string> keys;
  bool wanted = false;   // since the last round
  bool waiting = false;  // for a long time; `refresh` may cut it short
  bool stopped = false;
};

Announcer::Announcer(std::shared_ptr<Core> core)
    : state_(std::make_shared<State>(std::move(core))) {
  asio::co_spawn(state_->core->executor(), run(state_), asio::detached);
}

Announcer::~Announcer() {
  state_->stopped = true;
  state_->timer->cancel();
}

void Announcer::refresh() {
  state_->wanted = true;
  if (state_->waiting) state_->timer->cancel();
}

Task<Result<void>> Announcer::provide(std::string key) {
  const auto state = state_;
  if (key.empty() || key.size() > kProvideKeyBytesMax) {
    co_return fail(Code::invalid_argument,
                   "a key to announce has 1 to " + std::to_string(kProvideKeyBytesMax) + " bytes");
  }
  if (state->keys.size() >= kProvidedKeysMax && !state->keys.contains(key)) {
    co_return fail(Code::busy, std::to_string(kProvidedKeysMax) + " keys are announced already");
  }
  PHASE_CO_TRY_VOID(co_await state->core->provide(key, kProvideTimeout));
  state->keys.insert(std::move(key));
  co_return Result<void>{};
}

Task<void> Announcer::run(std::shared_ptr<State> state) {
  Duration pause = kReannouncePauseMin;
  while (!state->stopped) {
    // Every interval, or when something wants it.
    state->waiting = true;
    if (!state->wanted) co_await wait_for(state->timer, kReprovideInterval);
    state->waiting = false;
    const bool early = std::exchange(state->wanted, false);
    const std::set<std::string> keys = state->keys;
    for (const std::string& key : keys) {
      if (state->stopped) co_return;
      // A failure is not told: the next round comes, and there is nobody to tell.
      static_cast<void>(co_await state->core->provide(key, kProvideTimeout));
    }
    if (state->stopped) co_return;
    co_await wait_for(state->timer, pause);
    pause = early ? std::min(pause * 2, kReannouncePauseMax) : kReannouncePauseMin;
  }
}

struct BootstrapKeeper::State {
  std::shared_ptr<Core> core;
  std::string multiaddr;
  identity::PublicKey peer;
  std::function<void()> connected;
  std::shared_ptr<Timer> timer;
  bool stopped = false;

  [[nodiscard]] bool is_connected() const {
    const Network* network = core->network();
    if (network == nullptr) return false;
    const std::vector<PeerInfo> known = network->peers();
    return std::any_of(known.begin(), known.end(), [this](const PeerInfo& info) {
      return info.connected && info.id.key() == peer;
    });
  }
};

BootstrapKeeper::BootstrapKeeper(std::shared_ptr<Core> core, std::string multiaddr,
                                 identity::PublicKey peer, std::function<void()> connected) {
  auto timer = std::make_shared<Timer>(core->executor());
  state_ = std::make_shared<State>(State{.core = std::move(core),
                                         .multiaddr = std::move(multiaddr),
                                         .peer = peer,
                                         .connected = std::move(connected),
                                         .timer = std::move(timer)});
  asio::co_spawn(state_->core->executor(), run(state_), asio::detached);
}

BootstrapKeeper::~BootstrapKeeper() {
  state_->stopped = true;
  state_->timer->cancel();
}

Task<void> BootstrapKeeper::run(std::shared_ptr<State> state) {
  Duration pause = kBootstrapPauseMin;
  while (!state->stopped && !state->core->stopped()) {
    const bool was_connected = state->is_connected();
    const auto reached = co_await state->core->dial(state->multiaddr, kBootstrapDialTimeout);
    if (state->stopped) co_return;
    if (reached && !was_connected) {
      co_await wait_for(state->timer, kBootstrapSettle);
      if (state->stopped) co_return;
      state->connected();
    }
    co_await wait_for(state->timer, reached ? kBootstrapCheck : pause);
    pause = reached ? kBootstrapPauseMin : std::min(pause * 2, kBootstrapPauseMax);
  }
}

}  // namespace phase::peer
