#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "run.h"

namespace phase::cli {
namespace {

constexpr std::size_t kPieceBytes = 64_KiB;
/// Larger files are streamed (spec/control-api.md: given stdin).
constexpr std::size_t kGivenBytesMax = 8_MiB;
/// A pipe whose writer is quick ends within this; a person at a terminal does not.
constexpr auto kStdinPatience = std::chrono::milliseconds(50);

}  // namespace

StdinPump::StdinPump(int descriptor, Bytes first, Sink sink, std::function<void()> unblock)
    : descriptor_(descriptor),
      first_(std::move(first)),
      sink_(std::move(sink)),
      unblock_(std::move(unblock)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  PHASE_CHECK(stop_ >= 0);
  thread_ = std::thread([this] { pump(); });
}

void StdinPump::stop() {
  if (!thread_.joinable()) {
    return;
  }
  const std::uint64_t one = 1;
  PHASE_CHECK(::write(stop_, &one, sizeof one) == sizeof one);
  unblock_();
  thread_.join();
  ::close(stop_);
}

void StdinPump::pump() {
  if (!first_.empty() && !sink_(first_, false)) {
    return;
  }
  Bytes piece(kPieceBytes);
  while (true) {
    pollfd fds[2] = {{descriptor_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) {
      continue;  // EINTR
    }
    if (fds[1].revents != 0) {
      return;
    }
    const ssize_t count = ::read(descriptor_, piece.data(), piece.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (count <= 0) {
      static_cast<void>(sink_({}, true));  // an unreadable stdin ends here, too
      return;
    }
    if (!sink_(ByteView{piece}.first(static_cast<std::size_t>(count)), false)) {
      return;
    }
  }
}

namespace {

/// Reads until the end, the limit, or the patience is used up. True: it was the end.
bool read_early(int descriptor, Bytes& into) {
  const auto until = std::chrono::steady_clock::now() + kStdinPatience;
  while (into.size() < kGivenBytesMax) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd fd{descriptor, POLLIN, 0};
    if (::poll(&fd, 1, static_cast<int>(std::max<std::int64_t>(0, left.count()))) <= 0) {
      return false;
    }
    const std::size_t have = into.size();
    into.resize(std::min(have + kPieceBytes, kGivenBytesMax));
    const ssize_t count = ::read(descriptor, into.data() + have, into.size() - have);
    into.resize(have + static_cast<std::size_t>(std::max<ssize_t>(0, count)));
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return true;  // an unreadable stdin ends here, too
    }
  }
  return false;
}

}  // namespace

Result<StdinChoice> choose_stdin(const std::string& from) {
  StdinChoice out;
  const bool own = from.empty() || from == "-";
  if ((from.empty() && ::isatty(STDIN_FILENO) == 1) ||
      (own && ::fcntl(STDIN_FILENO, F_GETFD) < 0)) {
    out.given = Bytes{};  // a terminal is asked for by name; a closed stdin is an empty one
    return out;
  }
  out.descriptor = own ? STDIN_FILENO : ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (out.descriptor < 0) {
    return fail_errno(errno, "cannot open " + from);
  }
  if (read_early(out.descriptor, out.first)) {
    out.given = std::exchange(out.first, {});
    if (!own) {
      ::close(out.descriptor);
    }
    out.descriptor = -1;
  }
  return out;
}

}  // namespace phase::cli
