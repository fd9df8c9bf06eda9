#include "http_client/http_client.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"

namespace phase::http_client {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::uint16_t kHttpsPort = 443;
/// Told of a certificate.
constexpr std::size_t kNameBytesMax = 120;

bool is_host(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == ':' || c == '_';
  });
}

bool is_path(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#'; });
}

/// The socket, with Beast's deadlines, and TLS over it. An AsyncStream of Asio.
class Wire {
 public:
  using executor_type = asio::any_io_executor;
  explicit Wire(const asio::any_io_executor& executor) : socket_(executor) {}

  executor_type get_executor() { return socket_.get_executor(); }
  beast::tcp_stream& socket() { return socket_; }
  asio::ssl::stream<beast::tcp_stream&>& secure(asio::ssl::context& context) {
    return tls_.emplace(socket_, context);
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

 private:
  beast::tcp_stream socket_;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;
};

std::string authority(const Url& url) {
  const bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
}

/// Who must answer: asked for (RFC 6066 §3) and compared with the certificate (RFC 9110 §4.3.4).
bool expect(SSL* ssl, const std::string& host) {
  boost::system::error_code none;
  asio::ip::make_address(host, none);
  if (!none) return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), host.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 &&
         ::SSL_set1_host(ssl, host.c_str()) == 1;
}

/// Why a certificate was not believed.
std::string disbelief(long verdict, const std::string& host) {
  switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "shows a certificate that is not for " + printable(host, kNameBytesMax);
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "shows a certificate that has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "shows a certificate that is not valid yet: is this machine's clock right?";
    default:
      return std::string("shows a certificate that nobody trusted here has signed: ") +
             ::X509_verify_cert_error_string(verdict);
  }
}

}  // namespace

std::string Url::text() const {
  return (tls ? "https://" : "http://") + authority(*this) + path;
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&text] {
    return fail(Code::invalid_argument, "\"" + printable(text, 80) + "\" is no URL of a server");
  };
  Url out;
  out.tls = text.starts_with("https://");
  if (!out.tls && !text.starts_with("http://")) return wrong();
  text.remove_prefix(out.tls ? 8 : 7);
  if (out.tls) out.port = kHttpsPort;
  const std::size_t slash = std::min(text.find('/'), text.size());
  out.path = text.substr(slash);
  while (out.path.ends_with('/')) out.path.pop_back();
  std::string_view place = text.substr(0, slash);
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) return wrong();
    out.host = place.substr(1, end - 1);
    port = place.substr(end + 1);
  } else {
    const std::size_t colon = std::min(place.find(':'), place.size());
    out.host = place.substr(0, colon);
    port = place.substr(colon);
  }
  if (!is_host(out.host) || !is_path(out.path)) return wrong();
  if (port.empty()) return out;
  const char* const end = port.data() + port.size();
  const auto [at, error] = std::from_chars(port.data() + 1, end, out.port);
  if (port.front() != ':' || error != std::errc{} || at != end || out.port == 0) return wrong();
  return out;
}

struct Call::State {
  State(asio::any_io_executor executor, Url where, Options chosen)
      : url(std::move(where)), options(std::move(chosen)), resolver(executor), wire(executor) {
    answer.body_limit(options.answer_bytes_max);
    answer.eager(true);
  }

  [[nodiscard]] Error ended(Code code, const boost::system::error_code& error) const {
    if (closed) return {Code::cancelled, "the request was cancelled", {}};
    const std::string name = options.who + " " + url.text();
    if (code == Code::unavailable) {
      return {code, name + " does not answer: " + error.message(), options.hint};
    }
    return {code, name + " broke off: " + error.message(), {}};
  }

  static Task<Result<void>> connect(State& state);
  static Task<Result<void>> shake_hands(State& state);
  [[nodiscard]] Error unproved(SSL* ssl, const boost::system::error_code& error) const;

  Url url;
  Options options;
  tcp::resolver resolver;
  Wire wire;
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> answer;
  bool closed = false;
};

Call::Call(asio::any_io_executor executor, Url url, Options options)
    : state_(std::make_unique<State>(std::move(executor), std::move(url), std::move(options))) {}

Call::~Call() = default;

void Call::close() {
  state_->closed = true;
  state_->resolver.cancel();
  state_->wire.socket().close();
}

