#include "console.h"

#include <array>
#include <memory>

#include <boost/asio/post.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/event.h"

namespace phase::plasmd {
namespace {

Bytes read_stdin(int stop) {
  std::array<pollfd, 2> wait{{{0, POLLIN, 0}, {stop, POLLIN, 0}}};
  while (::poll(wait.data(), wait.size(), -1) < 0) {
    if (errno != EINTR) {
      return {};
    }
  }
  if (wait[1].revents != 0) {
    return {};
  }
  Bytes out(kConsoleReadBytes);
  ssize_t n = 0;
  do {
    n = ::read(0, out.data(), out.size());
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return out;
}

bool write_all(int descriptor, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EAGAIN) {
      pollfd wait{descriptor, POLLOUT, 0};
      static_cast<void>(::poll(&wait, 1, -1));
    } else if (n < 0 && errno != EINTR) {
      return false;
    } else if (n > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  return true;
}

/// Runs `work` in `pool` and resumes on `executor` with what it returned.
template <typename Work>
Task<std::invoke_result_t<Work>> run_in(asio::thread_pool& pool, asio::any_io_executor executor,
                                        Work work) {
  struct Shared {
    explicit Shared(const asio::any_io_executor& on) : done(on) {}
    Event done;
    std::invoke_result_t<Work> value{};
  };
  const auto shared = std::make_shared<Shared>(executor);
  asio::post(pool, [shared, executor, work = std::move(work)]() mutable {
    shared->value = work();
    asio::post(executor, [shared] { shared->done.notify(); });
  });
  co_await shared->done.wait();
  co_return std::move(shared->value);
}

}  // namespace

Console::Console(asio::any_io_executor executor)
    : executor_(std::move(executor)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  PHASE_CHECK(stop_ >= 0);
}

Console::~Console() {
  stop_reading();
  reader_.join();
  writer_.join();
  ::close(stop_);
}

Task<Bytes> Console::read() {
  return run_in(reader_, executor_, [stop = stop_] { return read_stdin(stop); });
}

void Console::stop_reading() {
  ::eventfd_write(stop_, 1);
}

Task<bool> Console::write(int descriptor, Bytes bytes) {
  return run_in(writer_, executor_,
                [descriptor, bytes = std::move(bytes)] { return write_all(descriptor, bytes); });
}

}  // namespace phase::plasmd
