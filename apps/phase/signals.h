// signals.h — Ctrl-C and SIGTERM as a call, without code in a signal handler.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <sys/types.h>

namespace phase::cli {

/// Blocks SIGINT and SIGTERM and waits for them in a thread of its own. The first one calls
/// `on_signal` (on that thread); the second one ends the process at once. Make it before other
/// threads.
class SignalWatch {
 public:
  explicit SignalWatch(std::function<void()> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  [[nodiscard]] bool raised() const noexcept { return raised_; }

 private:
  void watch(int stop) noexcept;
  std::function<void()> on_signal_;
  std::atomic<bool> raised_ = false;
  int stop_;  // an eventfd
  std::thread thread_;
};

/// In a child before exec: signals as they were.
void unblock_signals() noexcept;

}  // namespace phase::cli
