#include "lucid/upstream_http.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "base/bytes.h"

namespace phase::lucid {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Error no_answer(const UpstreamUrl& url, const std::string& why) {
  return {Code::unavailable, "the upstream " + url.text() + " does not answer: " + why,
          "start it (llama-server --port " + std::to_string(url.port) +
              " -m MODEL.gguf), or correct --upstream"};
}

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

std::string UpstreamUrl::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port) + path;
}

Result<UpstreamUrl> parse_upstream_url(std::string_view text) {
  const auto wrong = [&text] {
    return fail(Code::invalid_argument, "\"" + printable(text, 80) + "\" is no upstream URL",
                "--upstream http://127.0.0.1:8080");
  };
  if (text.starts_with("https://")) {
    return fail(Code::unsupported, "an upstream is asked by plain HTTP, not https",
                "put a TLS proxy of yours on this machine before it, and name that: "
                "--upstream http://127.0.0.1:PORT");
  }
  if (!text.starts_with("http://")) return wrong();
  text.remove_prefix(7);
  UpstreamUrl out;
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

struct UpstreamCall::State {
  State(asio::any_io_executor executor, UpstreamUrl where)
      : url(std::move(where)), resolver(executor), stream(executor) {
    answer.body_limit(kUpstreamAnswerBytesMax);
    answer.eager(true);
  }

  [[nodiscard]] Error ended(Code code, const boost::system::error_code& error) const {
    if (closed) return {Code::cancelled, "the request was cancelled", {}};
    if (code == Code::unavailable) return no_answer(url, error.message());
    return {code, "the upstream " + url.text() + " broke off: " + error.message(), {}};
  }

  UpstreamUrl url;
  tcp::resolver resolver;
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> answer;
  bool closed = false;
};

UpstreamCall::UpstreamCall(asio::any_io_executor executor, UpstreamUrl url)
    : state_(std::make_unique<State>(std::move(executor), std::move(url))) {}

UpstreamCall::~UpstreamCall() = default;

void UpstreamCall::close() {
  state_->closed = true;
  state_->resolver.cancel();
  state_->stream.close();
}

Task<Result<unsigned>> UpstreamCall::begin(std::shared_ptr<UpstreamCall> self, std::string route,
                                           std::string body) {
  State& state = *self->state_;
  const std::string port = std::to_string(state.url.port);
  auto [unknown, places] = co_await state.resolver.async_resolve(state.url.host, port, kAwait);
  if (unknown || state.closed) co_return fail(state.ended(Code::unavailable, unknown));
  state.stream.expires_after(kUpstreamConnectMax);
  auto [refused, place] = co_await state.stream.async_connect(places, kAwait);
  if (refused || state.closed) co_return fail(state.ended(Code::unavailable, refused));
  boost::system::error_code ignored;
  state.stream.socket().set_option(tcp::no_delay(true), ignored);

  const auto verb = body.empty() ? http::verb::get : http::verb::post;
  http::request<http::string_body> request(verb, state.url.path + route, 11);
  request.set(http::field::host, state.url.host + ":" + port);
  request.set(http::field::connection, "close");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();
  state.stream.expires_after(kUpstreamSilenceMax);
  auto [unsent, sent] = co_await http::async_write(state.stream, request, kAwait);
  if (unsent || state.closed) co_return fail(state.ended(Code::unavailable, unsent));
  auto [unread, read] =
      co_await http::async_read_header(state.stream, state.buffer, state.answer, kAwait);
  if (unread || state.closed) co_return fail(state.ended(Code::unavailable, unread));
  co_return state.answer.get().result_int();
}

Task<Result<std::string>> UpstreamCall::read(std::shared_ptr<UpstreamCall> self) {
  State& state = *self->state_;
  std::string& body = state.answer.get().body();
  while (body.empty() && !state.answer.is_done()) {
    state.stream.expires_after(kUpstreamSilenceMax);
    auto [error, count] =
        co_await http::async_read_some(state.stream, state.buffer, state.answer, kAwait);
    if (state.closed) co_return fail(Code::cancelled, "the request was cancelled");
    if (error == http::error::body_limit) {
      co_return fail(Code::too_large, "the upstream's answer is longer than 256 MiB");
    }
    if (error) co_return fail(state.ended(Code::connection_closed, error));
  }
  std::string out = std::move(body);
  body.clear();
  co_return out;
}

Task<Result<std::string>> upstream_get(asio::any_io_executor executor, UpstreamUrl url,
                                       std::string route) {
  const std::string where = url.text() + route;
  const auto call = std::make_shared<UpstreamCall>(std::move(executor), std::move(url));
  Result<unsigned> status = co_await UpstreamCall::begin(call, std::move(route), {});
  if (!status) co_return fail(status.error());
  std::string all;
  while (true) {
    Result<std::string> piece = co_await UpstreamCall::read(call);
    if (!piece) co_return fail(piece.error());
    if (piece->empty()) break;
    all += *piece;
  }
  if (*status == 200) co_return all;
  const std::string why =
      where + " answers " + std::to_string(*status) + ": " + printable(all, 200);
  if (*status == 503) co_return fail(Code::busy, why, "it is still loading its model");
  if (*status == 404) co_return fail(Code::not_found, why, "is it a llama-server?");
  co_return fail(Code::unavailable, why, "is it a llama-server?");
}

}  // namespace phase::lucid
