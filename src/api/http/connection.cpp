// One connection: read a request within its limits, hand it to its route, write the reply, repeat.
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <netinet/in.h>
#include <sys/socket.h>

#include "api/http/channel_internal.h"
#include "api/http/head_internal.h"

namespace phase::http {
namespace {

namespace beast = boost::beast;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadPieceBytes = 64_KiB;
constexpr std::size_t kHeadPieceBytes = 16_KiB;

/// A request's bytes count against the server's total until the request was answered.
class BodyBytes {
 public:
  explicit BodyBytes(Server::State& state) noexcept : state_(state) {}
  ~BodyBytes() { state_.body_bytes -= held_; }
  BodyBytes(const BodyBytes&) = delete;
  BodyBytes& operator=(const BodyBytes&) = delete;
  [[nodiscard]] bool grow_to(std::size_t bytes) noexcept {
    const std::size_t more = bytes > held_ ? bytes - held_ : 0;
    if (more > state_.limits.body_bytes_total_max - state_.body_bytes) {
      return false;
    }
    state_.body_bytes += more;
    held_ += more;
    return true;
  }

 private:
  Server::State& state_;
  std::size_t held_ = 0;
};

std::string_view text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

/// Without a port; an IPv4 address that came through an IPv6 socket as itself. Empty: no address.
std::string address_of(Socket& socket) {
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) {
    return {};
  }
  if (peer.data()->sa_family == AF_INET) {
    const auto* raw = reinterpret_cast<const sockaddr_in*>(peer.data());
    return asio::ip::address_v4(ntohl(raw->sin_addr.s_addr)).to_string();
  }
  if (peer.data()->sa_family != AF_INET6) {
    return {};
  }
  asio::ip::address_v6::bytes_type bytes{};
  const auto* raw = reinterpret_cast<const sockaddr_in6*>(peer.data());
  std::copy_n(raw->sin6_addr.s6_addr, bytes.size(), bytes.begin());
  const asio::ip::address_v6 address(bytes);
  return address.is_v4_mapped()
             ? asio::ip::make_address_v4(asio::ip::v4_mapped, address).to_string()
             : address.to_string();
}

Error too_large(std::uint64_t bytes_max) {
  return {Code::too_large,
          "the request's body has more than " + std::to_string(bytes_max) + " bytes",
          {}};
}

class Connection : public EventSink,
                   public ByteSink,
                   public BodyReader,
                   public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Server::State> state, Socket socket, std::shared_ptr<const Door> door)
      : state_(std::move(state)),
        client_(address_of(socket)),
        stream_(std::move(socket), door->tls.get()),
        door_(std::move(door)),
        silence_(state_->executor) {
    const auto when_idle = [this] {
      if (idle_) {
        close();
      }
    };
    const auto at_once = [this] {
      close();
      leave();
    };
    entry_ = state_->connections.insert(state_->connections.end(), {at_once, when_idle});
  }
  ~Connection() override { state_->connections.erase(entry_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Task<void> run() {
    bool first = true;
    bool more = co_await meet();
    const bool greeted = more;
    while (more && !state_->closed) {
      more = co_await exchange(first);
      first = false;
      body_parser_.reset();
    }
    if (stream_.encrypted() && greeted && !watching_ && !gone_ && !state_->closed) {
      stream_.expires_after(state_->limits.linger_max);
      co_await stream_.say_end();  // else what ends with the connection could have been cut off
    }
    close();  // ends the read of `watch`, which holds this
  }

  // ── EventSink ──
  Task<Result<void>> event(std::uint64_t id, std::string_view name,
                           std::string_view data) override {
    std::string text = "id: " + std::to_string(id) + "\nevent: ";
    text.append(name).append("\ndata: ").append(data).append("\n\n");
    co_return co_await write_chunk(text, false);
  }
  Task<Result<void>> keep_alive() override {
    co_return co_await write_chunk(": still here\n\n", false);
  }

  // ── ByteSink ──
  Task<Result<void>> write(std::string_view piece) override {
    if (piece.empty() || ended_) {
      co_return Result<void>{};
    }
    co_return co_await write_chunk(piece, false);
  }
  Task<Result<void>> finish(std::string_view last_piece) override {
    if (ended_) {
      co_return Result<void>{};
    }
    ended_ = true;
    co_return co_await write_chunk(last_piece, true);
  }

  // ── BodyReader ──
  Task<Result<ByteView>> read() override {
    if (!body_parser_ || body_parser_->is_done()) {
      co_return ByteView{};
    }
    if (asks_first_) {
      const auto asked = co_await say_go_on();
      PHASE_CO_TRY_VOID(asked);
    }
    piece_.resize(kReadPieceBytes);
    stream_.expires_after(state_->limits.body_timeout);
    const auto count = co_await read_piece(piece_.data(), piece_.size());
    PHASE_CO_TRY(const std::size_t got, count);
    if (got > body_left_) {
      co_return fail(too_large(body_bytes_max_));
    }
    body_left_ -= got;
    co_return ByteView{piece_.data(), got};
  }

 private:
  using HeadParser = beast::http::request_parser<beast::http::empty_body>;
  using BodyParser = beast::http::request_parser<beast::http::buffer_body>;

  /// Who it is, and TLS. False: it is over.
  Task<bool> meet() {
    const Duration limit = state_->limits.handshake_timeout;
    if (door_->introduced) {
      const auto line = co_await stream_.read_introduction(limit);
      if (!line) co_return false;
      if (!line->empty()) {
        auto client = door_->introduced(*line);
        if (!client) co_return false;
        client_ = *std::move(client);
      }
    }
    const bool greeted = co_await stream_.greet(limit);
    co_return greeted;
  }

  void close() { stream_.close(); }

  /// One request and its reply. False: the connection is at its end.
  Task<bool> exchange(bool first) {
    HeadParser parser;
    parser.header_limit(static_cast<std::uint32_t>(state_->limits.header_bytes_max));
    parser.body_limit(boost::none);  // each route has its own; counted while reading
    const bool read = co_await read_head(parser, first);
    if (!read) {
      co_return false;
    }
    const Head head = note_head(parser);
    Request request;
    request.client = client_;
    request.encrypted = stream_.encrypted();
    auto route = admit(head, request);
    if (!route) {
      co_await refuse(route.error(), request.path);
      co_return false;
    }
    if (*route == nullptr) {
      const Response allowed = *preflight(head, state_->access);
      const bool written = co_await write_response(allowed, keep_alive_ && parser.is_done());
      co_return written&& keep_alive_&& parser.is_done();
    }
    co_return co_await take(**route, parser, std::move(request));
  }

  /// Reads the body as the route wants it, and answers.
  Task<bool> take(const Route& route, HeadParser& parser, Request request) {
    const auto declared = parser.content_length();
    if (declared && *declared > route.body_bytes_max) {
      co_await refuse(too_large(route.body_bytes_max), request.path);
      co_return false;
    }
    const bool empty = parser.is_done();
    if (!empty) {
      body_parser_.emplace(std::move(parser));
    }
    BodyBytes held(*state_);
    if (route.body_streamed) {
      body_left_ = body_bytes_max_ = route.body_bytes_max;
      request.upload = this;
    } else if (!empty) {
      auto body = co_await read_body(declared, route.body_bytes_max, held);
      if (!body) {
        co_await refuse(body.error(), request.path);
        co_return false;
      }
      request.body = std::move(*body);
    }
    co_return co_await answer(route, std::move(request));
  }

  Head note_head(const HeadParser& parser) {
    const auto& fields = parser.get();
    Head head;
    head.method = text_of(fields.method_string());
    head.target = text_of(fields.target());
    for (const auto& field : fields) {
      head.fields.emplace_back(text_of(field.name_string()), text_of(field.value()));
    }
    keep_alive_ = fields.keep_alive() && !state_->draining;
    chunked_allowed_ = fields.version() >= 11;
    head_only_ = head.method == "HEAD";
    asks_first_ = head.only("expect") == "100-continue";
    common_ = state_->router.headers();
    return head;
  }

  /// The route; nothing for a preflight that is allowed.
  Result<const Route*> admit(const Head& head, Request& request) {
    PHASE_TRY_VOID(check_access(head, state_->access, door_->tokens.get()));
    const std::string origin = page_origin(head);
    if (!origin.empty()) {
      Headers cors = state_->access.cors(origin);
      common_.insert(common_.end(), cors.begin(), cors.end());
    }
    if (preflight(head, state_->access)) {
      return nullptr;
    }
    return find_route(head, state_->router, request);
  }

  /// False: nothing came, or the connection is over (a refusal was written where it makes sense).
  Task<bool> read_head(HeadParser& parser, bool first) {
    idle_ = buffer_.size() == 0;
    const bool came = co_await wait_for_bytes(first);
    idle_ = false;
    if (!came) {
      co_return false;
    }
    stream_.expires_after(state_->limits.header_timeout);
    auto [error, count] = co_await beast::http::async_read_header(stream_, buffer_, parser, kAwait);
    if (!error) {
      co_return true;
    }
    if (auto problem = head_problem(error)) {
      head_only_ = false;
      common_ = state_->router.headers();
      co_await refuse(std::move(*problem), {});
    }
    co_return false;
  }

  /// The first bytes of a request are in the buffer, or false.
  Task<bool> wait_for_bytes(bool first) {
    const Duration limit = first ? state_->limits.header_timeout : state_->limits.idle_timeout;
    if (watching_) {
      silence_.expires_after(limit);
      co_await silence_.async_wait(kAwait);
      if (watching_) {
        co_return false;
      }
    }
    if (gone_) {
      co_return false;
    }
    if (buffer_.size() == 0) {
      stream_.expires_after(limit);
      auto [error, count] =
          co_await stream_.async_read_some(buffer_.prepare(kHeadPieceBytes), kAwait);
      if (error) {
        co_return false;
      }
      buffer_.commit(count);
    }
    co_return true;
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

  Task<Result<void>> say_go_on() {
    static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
    asks_first_ = false;
    stream_.expires_after(state_->limits.body_timeout);
    auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(kGoOn), kAwait);
    if (error) {
      co_return fail(Code::connection_closed, "the client went away");
    }
    co_return Result<void>{};
  }

  /// Some bytes of the body; 0 only at its end.
  Task<Result<std::size_t>> read_piece(std::uint8_t* to, std::size_t room) {
    std::size_t got = 0;
    while (got == 0 && !body_parser_->is_done()) {
      auto& body = body_parser_->get().body();
      body.data = to;
      body.size = room;
      body.more = true;
      auto [error, count] =
          co_await beast::http::async_read(stream_, buffer_, *body_parser_, kAwait);
      got = room - body.size;
      if (error && error != beast::http::error::need_buffer) {
        co_return fail(Code::malformed,
                       "the request's body did not arrive whole: " + error.message());
      }
    }
    co_return got;
  }

  /// Memory grows with bytes received, not with what the head declares.
  Task<Result<Bytes>> read_body(boost::optional<std::uint64_t> declared, std::uint64_t bytes_max,
                                BodyBytes& held) {
    if (asks_first_) {
      const auto asked = co_await say_go_on();
      PHASE_CO_TRY_VOID(asked);
    }
    Bytes body;
    stream_.expires_after(state_->limits.body_timeout);
    while (!body_parser_->is_done()) {
      const std::size_t have = body.size();
      const std::uint64_t expected = (declared ? *declared : bytes_max + 1) - have;
      const auto room = static_cast<std::size_t>(
          std::min<std::uint64_t>(kReadPieceBytes, std::max<std::uint64_t>(expected, 1)));
      if (!held.grow_to(have + room)) {
        co_return fail(Code::busy, "too many bytes are being uploaded at once", "try again");
      }
      body.resize(have + room);
      const auto count = co_await read_piece(body.data() + have, room);
      PHASE_CO_TRY(const std::size_t got, count);
      body.resize(have + got);
      if (body.size() > bytes_max) {
        co_return fail(too_large(bytes_max));
      }
    }
    co_return body;
  }

  // ── Answering ──

  Task<bool> answer(const Route& route, Request request) {
    if (!route.watched) {
      co_return co_await perform(route, std::move(request));
    }
    begun_ = false;
    working_ = true;
    watch();
    auto work = perform(route, std::move(request));
    auto token = asio::bind_cancellation_slot(cancel_.slot(), kAwait);
    auto [problem, more] = co_await asio::co_spawn(state_->executor, std::move(work), token);
    working_ = false;
    co_return !problem && more && !gone_;
  }

  /// Handler, then reply. What both hold ends here at the latest, also when cancelled.
  Task<bool> perform(const Route& route, Request request) {
    begun_ = true;
    if (gone_) {
      co_return false;
    }
    const std::string path = request.path;
    Reply reply;
    std::string problem;
    try {
      reply = co_await route.handler(std::move(request));
    } catch (const std::exception& error) {
      problem = std::string{"the daemon failed: "} + error.what();
    }
    if (state_->closed || gone_) {
      co_return false;
    }
    if (!problem.empty()) {
      reply = state_->router.error({Code::internal, problem, {}}, path);
    }
    keep_alive_ = keep_alive_ && !state_->draining;
    co_return co_await deliver(reply);
  }

  Task<bool> deliver(const Reply& reply) {
    if (const auto* response = std::get_if<Response>(&reply)) {
      if (body_parser_ && !body_parser_->is_done()) {
        co_await say_and_linger(*response);
        co_return false;
      }
      const bool written = co_await write_response(*response, keep_alive_);
      co_return written&& keep_alive_;
    }
    if (const auto* stream = std::get_if<Stream>(&reply)) {
      const bool whole = co_await stream_bytes(*stream);
      co_return whole&& keep_alive_&& chunked_allowed_;
    }
    co_await stream_events(std::get<EventSource>(reply));
    co_return false;
  }

  /// Keeps one read outstanding while a handler works: the only way to learn that the client left.
  void watch() {
    if (watching_ || gone_ || buffer_.size() >= kSentAheadBytesMax) {
      return;
    }
    watching_ = true;
    stream_.be_patient(true);
    stream_.async_read_some(
        buffer_.prepare(kHeadPieceBytes),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
          self->heard(error, count);
        });
  }

  void heard(const boost::system::error_code& error, std::size_t count) {
    watching_ = false;
    stream_.be_patient(false);
    silence_.cancel();
    if (error) {
      leave();
      return;
    }
    buffer_.commit(count);
    if (working_) {
      watch();
    }
  }

  /// Nobody waits for the answer any more.
  void leave() {
    gone_ = true;
    if (working_ && begun_) {  // before that, `perform` sees it
      cancel_.emit(asio::cancellation_type::terminal);
    }
  }

  Task<bool> write_response(const Response& response, bool keep) {
    std::string_view body = response.body;
    const bool bare = response.status == 204 || response.status == 304;
    const std::string head = head_text(response.status, response.content_type,
                                       bare ? std::nullopt : std::optional(body.size()), false,
                                       keep, response.headers, common_);
    if (head_only_) {
      body = {};
    }
    const std::string_view with_head = body.substr(0, kWritePieceBytes);
    body.remove_prefix(with_head.size());
    stream_.expires_after(state_->limits.write_timeout);
    const std::array buffers{asio::buffer(head), asio::buffer(with_head)};
    auto [error, sent] = co_await asio::async_write(stream_, buffers, kAwait);
    while (!error && !body.empty()) {
      const std::string_view piece = body.substr(0, kWritePieceBytes);
      body.remove_prefix(piece.size());
      stream_.expires_after(state_->limits.write_timeout);
      std::tie(error, sent) = co_await asio::async_write(stream_, asio::buffer(piece), kAwait);
    }
    co_return !error;
  }

  Task<void> refuse(Error error, std::string path) {
    Response response = state_->router.error(error, path);
    if (response.status == 405) {
      response.headers.emplace_back("Allow", state_->router.allowed(path));
    }
    co_await say_and_linger(response);
  }

  /// Reads on for a while after the answer: closing with unread bytes would reset the connection
  /// under it.
  Task<void> say_and_linger(const Response& response) {
    const bool written = co_await write_response(response, false);
    if (!written) {
      co_return;
    }
    stream_.expires_after(state_->limits.linger_max);
    co_await stream_.say_end();
    co_await stream_.drain();
    gone_ = true;
  }

  // ── Streams ──

  Task<bool> stream_bytes(const Stream& stream) {
    first_bytes_ = head_text(stream.status, stream.content_type, std::nullopt, chunked_allowed_,
                             keep_alive_ && chunked_allowed_, stream.headers, common_);
    ended_ = false;
    if (head_only_) {
      stream_.expires_after(state_->limits.write_timeout);
      auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(first_bytes_), kAwait);
      co_return !error;
    }
    bool whole = true;
    try {
      co_await stream.source(*this);
    } catch (const std::exception&) {
      whole = false;  // the missing last chunk tells the client that the stream broke
    }
    if (!whole || state_->closed || gone_) {
      co_return false;
    }
    const auto finished = co_await finish({});
    co_return finished.has_value();
  }

  Task<void> stream_events(const EventSource& source) {
    const std::string head =
        head_text(200, "text/event-stream", std::nullopt, chunked_allowed_, false, {}, common_);
    first_bytes_.clear();
    stream_.expires_after(state_->limits.write_timeout);
    auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(head), kAwait);
    if (error || head_only_) {
      co_return;
    }
    bool whole = true;
    try {
      co_await source(*this);
    } catch (const std::exception&) {
      whole = false;
    }
    if (whole && !state_->closed) {
      co_await write_chunk({}, true);
    }
  }

  /// One chunk, and the end of the body with it when `last`; in one system call where it fits.
  Task<Result<void>> write_chunk(std::string_view text, bool last) {
    char size[24];
    const int length = std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    std::string_view prefix, suffix;
    if (chunked_allowed_ && !text.empty()) {
      prefix = {size, static_cast<std::size_t>(length)};
      suffix = last ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (chunked_allowed_ && last) {
      suffix = "0\r\n\r\n";
    }
    std::string_view rest = text;
    bool begun = false;
    while (!begun || !rest.empty()) {
      const std::string_view piece = rest.substr(0, kWritePieceBytes);
      rest.remove_prefix(piece.size());
      const std::array buffers{asio::buffer(begun ? std::string_view{} : first_bytes_),
                               asio::buffer(begun ? std::string_view{} : prefix),
                               asio::buffer(piece),
                               asio::buffer(rest.empty() ? suffix : std::string_view{})};
      begun = true;
      stream_.expires_after(state_->limits.write_timeout);
      auto [error, sent] = co_await asio::async_write(stream_, buffers, kAwait);
      if (error || state_->closed) {
        ended_ = true;
        co_return fail(Code::connection_closed, "the client went away");
      }
    }
    first_bytes_.clear();
    co_return Result<void>{};
  }

  std::shared_ptr<Server::State> state_;
  std::string client_;
  Channel stream_;
  std::shared_ptr<const Door> door_;
  asio::steady_timer silence_;  // of a watched client between two requests
  asio::cancellation_signal cancel_;
  beast::flat_buffer buffer_;
  std::list<ConnectionHandle>::iterator entry_;

  // The request being answered.
  std::optional<BodyParser> body_parser_;
  Bytes piece_;
  std::uint64_t body_bytes_max_ = 0;
  std::uint64_t body_left_ = 0;
  std::string first_bytes_;  // head of a stream, until its first piece
  Headers common_;           // of every reply, and what the page must be told
  bool keep_alive_ = false;
  bool chunked_allowed_ = true;
  bool head_only_ = false;
  bool asks_first_ = false;  // Expect: 100-continue
  bool ended_ = false;       // nothing more may be written to the stream

  bool idle_ = false;      // waits for a request
  bool watching_ = false;  // a read of `watch` is outstanding
  bool working_ = false;   // a watched handler runs
  bool begun_ = false;     // … and can be cancelled
  bool gone_ = false;      // the client closed its side
};

}  // namespace

void Server::State::serve(Socket socket, std::shared_ptr<const Door> door) {
  auto connection =
      std::make_shared<Connection>(shared_from_this(), std::move(socket), std::move(door));
  asio::co_spawn(
      executor, [connection]() -> Task<void> { co_await connection->run(); }, asio::detached);
}

}  // namespace phase::http
