#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "vcp/gateway/channel_internal.h"

namespace phase::vcp::gateway {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

class PlainChannel final : public ByteStream {
 public:
  explicit PlainChannel(std::shared_ptr<tcp::socket> socket) : socket_(std::move(socket)) {}
  ~PlainChannel() override { close(); }

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    auto [error, count] =
        co_await socket_->async_read_some(asio::buffer(out.data(), out.size()), kAwait);
    if (error == asio::error::eof) co_return std::size_t{0};
    if (error) co_return fail(Code::connection_closed, "the connection broke: " + error.message());
    co_return count;
  }
  Task<Result<void>> write(ByteView bytes) override {
    auto [error, count] =
        co_await asio::async_write(*socket_, asio::buffer(bytes.data(), bytes.size()), kAwait);
    if (error) co_return fail(Code::connection_closed, "the connection broke: " + error.message());
    co_return Result<void>{};
  }
  void close_write() override {
    boost::system::error_code ignored;
    socket_->shutdown(tcp::socket::shutdown_send, ignored);
  }
  void reset() override { close(); }

 private:
  void close() {
    boost::system::error_code ignored;
    socket_->close(ignored);
  }
  std::shared_ptr<tcp::socket> socket_;  // shared with the deadline of what is under way
};

}  // namespace

std::unique_ptr<ByteStream> plain_channel(std::shared_ptr<tcp::socket> socket) {
  return std::make_unique<PlainChannel>(std::move(socket));
}

}  // namespace phase::vcp::gateway
