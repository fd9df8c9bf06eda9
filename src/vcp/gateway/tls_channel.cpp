// TLS over memory: Asio's own stream cannot half-close, since its shutdown waits for the other
// side.
#include <algorithm>
#include <array>
#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "vcp/gateway/channel_internal.h"

namespace phase::vcp::gateway {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// One record (RFC 8446 §5.1) and what TLS adds to it.
constexpr std::size_t kRecordBytes = 16_KiB;
constexpr std::size_t kCipherBytes = kRecordBytes + 1_KiB;
/// For the end to be said to a client whose window is full.
constexpr std::chrono::seconds kLastWordMax{10};

struct SslDeleter {
  void operator()(SSL* ssl) const noexcept { ::SSL_free(ssl); }
};

/// Shared with a flush that outlives the call that began it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<tcp::socket> socket, SSL_CTX* context)
      : socket_(std::move(socket)), ssl_(::SSL_new(context)) {
    in_ = ::BIO_new(::BIO_s_mem());
    out_ = ::BIO_new(::BIO_s_mem());
    if (!good()) {
      ::BIO_free(in_);
      ::BIO_free(out_);
      return;
    }
    ::SSL_set_bio(ssl_.get(), in_, out_);  // takes both over
    ::SSL_set_accept_state(ssl_.get());
  }
  [[nodiscard]] bool good() const { return ssl_ != nullptr && in_ != nullptr && out_ != nullptr; }

  Task<Result<void>> shake_hands() {
    while (true) {
      ::ERR_clear_error();
      const int done = ::SSL_do_handshake(ssl_.get());
      const int why = ::SSL_get_error(ssl_.get(), done);
      auto sent = co_await flush();  // an alert, too
      if (done == 1) co_return sent;
      if (why != SSL_ERROR_WANT_READ) co_return fail(Code::protocol, "the TLS handshake failed");
      if (!sent) co_return sent;
      auto filled = co_await fill();
      if (!filled) co_return filled;
    }
  }

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) {
    while (true) {
      ::ERR_clear_error();
      std::size_t count = 0;
      const int done = ::SSL_read_ex(ssl_.get(), out.data(), out.size(), &count);
      if (done == 1) co_return count;
      const int why = ::SSL_get_error(ssl_.get(), done);
      if (why == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (why != SSL_ERROR_WANT_READ) co_return fail(Code::protocol, "TLS was broken");
      auto sent = co_await flush();
      if (!sent) co_return fail(std::move(sent).error());
      auto filled = co_await fill();
      if (!filled) co_return fail(std::move(filled).error());
    }
  }

  Task<Result<void>> write(ByteView bytes) {
    while (!bytes.empty()) {
      ::ERR_clear_error();
      const ByteView piece = bytes.first(std::min(bytes.size(), kRecordBytes));
      std::size_t count = 0;
      if (::SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &count) != 1) {
        co_return fail(Code::protocol, "TLS was broken");
      }
      auto sent = co_await flush();
      if (!sent) co_return sent;
      bytes = bytes.subspan(count);
    }
    co_return Result<void>{};
  }

  /// The alert goes out now where the socket has room for it, so a close right after keeps it.
  void say_end() {
    ::ERR_clear_error();
    if (said_end_) return;
    said_end_ = true;
    (void)::SSL_shutdown(ssl_.get());
    if (flushing_) return;
    std::array<char, 512> alert{};
    const int count = ::BIO_read(out_, alert.data(), static_cast<int>(alert.size()));
    if (count <= 0) return;
    boost::system::error_code error;
    socket_->non_blocking(true, error);
    const std::size_t wrote =
        socket_->write_some(asio::buffer(alert.data(), static_cast<std::size_t>(count)), error);
    if (error && error != asio::error::would_block) return;
    rest_.assign(alert.begin() + static_cast<std::ptrdiff_t>(wrote), alert.begin() + count);
    if (rest_.empty()) return;
    flushing_ = true;
    asio::co_spawn(socket_->get_executor(), send_rest(shared_from_this()), asio::detached);
  }
  /// The channel goes; a last word under way has kLastWordMax to get out.
  void leave() {
    left_ = true;
    if (rest_.empty()) close();
  }
  void close() {
    boost::system::error_code ignored;
    socket_->close(ignored);
  }

 private:
  /// Nothing else is written after it.
  static Task<void> send_rest(std::shared_ptr<Session> self) {
    asio::steady_timer timer(self->socket_->get_executor(), kLastWordMax);
    timer.async_wait([self](const boost::system::error_code& stopped) {
      if (!stopped) self->close();
    });
    [[maybe_unused]] auto [error, count] =
        co_await asio::async_write(*self->socket_, asio::buffer(self->rest_), kAwait);
    self->flushing_ = false;
    self->rest_.clear();
    if (self->left_) self->close();
  }

  /// One at a time; who flushes goes on until nothing is left.
  Task<Result<void>> flush() {
    if (flushing_) co_return Result<void>{};
    flushing_ = true;
    while (true) {
      const int count = ::BIO_read(out_, cipher_out_.data(), static_cast<int>(cipher_out_.size()));
      if (count <= 0) break;
      auto [error, sent] = co_await asio::async_write(
          *socket_, asio::buffer(cipher_out_.data(), static_cast<std::size_t>(count)), kAwait);
      if (error) {
        flushing_ = false;
        co_return fail(Code::connection_closed, "the connection broke: " + error.message());
      }
    }
    flushing_ = false;
    co_return Result<void>{};
  }

  Task<Result<void>> fill() {
    auto [error, count] = co_await socket_->async_read_some(asio::buffer(cipher_in_), kAwait);
    if (error) co_return fail(Code::connection_closed, "the connection broke: " + error.message());
    ::BIO_write(in_, cipher_in_.data(), static_cast<int>(count));
    co_return Result<void>{};
  }

  std::shared_ptr<tcp::socket> socket_;  // shared with the deadline of what is under way
  std::unique_ptr<SSL, SslDeleter> ssl_;
  BIO* in_ = nullptr;   // the SSL's
  BIO* out_ = nullptr;  // the SSL's
  std::array<std::uint8_t, kCipherBytes> cipher_in_{}, cipher_out_{};
  Bytes rest_;
  bool flushing_ = false, said_end_ = false, left_ = false;
};

class TlsChannel final : public ByteStream {
 public:
  explicit TlsChannel(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~TlsChannel() override { session_->leave(); }
  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    return session_->read(out);
  }
  Task<Result<void>> write(ByteView bytes) override { return session_->write(bytes); }
  void close_write() override { session_->say_end(); }
  void reset() override { session_->close(); }

 private:
  std::shared_ptr<Session> session_;  // shared with the last flush
};

}  // namespace

Task<Result<std::unique_ptr<ByteStream>>> tls_channel(std::shared_ptr<tcp::socket> socket,
                                                      http::Tls& tls) {
  auto session = std::make_shared<Session>(socket, tls.context().native_handle());
  if (!session->good()) co_return fail(Code::internal, "no memory for TLS");
  auto shaken = co_await session->shake_hands();
  if (!shaken) {
    session->close();
    co_return fail(std::move(shaken).error());
  }
  std::unique_ptr<ByteStream> out = std::make_unique<TlsChannel>(std::move(session));
  co_return out;
}

}  // namespace phase::vcp::gateway
