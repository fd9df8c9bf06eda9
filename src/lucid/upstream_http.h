// upstream_http.h — requests to the model server of the operator's choice.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http_client/http_client.h"

namespace phase::lucid {

/// How long connecting may take, and how long an answer may be silent (a long prompt is computed).
inline constexpr Duration kUpstreamConnectMax = 5s;
inline constexpr Duration kUpstreamSilenceMax = 600s;
/// Of one answer.
inline constexpr std::size_t kUpstreamAnswerBytesMax = 256_MiB;

using UpstreamUrl = http_client::Url;
using UpstreamCall = http_client::Call;

/// "http://host[:port][/path]". Errors: Code::unsupported for https, Code::invalid_argument.
[[nodiscard]] Result<UpstreamUrl> parse_upstream_url(std::string_view text);

/// A request under these limits, not begun yet.
[[nodiscard]] std::shared_ptr<UpstreamCall> upstream_call(asio::any_io_executor executor,
                                                          const UpstreamUrl& url);

/// The whole answer to a GET. Errors: those of UpstreamCall; Code::not_found for status 404, busy
/// for 503 (it loads its model), unavailable for others.
[[nodiscard]] Task<Result<std::string>> upstream_get(asio::any_io_executor executor,
                                                     UpstreamUrl url, std::string route);

}  // namespace phase::lucid
