// message.h — requests and replies as a handler sees them, and the table of routes. No sockets, no
// library types.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace phase::http {

enum class Method : std::uint8_t { get, post };

/// A request whose head was checked (host, origin, token) and whose body is complete and within the
/// route's limit.
struct Request {
  Method method = Method::get;
  std::string path;  ///< as sent, without the query
  std::map<std::string, std::string, std::less<>>
      query;                            ///< percent-decoded; a name given twice is refused
  std::vector<std::string> parameters;  ///< what stood for `{…}` in the route, in order
  std::string last_event_id;            ///< header, at most 64 bytes
  Bytes body;
};

struct Response {
  int status = 200;
  std::string content_type;  ///< empty: no body
  std::string body;
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

using Reply = std::variant<Response, EventSource>;
using Handler = std::function<Task<Reply>(Request)>;

struct Route {
  Method method = Method::get;
  std::string pattern;             ///< "/v1/jobs/{id}/stdin"
  std::size_t body_bytes_max = 0;  ///< 0: no body allowed
  Handler handler;
};

/// Routes in order of addition; the first whose pattern fits wins.
class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  struct Match {
    const Route* route = nullptr;
    std::vector<std::string> parameters;
  };
  /// Errors: Code::not_found (no such path), Code::unsupported (path known, method not).
  [[nodiscard]] Result<Match> match(Method method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

/// Reads `a=b&c=d`, percent-decoded, at most 16 names. Errors: Code::invalid_argument.
[[nodiscard]] Result<std::map<std::string, std::string, std::less<>>> parse_query(
    std::string_view text);
/// True for localhost, 127.0.0.1 or [::1], with any port or none.
[[nodiscard]] bool host_is_loopback(std::string_view host) noexcept;

}  // namespace phase::http
