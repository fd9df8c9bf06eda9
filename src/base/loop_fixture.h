// loop_fixture.h — for tests over a real clock: an executor that a test works by hand, and a folder
// of its own.
#pragma once

#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/system_clock.h"
#include "base/temp_folder.h"

namespace phase {

/// Nothing that a test waits for takes longer.
inline constexpr std::chrono::seconds kTestWaitMax{60};

class LoopTest : public ::testing::Test {
 protected:
  /// Runs a coroutine to its end.
  template <typename T>
  T run(Task<T> task) {
    std::future<T> done = asio::co_spawn(context_, std::move(task), asio::use_future);
    EXPECT_TRUE(until([&done] { return done.wait_for(0s) == std::future_status::ready; }));
    return done.get();
  }
  /// Works until the coroutine that `work` makes has ended.
  template <typename Work>
  void play(Work work) {
    bool done = false;
    asio::co_spawn(context_, work(), [&done](const std::exception_ptr&) { done = true; });
    EXPECT_TRUE(until([&done] { return done; }));
  }
  /// Works until `condition` holds; false when it does not.
  template <typename Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kTestWaitMax;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context_.restart();
      context_.run_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  asio::io_context context_;
  SystemClock clock_{context_.get_executor()};
  SystemRandom random_;
  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
};

}  // namespace phase