Error Call::State::unproved(SSL* ssl, const boost::system::error_code& error) const {
  const std::string name = options.who + " " + url.text();
  const long verdict = ::SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    return {Code::unauthorized, name + " " + disbelief(verdict, url.host), options.trust_hint};
  }
  if (error.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_WRONG_VERSION_NUMBER) {
    return {Code::unavailable, name + " does not speak TLS",
            "http:// in the address, if it is yours"};
  }
  return {Code::unavailable, name + ": no TLS with it: " + error.message(), options.hint};
}

Task<Result<void>> Call::State::shake_hands(State& state) {
  if (state.options.trust == nullptr) {
    PHASE_CO_TRY(state.options.trust, Trust::system());
  }
  auto& tls = state.wire.secure(state.options.trust->context());
  if (!expect(tls.native_handle(), state.url.host)) {
    ::ERR_clear_error();
    co_return fail(Code::internal, "TLS cannot be begun with " + state.url.text());
  }
  state.wire.socket().expires_after(state.options.handshake_max);
  auto [error] = co_await tls.async_handshake(asio::ssl::stream_base::client, kAwait);
  if (state.closed) co_return fail(state.ended(Code::unavailable, error));
  if (error) co_return fail(state.unproved(tls.native_handle(), error));
  co_return Result<void>{};
}

Task<Result<void>> Call::State::connect(State& state) {
  const std::string port = std::to_string(state.url.port);
  auto [unknown, places] = co_await state.resolver.async_resolve(state.url.host, port, kAwait);
  if (unknown || state.closed) co_return fail(state.ended(Code::unavailable, unknown));
  beast::tcp_stream& socket = state.wire.socket();
  socket.expires_after(state.options.connect_max);
  auto [refused, place] = co_await socket.async_connect(places, kAwait);
  if (refused || state.closed) co_return fail(state.ended(Code::unavailable, refused));
  boost::system::error_code ignored;
  socket.socket().set_option(tcp::no_delay(true), ignored);
  if (!state.url.tls) co_return Result<void>{};
  auto proved = co_await shake_hands(state);
  co_return proved;
}

Task<Result<unsigned>> Call::begin(std::shared_ptr<Call> self, std::string route,
                                   std::string body) {
  State& state = *self->state_;
  const auto connected = co_await State::connect(state);
  if (!connected) co_return fail(connected.error());
  const auto verb = body.empty() ? http::verb::get : http::verb::post;
  http::request<http::string_body> request(verb, state.url.path + route, 11);
  request.set(http::field::host, authority(state.url));
  request.set(http::field::connection, "close");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : state.options.headers) request.set(name, value);
  request.body() = std::move(body);
  request.prepare_payload();
  state.wire.socket().expires_after(state.options.silence_max);
  auto [unsent, sent] = co_await http::async_write(state.wire, request, kAwait);
  if (unsent || state.closed) co_return fail(state.ended(Code::unavailable, unsent));
  auto [unread, read] =
      co_await http::async_read_header(state.wire, state.buffer, state.answer, kAwait);
  if (unread || state.closed) co_return fail(state.ended(Code::unavailable, unread));
  co_return state.answer.get().result_int();
}

Task<Result<std::string>> Call::read(std::shared_ptr<Call> self) {
  State& state = *self->state_;
  std::string& body = state.answer.get().body();
  while (body.empty() && !state.answer.is_done()) {
    state.wire.socket().expires_after(state.options.silence_max);
    auto [error, count] =
        co_await http::async_read_some(state.wire, state.buffer, state.answer, kAwait);
    if (state.closed) co_return fail(Code::cancelled, "the request was cancelled");
    if (error == http::error::body_limit) {
      co_return fail(Code::too_large, "the answer of " + state.options.who + " is longer than " +
                                          std::to_string(state.options.answer_bytes_max) +
                                          " bytes");
    }
    if (error) co_return fail(state.ended(Code::connection_closed, error));
  }
  std::string out = std::move(body);
  body.clear();
  co_return out;
}

Task<Result<Answer>> get(asio::any_io_executor executor, Url url, std::string route,
                         Options options) {
  const auto call = std::make_shared<Call>(std::move(executor), std::move(url), std::move(options));
  Result<unsigned> status = co_await Call::begin(call, std::move(route), {});
  if (!status) co_return fail(status.error());
  Answer all{*status, {}};
  while (true) {
    Result<std::string> piece = co_await Call::read(call);
    if (!piece) co_return fail(piece.error());
    if (piece->empty()) break;
    all.body += *piece;
  }
  co_return all;
}

}  // namespace phase::http_client
