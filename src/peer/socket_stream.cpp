#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <poll.h>

#include "peer/socket_stream_internal.h"

namespace phase::peer {
namespace {

using Socket = asio::local::stream_protocol::socket;

/// Shared with the coroutines inside `read` and `write`, which may outlast the stream.
struct State {
  State(const asio::any_io_executor& executor, StreamEnd the_end)
      : socket(executor), end(std::move(the_end)) {}
  Socket socket;
  StreamEnd end;
  bool write_closed = false;
};

tl::unexpected<Error> broken(const State& state, boost::system::error_code error) {
  if (error == asio::error::operation_aborted && state.socket.is_open()) {
    return fail(Code::cancelled, "the stream's operation was cancelled");
  }
  return fail(Code::connection_closed, "the stream was reset, or the connection is gone");
}

/// At the end of what the peer sent: both directions gone means that it reset the stream.
bool hung_up(State& state) {
  pollfd entry{.fd = state.socket.native_handle(), .events = 0, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

Task<Result<std::size_t>> read_some(std::shared_ptr<State> state, std::span<std::uint8_t> out) {
  if (!state->socket.is_open()) co_return broken(*state, {});
  auto [error, count] = co_await state->socket.async_read_some(asio::buffer(out.data(), out.size()),
                                                               asio::as_tuple(asio::use_awaitable));
  if (!error) co_return count;
  if (error != asio::error::eof || !state->socket.is_open()) co_return broken(*state, error);
  if (!state->write_closed && hung_up(*state)) co_return broken(*state, error);
  co_return std::size_t{0};
}

Task<Result<void>> write_all(std::shared_ptr<State> state, ByteView bytes) {
  if (state->write_closed || !state->socket.is_open()) {
    co_return fail(Code::connection_closed, "the stream was closed for writing");
  }
  auto [error, count] = co_await asio::async_write(
      state->socket, asio::buffer(bytes.data(), bytes.size()), asio::as_tuple(asio::use_awaitable));
  if (error) co_return broken(*state, error);
  co_return Result<void>{};
}

class SocketStream final : public ByteStream {
 public:
  explicit SocketStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~SocketStream() override { close(!state_->write_closed); }

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    return read_some(state_, out);
  }
  Task<Result<void>> write(ByteView bytes) override { return write_all(state_, bytes); }
  void close_write() override {
    if (std::exchange(state_->write_closed, true)) return;
    boost::system::error_code ignored;  // the peer may be gone already
    state_->socket.shutdown(Socket::shutdown_send, ignored);
  }
  void reset() override { close(true); }

 private:
  void close(bool reset) {
    if (!state_->socket.is_open()) return;
    state_->end(reset);
    boost::system::error_code ignored;
    state_->socket.close(ignored);
  }

  std::shared_ptr<State> state_;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> make_socket_stream(const asio::any_io_executor& executor,
                                                       Descriptor descriptor, StreamEnd end) {
  auto state = std::make_shared<State>(executor, std::move(end));
  boost::system::error_code error;
  state->socket.assign(asio::local::stream_protocol(), descriptor.get(), error);
  if (error) return fail(Code::io, "cannot watch a stream's socket: " + error.message());
  static_cast<void>(descriptor.release());
  return std::unique_ptr<ByteStream>(std::make_unique<SocketStream>(std::move(state)));
}

}  // namespace phase::peer
