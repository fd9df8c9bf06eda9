// One connection: read a request within its limits, hand it to its route, write the reply, repeat.
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "api/http/state.h"

namespace phase::http {
namespace {

namespace beast = boost::beast;
using Stream = beast::basic_stream<asio::generic::stream_protocol, asio::any_io_executor>;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadPieceBytes = 64_KiB;
constexpr std::size_t kEventIdBytesMax = 64;

/// A request's bytes count against the server's total until the request was answered.
class BodyBytes {
 public:
  explicit BodyBytes(Server::State& state) noexcept : state_(state) {}
  ~BodyBytes() { state_.body_bytes -= held_; }
  BodyBytes(const BodyBytes&) = delete;
  BodyBytes& operator=(const BodyBytes&) = delete;
  [[nodiscard]] bool take(std::size_t count) noexcept {
    if (count > state_.limits.body_bytes_total_max - state_.body_bytes) {
      return false;
    }
    state_.body_bytes += count;
    held_ += count;
    return true;
  }

 private:
  Server::State& state_;
  std::size_t held_ = 0;
};

std::string_view text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

class Connection : public EventSink {
 public:
  Connection(std::shared_ptr<Server::State> state, Socket socket, std::optional<Sha256> token)
      : state_(std::move(state)), stream_(std::move(socket)), token_(token) {
    entry_ = state_->connections.insert(state_->connections.end(), {[this] { close(); }});
  }
  ~Connection() override { state_->connections.erase(entry_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Task<void> run() {
    bool first = true;
    while (!state_->closed && co_await exchange(first)) {
      first = false;
    }
  }

  Task<Result<void>> event(std::uint64_t id, std::string_view name,
                           std::string_view data) override {
    std::string text = "id: " + std::to_string(id) + "\nevent: ";
    text.append(name).append("\ndata: ").append(data).append("\n\n");
    co_return co_await write_chunk(text);
  }
  Task<Result<void>> keep_alive() override { co_return co_await write_chunk(": still here\n\n"); }

 private:
  using HeadParser = beast::http::request_parser<beast::http::empty_body>;
  using BodyParser = beast::http::request_parser<beast::http::buffer_body>;
  using Fields = beast::http::request<beast::http::empty_body>;

  void close() {
    boost::system::error_code ignored;
    stream_.socket().close(ignored);
  }

  /// One request and its reply. False: the connection is at its end.
  Task<bool> exchange(bool first) {
    HeadParser head;
    head.header_limit(static_cast<std::uint32_t>(state_->limits.header_bytes_max));
    head.body_limit(boost::none);  // each route has its own; counted while reading
    if (!co_await read_head(head, first)) {
      co_return false;
    }
    const Fields& fields = head.get();
    Request request;
    auto route = check_head(fields, request);
    if (!route) {
      co_await refuse(route.error());
      co_return false;
    }
    keep_alive_ = fields.keep_alive();
    chunked_allowed_ = fields.version() >= 11;
    BodyBytes held(*state_);
    auto body = co_await read_body(head, (*route)->body_bytes_max, held);
    if (!body) {
      co_await refuse(body.error());
      co_return false;
    }
    request.body = std::move(*body);
    co_return co_await answer(**route, std::move(request));
  }

  /// False: nothing came, or the connection is over (a refusal was written where it makes sense).
  Task<bool> read_head(HeadParser& head, bool first) {
    stream_.expires_after(first ? state_->limits.header_timeout : state_->limits.idle_timeout);
    if (buffer_.size() == 0) {
      auto [wait_error, count] =
          co_await stream_.async_read_some(buffer_.prepare(kReadPieceBytes / 4), kAwait);
      if (wait_error) {
        co_return false;
      }
      buffer_.commit(count);
    }
    stream_.expires_after(state_->limits.header_timeout);
    auto [error, count] = co_await beast::http::async_read_header(stream_, buffer_, head, kAwait);
    if (!error) {
      co_return true;
    }
    if (auto problem = head_problem(error)) {
      co_await refuse(std::move(*problem));
    }
    co_return false;
  }

  /// What to tell a client whose head was not understood; nothing when it is gone or too slow.
  std::optional<Error> head_problem(const boost::system::error_code& error) const {
    namespace http = beast::http;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Error{Code::too_large,
                   "the request's head has more than " +
                       std::to_string(state_->limits.header_bytes_max) + " bytes",
                   {}};
    }
    const bool of_http =
        error.category() == http::make_error_code(http::error::bad_method).category();
    if (of_http && error != http::error::end_of_stream && error != http::error::partial_message) {
      return Error{Code::malformed, "this is not an HTTP/1.1 request: " + error.message(), {}};
    }
    return std::nullopt;
  }

  Result<const Route*> check_head(const Fields& fields, Request& request) const {
    if (fields.count(beast::http::field::origin) != 0) {
      return fail(Code::permission_denied, "requests from web pages are refused",
                  "no Origin header is allowed");
    }
    if (fields.count(beast::http::field::host) != 1 ||
        !host_is_loopback(text_of(fields[beast::http::field::host]))) {
      return fail(Code::permission_denied, "the Host must be localhost, 127.0.0.1 or [::1]");
    }
    if (token_ && !token_matches(text_of(fields[beast::http::field::authorization]))) {
      return fail(Code::unauthorized, "the bearer token is missing or wrong",
                  "send Authorization: Bearer <the daemon's control token>");
    }
    const std::string_view target = text_of(fields.target());
    const std::size_t mark = std::min(target.find('?'), target.size());
    request.path = std::string{target.substr(0, mark)};
    if (!request.path.starts_with('/')) {
      return fail(Code::malformed, "the request's path does not begin with /");
    }
    PHASE_TRY(request.query, parse_query(target.substr(std::min(mark + 1, target.size()))));
    const auto method = fields.method();
    if (method != beast::http::verb::get && method != beast::http::verb::post) {
      return fail(Code::unsupported, "only GET and POST are known here");
    }
    request.method = method == beast::http::verb::get ? Method::get : Method::post;
    request.last_event_id = std::string{text_of(fields["Last-Event-ID"])};
    if (request.last_event_id.size() > kEventIdBytesMax) {
      return fail(Code::invalid_argument, "Last-Event-ID is too long");
    }
    PHASE_TRY(auto match, state_->router.match(request.method, request.path));
    request.parameters = std::move(match.parameters);
    return match.route;
  }

  bool token_matches(std::string_view header) const {
    constexpr std::string_view kScheme = "Bearer ";
    if (!header.starts_with(kScheme)) {
      return false;
    }
    // Hashes, so that not even the token's length shows in the time.
    const Sha256 given = sha256(as_bytes(header.substr(kScheme.size())));
    return equal_constant_time(given.bytes(), token_->bytes());
  }

  /// Memory grows with bytes received, not with what the head declares.
  Task<Result<Bytes>> read_body(HeadParser& head, std::size_t bytes_max, BodyBytes& held) {
    const auto declared = head.content_length();
    const auto too_large = [bytes_max] {
      return fail(Code::too_large,
                  "the request's body has more than " + std::to_string(bytes_max) + " bytes");
    };
    if (declared && *declared > bytes_max) {
      co_return too_large();
    }
    Bytes body;
    if (head.is_done()) {
      co_return body;
    }
    stream_.expires_after(state_->limits.body_timeout);
    if (text_of(head.get()[beast::http::field::expect]) == "100-continue") {
      static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
      auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(kGoOn), kAwait);
      if (error) {
        co_return fail(Code::connection_closed, "the client went away");
      }
    }
    BodyParser parser(std::move(head));
    while (!parser.is_done()) {
      const std::size_t have = body.size();
      const std::size_t room = std::min(kReadPieceBytes, bytes_max + 1 - have);
      if (!held.take(room)) {
        co_return fail(Code::busy, "too many bytes are being uploaded at once", "try again");
      }
      body.resize(have + room);
      parser.get().body().data = body.data() + have;
      parser.get().body().size = room;
      parser.get().body().more = true;
      auto [error, count] = co_await beast::http::async_read(stream_, buffer_, parser, kAwait);
      body.resize(have + room - parser.get().body().size);
      if (body.size() > bytes_max) {
        co_return too_large();
      }
      if (error && error != beast::http::error::need_buffer) {
        co_return fail(Code::malformed,
                       "the request's body did not arrive whole: " + error.message());
      }
    }
    co_return body;
  }

