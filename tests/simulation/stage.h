// stage.h — a deterministic world to play one scene in, for tests beside the code.
#pragma once

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/simulation/sim_executor.h"
#include "tests/simulation/world.h"

namespace phase::simulation {

struct Stage {
  explicit Stage(std::uint64_t seed = 1) : context(seed), clock(context), random(seed) {}

  /// Starts a coroutine function; its captures must outlive the scene.
  template <typename F>
  void start(F body) {
    asio::co_spawn(context.get_executor(), std::move(body), asio::detached);
  }
  /// Plays until `body` ended. False when it never does.
  template <typename F>
  [[nodiscard]] bool play(F body) {
    bool finished = false;
    start([&finished, &body]() -> Task<void> {
      co_await body();
      finished = true;
    });
    return context.run_until([&finished] { return finished; }, kEnd);
  }
  /// Plays on until nothing is left to do. False when something still waits for a time or a turn.
  [[nodiscard]] bool settle() {
    context.run_until([] { return false; }, kEnd);
    return context.timers() == 0 && context.ready() == 0;
  }

  static constexpr Instant kEnd{100LL * 3600 * 1'000'000'000};
  SimContext context;
  SimClock clock;
  SimRandom random;
};

}  // namespace phase::simulation
