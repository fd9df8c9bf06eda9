// upstream_http.h — one request to an HTTP server of the operator's choice, its answer as it comes.
//
// Plain HTTP/1.1, one connection a request: closing it is how a llama-server learns that nobody
// waits any more. Belongs to one executor.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace phase::lucid {

/// How long connecting may take, and how long an answer may be silent (a long prompt is computed).
inline constexpr Duration kUpstreamConnectMax = 5s;
inline constexpr Duration kUpstreamSilenceMax = 600s;
/// Of one answer.
inline constexpr std::size_t kUpstreamAnswerBytesMax = 256_MiB;

struct UpstreamUrl {
  std::string host;  ///< name or address, IPv6 without brackets
  std::uint16_t port = 80;
  std::string path;  ///< before every route; empty or "/llama", never with a "/" at its end

  [[nodiscard]] std::string text() const;
};

/// "http://host[:port][/path]". Errors: Code::unsupported for https, Code::invalid_argument.
[[nodiscard]] Result<UpstreamUrl> parse_upstream_url(std::string_view text);

class UpstreamCall {
 public:
  UpstreamCall(asio::any_io_executor executor, UpstreamUrl url);
  ~UpstreamCall();
  UpstreamCall(const UpstreamCall&) = delete;
  UpstreamCall& operator=(const UpstreamCall&) = delete;

  /// Connects, asks, and reads the head of the answer: its status. Without a body it is a GET.
  /// Errors: Code::unavailable with what to do, Code::cancelled after close().
  [[nodiscard]] static Task<Result<unsigned>> begin(std::shared_ptr<UpstreamCall> self,
                                                    std::string route, std::string body);
  /// Some bytes of the answer; empty at its end. Errors: Code::connection_closed, too_large,
  /// cancelled after close().
  [[nodiscard]] static Task<Result<std::string>> read(std::shared_ptr<UpstreamCall> self);
  /// Ends it, whatever it waits for.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole answer to a GET. Errors: those above; Code::not_found for status 404, busy for 503 (it
/// loads its model), unavailable for others.
[[nodiscard]] Task<Result<std::string>> upstream_get(asio::any_io_executor executor,
                                                     UpstreamUrl url, std::string route);

}  // namespace phase::lucid
