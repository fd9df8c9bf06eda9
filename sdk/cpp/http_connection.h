// http_connection.h — one HTTP/1.1 request over the control socket, blocking, with deadlines and a
// way to interrupt it. Private to this folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace phase::sdk {

/// Makes everything that waits return. `raise` is safe in signal handlers.
class Interrupt {
 public:
  [[nodiscard]] static Result<std::shared_ptr<Interrupt>> make();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  void raise() noexcept;
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  explicit Interrupt(int descriptor) noexcept : descriptor_(descriptor) {}
  int descriptor_;
};

struct HttpRequest {
  std::string_view method = "GET";
  std::string target;
  std::string_view content_type;  ///< empty: no body
  ByteView body;
  std::string last_event_id;  ///< empty: none
};

/// Connects, sends, reads. Each request has a connection of its own.
class HttpConnection {
 public:
  /// Errors: Code::unavailable when nobody listens, Code::permission_denied, Code::cancelled.
  [[nodiscard]] static Result<HttpConnection> send(const std::filesystem::path& socket,
                                                   std::shared_ptr<Interrupt> interrupt,
                                                   const HttpRequest& request, Duration timeout);
  HttpConnection(HttpConnection&&) noexcept;
  HttpConnection& operator=(HttpConnection&&) noexcept;
  ~HttpConnection();

  /// Reads the head. Errors: Code::timed_out, connection_closed, protocol, cancelled.
  [[nodiscard]] Result<int> status(Duration timeout);
  /// The next piece of the body, unchunked; empty at its end. A connection that breaks before is
  /// Code::connection_closed.
  [[nodiscard]] Result<std::string> read_some(Duration timeout);
  /// The rest of the body. Errors: also Code::too_large.
  [[nodiscard]] Result<std::string> read_all(Duration timeout, std::uint64_t bytes_max);

 private:
  struct State;
  explicit HttpConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace phase::sdk
