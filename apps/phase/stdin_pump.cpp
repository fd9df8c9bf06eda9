#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "run.h"

namespace phase::cli {
namespace {

constexpr std::size_t kPieceBytes = 64_KiB;
/// Larger files are streamed (spec/control-api.md: given stdin).
constexpr std::uint64_t kGivenBytesMax = 8_MiB;

}  // namespace

StdinPump::StdinPump(int descriptor, Sink sink, std::function<void()> unblock)
    : descriptor_(descriptor),
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

Result<StdinChoice> choose_stdin(const std::string& from) {
  StdinChoice out;
  if (from.empty() && ::isatty(STDIN_FILENO) == 1) {
    out.given = Bytes{};
    return out;
  }
  const bool own = from.empty() || from == "-";
  out.descriptor = own ? STDIN_FILENO : ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (out.descriptor < 0) {
    return fail_errno(errno, "cannot open " + from);
  }
  struct stat facts{};
  if (::fstat(out.descriptor, &facts) != 0) {
    // A closed stdin is an empty one.
    out.descriptor = -1;
    out.given = Bytes{};
    return out;
  }
  if (S_ISREG(facts.st_mode) && static_cast<std::uint64_t>(facts.st_size) <= kGivenBytesMax &&
      !own) {
    PHASE_TRY(out.given, read_file(from, kGivenBytesMax));
    ::close(out.descriptor);
    out.descriptor = -1;
  } else if (S_ISREG(facts.st_mode) &&
             static_cast<std::uint64_t>(facts.st_size) <= kGivenBytesMax) {
    PHASE_TRY(out.given, read_file("-", kGivenBytesMax));
    out.descriptor = -1;
  }
  return out;
}

}  // namespace phase::cli
