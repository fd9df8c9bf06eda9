#include "http_client/http_client.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "base/bytes.h"

namespace phase::http_client {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

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

}  // namespace

std::string Url::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port) + path;
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&text] {
    return fail(Code::invalid_argument, "\"" + printable(text, 80) + "\" is no URL of a server");
  };
  if (text.starts_with("https://")) {
    return fail(Code::unsupported, "https is not spoken here yet, only plain http");
  }
  if (!text.starts_with("http://")) return wrong();
  text.remove_prefix(7);
  Url out;
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
      : url(std::move(where)), options(std::move(chosen)), resolver(executor), stream(executor) {
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

  Url url;
  Options options;
  tcp::resolver resolver;
  beast::tcp_stream stream;
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
  state_->stream.close();
}

Task<Result<unsigned>> Call::begin(std::shared_ptr<Call> self, std::string route,
                                   std::string body) {
  State& state = *self->state_;
  const std::string port = std::to_string(state.url.port);
  auto [unknown, places] = co_await state.resolver.async_resolve(state.url.host, port, kAwait);
  if (unknown || state.closed) co_return fail(state.ended(Code::unavailable, unknown));
  state.stream.expires_after(state.options.connect_max);
  auto [refused, place] = co_await state.stream.async_connect(places, kAwait);
  if (refused || state.closed) co_return fail(state.ended(Code::unavailable, refused));
  boost::system::error_code ignored;
  state.stream.socket().set_option(tcp::no_delay(true), ignored);

  const auto verb = body.empty() ? http::verb::get : http::verb::post;
  http::request<http::string_body> request(verb, state.url.path + route, 11);
  request.set(http::field::host, state.url.host + ":" + port);
  request.set(http::field::connection, "close");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : state.options.headers) request.set(name, value);
  request.body() = std::move(body);
  request.prepare_payload();
  state.stream.expires_after(state.options.silence_max);
  auto [unsent, sent] = co_await http::async_write(state.stream, request, kAwait);
  if (unsent || state.closed) co_return fail(state.ended(Code::unavailable, unsent));
  auto [unread, read] =
      co_await http::async_read_header(state.stream, state.buffer, state.answer, kAwait);
  if (unread || state.closed) co_return fail(state.ended(Code::unavailable, unread));
  co_return state.answer.get().result_int();
}

Task<Result<std::string>> Call::read(std::shared_ptr<Call> self) {
  State& state = *self->state_;
  std::string& body = state.answer.get().body();
  while (body.empty() && !state.answer.is_done()) {
    state.stream.expires_after(state.options.silence_max);
    auto [error, count] =
        co_await http::async_read_some(state.stream, state.buffer, state.answer, kAwait);
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
