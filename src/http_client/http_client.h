// http_client.h — one request to an HTTP server, its answer as it comes.
//
// HTTP/1.1, plain or in TLS (RFC 9112, RFC 9110 §4.3.4), one connection a request: closing it is
// how the server learns that nobody waits any more. Belongs to one executor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "http_client/trust.h"

namespace phase::http_client {

struct Url {
  std::string host;  ///< name or address, IPv6 without brackets
  std::uint16_t port = 80;
  std::string path;  ///< before every route; empty or "/llama", never with a "/" at its end
  bool tls = false;  ///< https

  [[nodiscard]] std::string text() const;
};

/// "http://host[:port][/path]", or https. Errors: Code::invalid_argument. Hints are the caller's to
/// give.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

struct Options {
  std::string who = "the server";  ///< in messages, before its address
  std::string hint;                ///< when it does not answer
  Duration connect_max = 5s;
  Duration handshake_max = 5s;  ///< of TLS
  Duration silence_max = 30s;   ///< how long an answer may be silent
  std::size_t answer_bytes_max = 1_MiB;
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< beside our own; trusted
  std::shared_ptr<const Trust> trust = {};  ///< of https; null: this system's authorities
  std::string trust_hint = {};              ///< when the server's certificate is not believed
};

class Call {
 public:
  Call(asio::any_io_executor executor, Url url, Options options);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Connects, asks, and reads the head of the answer: its status. Without a body it is a GET, with
  /// one (JSON) a POST. Errors: Code::unavailable with what to do, Code::unauthorized for a
  /// certificate that is not believed (signed by nobody trusted, of another name, expired),
  /// Code::cancelled after close().
  [[nodiscard]] static Task<Result<unsigned>> begin(std::shared_ptr<Call> self, std::string route,
                                                    std::string body);
  /// Some bytes of the answer; empty at its end. Errors: Code::connection_closed, too_large,
  /// cancelled after close().
  [[nodiscard]] static Task<Result<std::string>> read(std::shared_ptr<Call> self);
  /// Ends it, whatever it waits for.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct Answer {
  unsigned status = 0;
  std::string body;
};
/// The whole answer to a GET. Errors: those of Call.
[[nodiscard]] Task<Result<Answer>> get(asio::any_io_executor executor, Url url, std::string route,
                                       Options options);

}  // namespace phase::http_client
