// face_fixture.h — for tests of the faces: a server on loopback over a ReversingNode.
#pragma once

#include "api/faces/face.h"
#include "api/faces/json_text.h"
#include "api/faces/reversing_node.h"
#include "api/http/server.h"
#include "api/http/wire_fixture.h"

namespace phase::faces {

/// Always the same moment: 2026-01-02T03:04:05.678Z.
class StillClock final : public Clock {
 public:
  UtcTime now_utc() const override { return {1'767'323'045'678}; }
  Instant now() const override { return {}; }
  Task<Result<void>> sleep_until(Instant) override { co_return Result<void>{}; }
};
inline constexpr std::string_view kNow = "2026-01-02T03:04:05.678000000Z";

/// A reply taken apart.
struct Reply {
  int status = 0;
  std::string head, body;  ///< the body without its chunks' sizes

  bool has(std::string_view field) const {
    return head.find("\r\n" + std::string{field} + "\r\n") != std::string::npos;
  }
  json::value parsed() const {
    const auto value = parse_json(body);
    EXPECT_TRUE(value) << body;
    return value ? *value : json::value{};
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (std::size_t at = 0, end = 0; at < body.size(); at = end + 1) {
      end = std::min(body.find('\n', at), body.size());
      out.push_back(body.substr(at, end - at));
    }
    return out;
  }
};

inline Reply take_apart(std::string_view text) {
  Reply out;
  const std::size_t end = std::min(text.find("\r\n\r\n"), text.size());
  out.head = std::string{text.substr(0, end)} + "\r\n";
  out.status = text.size() > 12 ? std::stoi(std::string{text.substr(9, 3)}) : 0;
  std::string_view rest = text.substr(std::min(end + 4, text.size()));
  if (out.head.find("chunked") == std::string::npos) {
    out.body = rest;
    return out;
  }
  while (!rest.empty()) {
    const std::size_t size =
        std::stoul(std::string{rest.substr(0, rest.find("\r\n"))}, nullptr, 16);
    rest.remove_prefix(rest.find("\r\n") + 2);
    out.body.append(rest.substr(0, size));
    rest.remove_prefix(std::min(size + 2, rest.size()));
  }
  EXPECT_TRUE(text.ends_with("0\r\n\r\n")) << "the stream was cut off";
  return out;
}

/// `add` puts the routes of a face on the router.
class FaceServer {
 public:
  explicit FaceServer(const std::function<void(http::Router&, FaceRef)>& add)
      : node(loop.executor()), face(std::make_shared<Face>(Face{node, clock_, random_})) {
    http::Router router(request_headers());
    add(router, face);
    server_ = std::make_unique<http::Server>(loop.executor(), std::move(router),
                                             http::ServerLimits{}, access_policy({}, {}));
    http::TcpListen where;
    where.token_optional = true;
    port = server_->listen(where).value();
    loop.start();
  }
  ~FaceServer() {
    loop.run([this] {
      face->closed = true;
      server_.reset();
    });
    loop.stop();
  }
  FaceServer(const FaceServer&) = delete;
  FaceServer& operator=(const FaceServer&) = delete;

  Reply send(std::string_view line, std::string_view body = "", std::string_view more = "") const {
    const http::Wire wire(port);
    wire.send(request(line, body, std::string{more} + "Connection: close\r\n"));
    return take_apart(wire.read());
  }
  Reply get(std::string_view path, std::string_view more = "") const {
    return send("GET " + std::string{path}, "", more);
  }
  Reply post(std::string_view path, std::string_view body, std::string_view more = "") const {
    return send("POST " + std::string{path}, body, more);
  }
  static std::string request(std::string_view line, std::string_view body, std::string_view more) {
    return std::string{line} + " HTTP/1.1\r\nHost: localhost\r\n" + std::string{more} +
           (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") +
           "\r\n" + std::string{body};
  }
  template <typename Condition>
  void until(Condition condition) {
    bool yes = false;
    while (!yes) {
      loop.run([&] { yes = condition(); });
    }
  }

  http::Loop loop;
  ReversingNode node;
  FaceRef face;
  std::uint16_t port = 0;

 private:
  StillClock clock_;
  SystemRandom random_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace phase::faces
