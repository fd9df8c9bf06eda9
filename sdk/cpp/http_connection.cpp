#include "sdk/cpp/http_connection.h"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace phase::sdk {
namespace {

namespace http = boost::beast::http;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kReadBytes = 64_KiB;
constexpr std::size_t kHeadBytesMax = 16_KiB;

SteadyTime time_after(Duration timeout) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
}

/// Waits until the socket is ready. Errors: Code::timed_out, Code::cancelled.
Result<void> wait_for(int socket, short events, int interrupt, SteadyTime until) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd fds[2] = {{socket, events, 0}, {interrupt, POLLIN, 0}};
    const int ready = ::poll(fds, 2, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno != EINTR) {
      return fail_errno(errno, "cannot wait for the daemon");
    }
    if (ready > 0 && fds[1].revents != 0) {
      return fail(Code::cancelled, "interrupted");
    }
    if (ready > 0) {
      return {};
    }
    if (ready == 0) {
      return fail(Code::timed_out, "the daemon did not answer in time",
                  "look at its log; phase status");
    }
  }
}

tl::unexpected<Error> connect_error(int error, const std::filesystem::path& path) {
  if (error == ENOENT || error == ECONNREFUSED) {
    return fail(Code::unavailable, "no daemon answers on " + path.string(),
                "start one with: plasmd start");
  }
  if (error == EACCES || error == EPERM) {
    return fail(Code::permission_denied, "you may not use the daemon's socket " + path.string(),
                "join the socket's group, or run your own daemon: plasmd start");
  }
  return fail_errno(error, "cannot connect to " + path.string());
}

}  // namespace

Result<std::shared_ptr<Interrupt>> Interrupt::make() {
  const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) {
    return fail_errno(errno, "cannot make an event descriptor");
  }
  return std::shared_ptr<Interrupt>(new Interrupt(descriptor));
}

Interrupt::~Interrupt() {
  ::close(descriptor_);
}

void Interrupt::raise() noexcept {
  const std::uint64_t one = 1;
  // Fails only when it is raised already.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof one);
}

struct HttpConnection::State {
  explicit State(std::shared_ptr<Interrupt> by) : interrupt(std::move(by)) {}
  ~State() {
    if (socket >= 0) {
      ::close(socket);
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::shared_ptr<Interrupt> interrupt;
  int socket = -1;
  http::response_parser<http::buffer_body> parser;
  std::string received;  // not parsed yet
  Bytes piece = Bytes(kReadBytes);

  [[nodiscard]] Result<void> connect(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string text = path.string();
    if (text.size() >= sizeof address.sun_path) {
      return fail(Code::invalid_argument, "the path " + text + " is too long for a socket");
    }
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
    socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) {
      return fail_errno(errno, "cannot make a socket");
    }
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return connect_error(errno, path);
    }
    return {};
  }

  [[nodiscard]] Result<void> write(ByteView bytes, Duration timeout) const {
    while (!bytes.empty()) {
      PHASE_TRY_VOID(wait_for(socket, POLLOUT, interrupt->descriptor(), time_after(timeout)));
      const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno == EPIPE) {
        return {};  // it may have answered before it stopped reading
      }
      if (count < 0 && errno != EAGAIN && errno != EINTR) {
        return fail(Code::connection_closed, "the daemon closed the connection");
      }
      bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return {};
  }

  /// More bytes into `received`. False: the other side has ended.
  [[nodiscard]] Result<bool> receive(SteadyTime until) {
    PHASE_TRY_VOID(wait_for(socket, POLLIN, interrupt->descriptor(), until));
    const ssize_t count = ::recv(socket, piece.data(), piece.size(), 0);
    if (count < 0) {
      return fail(Code::connection_closed, "the connection to the daemon broke");
    }
    received.append(as_text(ByteView{piece}.first(static_cast<std::size_t>(count))));
    return count > 0;
  }

  /// Parses what was received. True: the parser wants more bytes.
  [[nodiscard]] Result<bool> parse() {
    boost::system::error_code error;
    const std::size_t used = parser.put(boost::asio::buffer(received), error);
    received.erase(0, used);
    if (error == http::error::need_buffer) {
      return false;
    }
    if (error && error != http::error::need_more) {
      return fail(Code::protocol, "the daemon's answer is not HTTP: " + error.message());
    }
    return error == http::error::need_more || used == 0 || received.empty();
  }

  [[nodiscard]] tl::unexpected<Error> broke_off() const {
    return fail(Code::connection_closed,
                "the daemon closed the connection before its answer was complete");
  }
};

HttpConnection::HttpConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection& HttpConnection::operator=(HttpConnection&&) noexcept = default;
HttpConnection::~HttpConnection() = default;

Result<HttpConnection> HttpConnection::send(const std::filesystem::path& socket,
                                            std::shared_ptr<Interrupt> interrupt,
                                            const HttpRequest& request, Duration timeout) {
  auto state = std::make_unique<State>(std::move(interrupt));
  state->parser.header_limit(kHeadBytesMax);
  state->parser.body_limit(boost::none);  // read_all has its own
  PHASE_TRY_VOID(state->connect(socket));
  std::string head{request.method};
  head += " " + request.target +
          " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: phase-cpp/" +
          PHASE_VERSION + "\r\n";
  if (!request.last_event_id.empty()) {
    head += "Last-Event-ID: " + request.last_event_id + "\r\n";
  }
  if (request.method == "POST") {
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  if (!request.content_type.empty()) {
    head += "Content-Type: " + std::string{request.content_type} + "\r\n";
  }
  head += "\r\n";
  PHASE_TRY_VOID(state->write(as_bytes(head), timeout));
  PHASE_TRY_VOID(state->write(request.body, timeout));
  return HttpConnection{std::move(state)};
}

Result<int> HttpConnection::status(Duration timeout) {
  State& s = *state_;
  const SteadyTime until = time_after(timeout);
  while (!s.parser.is_header_done()) {
    PHASE_TRY(const bool more, s.receive(until));
    if (!more) {
      return s.broke_off();
    }
    PHASE_TRY([[maybe_unused]] const bool wants, s.parse());
  }
  return static_cast<int>(s.parser.get().result_int());
}

Result<std::string> HttpConnection::read_some(Duration timeout) {
  State& s = *state_;
  const SteadyTime until = time_after(timeout);
  std::string out(kReadBytes, '\0');
  auto& body = s.parser.get().body();
  while (!s.parser.is_done()) {
    body.data = out.data();
    body.size = out.size();
    body.more = true;
    PHASE_TRY(const bool wants_more, s.parse());
    const std::size_t count = kReadBytes - body.size;
    if (count > 0) {
      out.resize(count);
      return out;
    }
    if (s.parser.is_done() || !wants_more) {
      continue;
    }
    PHASE_TRY(const bool more, s.receive(until));
    if (!more) {
      boost::system::error_code error;
      s.parser.put_eof(error);
      if (error || !s.parser.is_done()) {
        return s.broke_off();
      }
    }
  }
  return std::string{};
}

Result<std::string> HttpConnection::read_all(Duration timeout, std::uint64_t bytes_max) {
  std::string out;
  while (true) {
    PHASE_TRY(const std::string piece, read_some(timeout));
    if (piece.empty()) {
      return out;
    }
    if (out.size() + piece.size() > bytes_max) {
      return fail(Code::too_large,
                  "the daemon's answer has more than " + std::to_string(bytes_max) + " bytes");
    }
    out += piece;
  }
}

}  // namespace phase::sdk
