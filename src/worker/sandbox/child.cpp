#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/sandbox/launcher.h"

namespace phase::sandbox {
namespace {

Result<void> wait_result(const boost::system::error_code& error) {
  if (!error) return {};
  return fail(Code::cancelled, "waiting for a worker process was cancelled");
}

}  // namespace

Child::Child(asio::any_io_executor executor, std::uint64_t id, FileDescriptor socket,
             FileDescriptor process)
    : id_(id),
      socket_(executor, socket.release()),
      process_(std::move(process)),
      exit_event_(executor, asio::steady_timer::time_point::max()) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);  // NOLINT: a blocking socket would only be slower
}

Child::~Child() {
  kill();
}

void Child::kill() noexcept {
  if (process_.valid()) {
    ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
    process_.reset();
  }
}

Result<bool> Child::try_send(ByteView head, ByteView body, std::span<const int> descriptors) {
  return send_message(socket_.native_handle(), head, body, descriptors);
}

Task<Result<void>> Child::send(ByteView head, ByteView body, std::span<const int> descriptors) {
  for (;;) {
    PHASE_CO_TRY(const bool sent, try_send(head, body, descriptors));
    if (sent) co_return Result<void>{};
    boost::system::error_code error;
    co_await socket_.async_wait(asio::posix::descriptor_base::wait_write,
                                asio::redirect_error(asio::use_awaitable, error));
    PHASE_CO_TRY_VOID(wait_result(error));
  }
}

Result<std::optional<std::size_t>> Child::try_receive(std::span<std::uint8_t> buffer) {
  PHASE_TRY(const Received received, receive_message(socket_.native_handle(), buffer));
  if (received.kind == Received::Kind::would_block) return std::optional<std::size_t>{};
  return std::optional<std::size_t>{received.bytes};
}

Task<Result<std::size_t>> Child::receive(std::span<std::uint8_t> buffer) {
  for (;;) {
    PHASE_CO_TRY(const std::optional<std::size_t> got, try_receive(buffer));
    if (got) co_return *got;
    boost::system::error_code error;
    co_await socket_.async_wait(asio::posix::descriptor_base::wait_read,
                                asio::redirect_error(asio::use_awaitable, error));
    PHASE_CO_TRY_VOID(wait_result(error));
  }
}

Task<std::optional<control::Exited>> Child::wait_exit(Duration limit) {
  if (!exit_known_) {
    exit_event_.expires_after(limit);
    boost::system::error_code ignored;
    co_await exit_event_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return exit_;
}

void Child::set_exit(std::optional<control::Exited> exited) {
  if (exit_known_) return;
  exit_known_ = true;
  exit_ = exited;
  exit_event_.cancel();
}

}  // namespace phase::sandbox
