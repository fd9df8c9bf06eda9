// stop_signals.h — SIGTERM and SIGINT: the first one drains, the second stops at once.
#pragma once

#include <csignal>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/logger.h>

#include "base/clock.h"

namespace phase::daemon {

class StopSignals {
 public:
  struct Does {
    std::string ending;  ///< "no new jobs; running ones": what the log says has `patience`
    Duration patience{0};
    std::function<bool()>
        can_drain;  ///< false, while nothing runs yet: the first one stops at once
    std::function<Task<void>()> drain;
    std::function<void()> at_once = {};  ///< takes away what must not be left behind
    std::function<void()> hang_up = {};  ///< SIGHUP; absent: what it does anyway
  };
  /// Both outlive this.
  StopSignals(asio::io_context& context, spdlog::logger& log, Does does);
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void wait();
  void take(int number);

  asio::io_context& context_;
  spdlog::logger& log_;
  Does does_;
  asio::signal_set signals_;
  bool draining_ = false;
};

}  // namespace phase::daemon