  Task<bool> answer(const Route& route, Request request) {
    Reply reply;
    try {
      reply = co_await route.handler(std::move(request));
    } catch (const std::exception& error) {
      reply =
          error_response({Code::internal, std::string{"the daemon failed: "} + error.what(), {}});
    }
    if (state_->closed) {
      co_return false;
    }
    if (const auto* response = std::get_if<Response>(&reply)) {
      co_return co_await write_response(*response, keep_alive_) && keep_alive_;
    }
    co_await stream_events(std::get<EventSource>(reply));
    co_return false;
  }

  static std::string head_text(const Response& response, bool keep) {
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
    text +=
        text_of(beast::http::obsolete_reason(static_cast<beast::http::status>(response.status)));
    text += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
    text += keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    if (!response.content_type.empty()) {
      text += "Content-Type: " + response.content_type + "\r\n";
    }
    if (response.status != 204) {
      text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    }
    return text + "\r\n";
  }

  Task<bool> write_response(const Response& response, bool keep) {
    std::string_view body = response.body;
    const std::string head = head_text(response, keep);
    const std::string_view with_head = body.substr(0, kWritePieceBytes);
    body.remove_prefix(with_head.size());
    stream_.expires_after(state_->limits.write_timeout);
    auto [error, sent] = co_await asio::async_write(
        stream_, std::array{asio::buffer(head), asio::buffer(with_head)}, kAwait);
    while (!error && !body.empty()) {
      const std::string_view piece = body.substr(0, kWritePieceBytes);
      body.remove_prefix(piece.size());
      stream_.expires_after(state_->limits.write_timeout);
      std::tie(error, sent) = co_await asio::async_write(stream_, asio::buffer(piece), kAwait);
    }
    co_return !error;
  }

