#include <boost/asio/steady_timer.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "api/http/channel_internal.h"

namespace phase::http {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kWasteBytes = 64_KiB;
constexpr std::string_view kSpeakTls =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
    "Content-Length: 66\r\n\r\n"
    "{\"error\":\"this port speaks TLS only: use https:// in the address\"}";
static_assert(kSpeakTls.size() - kSpeakTls.find('{') == 66);

bool is_plain_http(const boost::system::error_code& error) {
  return error.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

}  // namespace

Task<std::optional<std::string>> Channel::read_introduction(Duration limit) {
  Socket& socket = socket_.lowest_layer();
  asio::steady_timer over(get_executor(), limit);
  over.async_wait([&socket](const boost::system::error_code& stopped) {
    boost::system::error_code ignored;
    if (!stopped) socket.cancel(ignored);
  });
  auto [silent] = co_await socket.async_wait(Socket::wait_read, kAwait);
  char letter = 0;
  const bool there =
      !silent && ::recv(socket.native_handle(), &letter, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  if (!there) co_return std::nullopt;
  std::string out;
  if (letter != '\0') co_return out;
  while (letter != '\n') {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(&letter, 1), kAwait);
    if (error || out.size() >= kIntroductionBytesMax) co_return std::nullopt;
    out += letter;
  }
  co_return out.substr(1, out.size() - 2);
}

Task<bool> Channel::greet(Duration limit) {
  if (!tls_) {
    co_return true;
  }
  expires_after(limit);
  auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kAwait);
  if (!error) {
    co_return true;
  }
  if (is_plain_http(error)) {
    [[maybe_unused]] auto [problem, sent] =
        co_await asio::async_write(socket_, asio::buffer(kSpeakTls), kAwait);
  }
  co_return false;
}

Task<void> Channel::say_end() {
  if (tls_) {
    // Waits for the other side's alert, too; whatever comes instead is none of our business.
    [[maybe_unused]] auto [error] = co_await tls_->async_shutdown(kAwait);
    co_return;
  }
  boost::system::error_code ignored;
  socket_.lowest_layer().shutdown(asio::socket_base::shutdown_send, ignored);
}

Task<void> Channel::drain() {
  Bytes waste(kWasteBytes);
  bool more = true;
  while (more) {
    auto [error, count] = co_await socket_.async_read_some(asio::buffer(waste), kAwait);
    more = !error;
  }
}

}  // namespace phase::http
