#include "daemon/stop_signals.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <unistd.h>

namespace phase::daemon {

StopSignals::StopSignals(asio::io_context& context, spdlog::logger& log, Does does)
    : context_(context), log_(log), does_(std::move(does)), signals_(context) {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  if (does_.hang_up) signals_.add(SIGHUP);
  wait();
}

void StopSignals::wait() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    take(number);
    wait();
  });
}

void StopSignals::take(int number) {
  if (number == SIGHUP) return does_.hang_up();
  if (draining_ || !does_.can_drain()) {
    log_.warn("stopped at once by signal {}", number);
    if (does_.at_once) does_.at_once();
    ::_exit(128 + number);
  }
  draining_ = true;
  log_.info("signal {}: {} have {} s (a second signal stops at once)", number, does_.ending,
            std::chrono::duration_cast<std::chrono::seconds>(does_.patience).count());
  asio::co_spawn(context_, does_.drain(), asio::detached);
}

}  // namespace phase::daemon
