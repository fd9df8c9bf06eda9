// channel_internal.h — the bytes of one connection, plain or through TLS, with one deadline.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>

#include "api/http/state.h"
#include "api/http/tls.h"

namespace phase::http {

/// The socket, with Beast's deadlines. Reads have none while it is patient: one read may then stand
/// as long as it likes beside writes that have a deadline each.
class TimedSocket {
 public:
  using executor_type = asio::any_io_executor;
  using lowest_layer_type = Socket;
  explicit TimedSocket(Socket socket) : stream_(std::move(socket)) {}

  executor_type get_executor() { return stream_.get_executor(); }
  lowest_layer_type& lowest_layer() { return stream_.socket(); }
  void expires_after(Duration limit) { stream_.expires_after(limit); }
  void be_patient(bool patient) { patient_ = patient; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return patient_ ? stream_.socket().async_read_some(buffers, std::forward<Token>(token))
                    : stream_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return stream_.async_write_some(buffers, std::forward<Token>(token));
  }

 private:
  boost::beast::basic_stream<asio::generic::stream_protocol, asio::any_io_executor> stream_;
  bool patient_ = false;
};

/// An AsyncStream of Asio. One read and one write at a time.
class Channel {
 public:
  using executor_type = asio::any_io_executor;
  /// Null: plain.
  Channel(Socket socket, Tls* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) {
      tls_.emplace(socket_, tls->context());
    }
  }

  executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] bool encrypted() const noexcept { return tls_.has_value(); }
  /// For what is begun from now on.
  void expires_after(Duration limit) { socket_.expires_after(limit); }
  void be_patient(bool patient) { socket_.be_patient(patient); }
  /// What is outstanding ends at once.
  void close() {
    boost::system::error_code ignored;
    socket_.lowest_layer().close(ignored);
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return tls_ ? tls_->async_read_some(buffers, std::forward<Token>(token))
                : socket_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return tls_ ? tls_->async_write_some(buffers, std::forward<Token>(token))
                : socket_.async_write_some(buffers, std::forward<Token>(token));
  }

  /// The line that a connection begins with which one of ours hands on, without its NUL; empty for
  /// any other connection. Nothing: it ended, or said nothing within `limit`.
  [[nodiscard]] Task<std::optional<std::string>> read_introduction(Duration limit);
  /// The handshake, where there is one; false when it did not come to its end within `limit`.
  /// Somebody who speaks plain HTTP is told so.
  [[nodiscard]] Task<bool> greet(Duration limit);
  /// Says that no more bytes follow: a TLS alert, or the end of the socket's sending.
  [[nodiscard]] Task<void> say_end();
  /// Reads and drops what still comes, until its end or the deadline.
  [[nodiscard]] Task<void> drain();

 private:
  TimedSocket socket_;
  std::optional<asio::ssl::stream<TimedSocket&>> tls_;
};

}  // namespace phase::http