  /// Says why, and reads on for a while: closing with unread bytes would reset the connection under
  /// the answer.
  Task<void> refuse(Error error) {
    const Response response = error_response(error);
    if (!co_await write_response(response, false)) {
      co_return;
    }
    boost::system::error_code ignored;
    stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    stream_.expires_after(state_->limits.linger_max);
    Bytes waste(kReadPieceBytes);
    bool more = true;
    while (more) {
      auto [read_error, count] = co_await stream_.async_read_some(asio::buffer(waste), kAwait);
      more = !read_error;
    }
  }

  Task<void> stream_events(const EventSource& source) {
    std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n";
    head += chunked_allowed_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
    stream_.expires_after(state_->limits.write_timeout);
    auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(head), kAwait);
    if (error) {
      co_return;
    }
    try {
      co_await source(*this);
    } catch (const std::exception&) {
      co_return;  // the missing last chunk tells the client that the stream broke
    }
    if (chunked_allowed_ && !state_->closed) {
      static constexpr std::string_view kLast = "0\r\n\r\n";
      stream_.expires_after(state_->limits.write_timeout);
      co_await asio::async_write(stream_, asio::buffer(kLast), kAwait);
    }
  }

  Task<Result<void>> write_chunk(std::string_view text) {
    char size[24];
    const int length = std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    const std::string_view prefix = chunked_allowed_
                                        ? std::string_view(size, static_cast<std::size_t>(length))
                                        : std::string_view{};
    const std::string_view suffix =
        chunked_allowed_ ? std::string_view{"\r\n"} : std::string_view{};
    std::string_view rest = text;
    bool begun = false;
    while (!begun || !rest.empty()) {
      const std::string_view piece = rest.substr(0, kWritePieceBytes);
      rest.remove_prefix(piece.size());
      const std::array buffers{asio::buffer(begun ? std::string_view{} : prefix),
                               asio::buffer(piece),
                               asio::buffer(rest.empty() ? suffix : std::string_view{})};
      begun = true;
      stream_.expires_after(state_->limits.write_timeout);
      auto [error, sent] = co_await asio::async_write(stream_, buffers, kAwait);
      if (error || state_->closed) {
        co_return fail(Code::connection_closed, "the client went away");
      }
    }
    co_return Result<void>{};
  }

  std::shared_ptr<Server::State> state_;
  Stream stream_;
  std::optional<Sha256> token_;
  beast::flat_buffer buffer_;
  std::list<ConnectionHandle>::iterator entry_;
  bool keep_alive_ = false;
  bool chunked_allowed_ = true;
};

}  // namespace

void Server::State::serve(Socket socket, std::optional<Sha256> token) {
  auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket), token);
  asio::co_spawn(
      executor, [connection]() -> Task<void> { co_await connection->run(); }, asio::detached);
}

}  // namespace phase::http
