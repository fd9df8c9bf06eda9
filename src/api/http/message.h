// message.h — requests and replies as a handler sees them, and the table of routes. No sockets, no
// library types.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace phase::http {

/// A handler of `get` also answers HEAD: the server leaves the body out.
enum class Method : std::uint8_t { get, post, head, put, remove, options };
[[nodiscard]] std::string_view method_name(Method method) noexcept;  ///< "GET", "DELETE"
/// Nothing for a method that is not in the enumeration.
[[nodiscard]] std::optional<Method> method_of(std::string_view name) noexcept;

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A body that is taken piece by piece (routes with `body_streamed`).
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// The next piece, valid until the next call; empty at the end. Each piece has the server's
  /// `body_timeout`. Errors: Code::too_large above the route's limit, Code::malformed,
  /// Code::connection_closed.
  [[nodiscard]] virtual Task<Result<ByteView>> read() = 0;
};

/// A request whose head was checked (host, origin, token) and whose body is complete and within the
/// route's limit.
struct Request {
  Method method = Method::get;
  std::string path;  ///< as sent, without the query
  std::map<std::string, std::string, std::less<>>
      query;                            ///< percent-decoded; a name given twice is refused
  std::vector<std::string> parameters;  ///< what stood for `{…}` in the route, in order
  std::string last_event_id;            ///< header, at most 64 bytes
  std::map<std::string, std::string, std::less<>>
      headers;  ///< those the router passes on that were sent, by lower-case name
  Bytes body;
  BodyReader* upload = nullptr;  ///< `body_streamed`: instead of `body`; lives until the reply
  std::string client;            ///< the peer's address, "127.0.0.1" or "::1"; empty: Unix socket
  bool encrypted = false;        ///< it came through TLS
};
/// One value of a header that is passed on; longer ones are refused.
inline constexpr std::size_t kHeaderValueBytesMax = 4_KiB;

struct Response {
  int status = 200;
  std::string content_type;  ///< empty: no body
  std::string body;
  Headers headers = {};  ///< besides those of the server; values without line ends
};
[[nodiscard]] Response json_response(int status, std::string json);
/// `{"error": {"code", "message", "hint"}}` with the code's status (spec/errors.md).
[[nodiscard]] Response error_response(const Error& error);
/// The same object as text.
[[nodiscard]] std::string error_json(const Error& error);

/// Writes server-sent events (WHATWG HTML §9.2) to one client. Sending suspends while the client is
/// slow and fails when it is slower than the server's write timeout.
class EventSink {
 public:
  virtual ~EventSink() = default;
  /// `data`: one line. Errors: Code::connection_closed.
  [[nodiscard]] virtual Task<Result<void>> event(std::uint64_t id, std::string_view name,
                                                 std::string_view data) = 0;
  /// A comment, so that a broken connection is noticed.
  [[nodiscard]] virtual Task<Result<void>> keep_alive() = 0;
};
/// Runs until it has nothing more to send; the connection closes then.
using EventSource = std::function<Task<void>(EventSink&)>;

/// Writes a body of unknown length to one client: each piece one chunk and one system call. Writing
/// suspends while the client is slow and fails when it is slower than the server's write timeout.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  /// Errors: Code::connection_closed. An empty piece writes nothing.
  [[nodiscard]] virtual Task<Result<void>> write(std::string_view piece) = 0;
  /// The last piece together with the end of the body; nothing may follow.
  [[nodiscard]] virtual Task<Result<void>> finish(std::string_view last_piece) = 0;
};
/// A reply that is written while it is made. The head leaves with the first piece. When `source`
/// returns, the body is at its end and the connection is used again; when it throws, the missing
/// last chunk tells the client that the stream broke.
struct Stream {
  std::string content_type;
  std::function<Task<void>(ByteSink&)> source;
  Headers headers = {};
  int status = 200;
};

using Reply = std::variant<Response, EventSource, Stream>;
using Handler = std::function<Task<Reply>(Request)>;

struct Route {
  Method method = Method::get;
  std::string pattern;               ///< "/v1/jobs/{id}/stdin"; "{rest...}" takes all that is left
  std::uint64_t body_bytes_max = 0;  ///< 0: no body allowed
  Handler handler;
  bool body_streamed = false;  ///< the body goes to `Request::upload`, not into memory
  /// Handler and source are cancelled (asio, terminal) when the client closes its side: what they
  /// hold is destroyed at their next suspension. Not together with `body_streamed`.
  bool watched = false;
};

/// Makes the reply to a request that found no handler: a refused head or body, an unknown path, a
/// method that the path does not take (Code::unsupported).
using ErrorFace = std::function<Response(const Error& error, std::string_view path)>;

/// Routes in order of addition; the first whose pattern fits wins.
class Router {
 public:
  /// `passed_on`: request headers that handlers see, in lower case.
  explicit Router(std::vector<std::string> passed_on = {}) : header_names_(std::move(passed_on)) {}
  void add(Route route) { routes_.push_back(std::move(route)); }
  /// Stands in every reply that does not say it itself, also in refusals and before streams.
  void add_header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
  }
  [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
  [[nodiscard]] const std::vector<std::string>& passed_on() const noexcept { return header_names_; }
  /// For the paths that begin so; the longest beginning wins. Without one: `error_response`.
  void add_error_face(std::string prefix, ErrorFace face);
  [[nodiscard]] Response error(const Error& error, std::string_view path) const;
  /// The methods a path takes, as the header Allow lists them; empty for an unknown path.
  [[nodiscard]] std::string allowed(std::string_view path) const;
  struct Match {
    const Route* route = nullptr;
    std::vector<std::string> parameters;
  };
  /// Errors: Code::not_found (no such path), Code::unsupported (path known, method not).
  [[nodiscard]] Result<Match> match(Method method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
  std::vector<std::string> header_names_;
  Headers headers_;
  std::vector<std::pair<std::string, ErrorFace>> error_faces_;
};

/// Reads `a=b&c=d`, percent-decoded, at most 16 names. Errors: Code::invalid_argument.
[[nodiscard]] Result<std::map<std::string, std::string, std::less<>>> parse_query(
    std::string_view text);
/// Percent-decoded text of a path; '+' stands for itself. Errors: Code::invalid_argument.
[[nodiscard]] Result<std::string> decode_path(std::string_view text);
/// True for localhost, 127.0.0.1 or [::1], with any port or none.
[[nodiscard]] bool host_is_loopback(std::string_view host) noexcept;

}  // namespace phase::http
