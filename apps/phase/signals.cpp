#include "signals.h"

#include <csignal>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "command.h"

namespace phase::cli {
namespace {

sigset_t watched() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

SignalWatch::SignalWatch(std::function<void()> on_signal)
    : on_signal_(std::move(on_signal)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  PHASE_CHECK(stop_ >= 0);
  const sigset_t set = watched();
  PHASE_CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  thread_ = std::thread([this] { watch(stop_); });
}

SignalWatch::~SignalWatch() {
  const std::uint64_t one = 1;
  PHASE_CHECK(::write(stop_, &one, sizeof one) == sizeof one);
  thread_.join();
  ::close(stop_);
  unblock_signals();
}

void SignalWatch::watch(int stop) noexcept {
  const sigset_t set = watched();
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  PHASE_CHECK(signals >= 0);
  while (true) {
    pollfd fds[2] = {{signals, POLLIN, 0}, {stop, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) {
      continue;
    }
    if (fds[1].revents != 0) {
      break;
    }
    signalfd_siginfo info{};
    if (::read(signals, &info, sizeof info) != sizeof info) {
      continue;
    }
    if (raised_.exchange(true)) {
      ::_exit(kExitCancelled);
    }
    on_signal_();
  }
  ::close(signals);
}

void unblock_signals() noexcept {
  const sigset_t set = watched();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace phase::cli
