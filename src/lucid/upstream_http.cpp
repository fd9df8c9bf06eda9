#include "lucid/upstream_http.h"

namespace phase::lucid {
namespace {

http_client::Options options_for(const UpstreamUrl& url) {
  http_client::Options out;
  out.who = "the upstream";
  out.hint = "start it (llama-server --port " + std::to_string(url.port) +
             " -m MODEL.gguf), or correct --upstream";
  out.connect_max = kUpstreamConnectMax;
  out.silence_max = kUpstreamSilenceMax;
  out.answer_bytes_max = kUpstreamAnswerBytesMax;
  return out;
}

}  // namespace

Result<UpstreamUrl> parse_upstream_url(std::string_view text) {
  Result<UpstreamUrl> url = http_client::parse_url(text);
  if (url && !url->tls) return url;
  Error error = url ? Error{Code::unsupported, "https is not spoken to an upstream, only http", {}}
                    : url.error();
  error.hint = error.code == Code::unsupported
                   ? "put a TLS proxy of yours on this machine before it, and name that: "
                     "--upstream http://127.0.0.1:PORT"
                   : "--upstream http://127.0.0.1:8080";
  return fail(std::move(error));
}

std::shared_ptr<UpstreamCall> upstream_call(asio::any_io_executor executor,
                                            const UpstreamUrl& url) {
  return std::make_shared<UpstreamCall>(std::move(executor), url, options_for(url));
}

Task<Result<std::string>> upstream_get(asio::any_io_executor executor, UpstreamUrl url,
                                       std::string route) {
  const std::string where = url.text() + route;
  http_client::Options options = options_for(url);
  Result<http_client::Answer> answer = co_await http_client::get(
      std::move(executor), std::move(url), std::move(route), std::move(options));
  if (!answer) co_return fail(answer.error());
  if (answer->status == 200) co_return std::move(answer->body);
  const std::string why =
      where + " answers " + std::to_string(answer->status) + ": " + printable(answer->body, 200);
  if (answer->status == 503) co_return fail(Code::busy, why, "it is still loading its model");
  if (answer->status == 404) co_return fail(Code::not_found, why, "is it a llama-server?");
  co_return fail(Code::unavailable, why, "is it a llama-server?");
}

}  // namespace phase::lucid
