// Streams, watched clients, bodies in pieces, methods, and who may come: over real sockets.
#include <atomic>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/http/server.h"
#include "api/http/wire_fixture.h"

namespace phase::http {
namespace {

TEST(HttpAccess, FitsPatterns) {
  EXPECT_TRUE(fits("*", ""));
  EXPECT_TRUE(fits("a*c", "abbc"));
  EXPECT_TRUE(fits("a*b*c", "aXbYbc"));
  EXPECT_TRUE(fits("APP://*", "app://x"));
  EXPECT_FALSE(fits("a*c", "abd"));
  EXPECT_FALSE(fits("", "a"));
}

TEST(HttpAccess, LetsInWhatIsLocal) {
  const AccessPolicy policy = local_programs({"lucid.example.org"}, {"https://chat.example.org"});
  for (const char* host :
       {"localhost:11434", "127.0.0.1", "127.9.9.9:1", "10.1.2.3:11434", "172.31.0.1",
        "[fd00::1]:80", "192.168.0.7", "0.0.0.0:11434", "host.docker.internal:11434", "box.local",
        "a.localhost", "lucid.example.org:443", "LUCID.example.org"}) {
    EXPECT_TRUE(policy.host_allowed(host)) << host;
  }
  for (const char* host : {"", "evil.example", "8.8.8.8", "172.32.0.1", "[2001:db8::1]",
                           "localhost:x", "lucid.example.org.evil", "127.0.0.1.evil", "internal"}) {
    EXPECT_FALSE(policy.host_allowed(host)) << host;
  }
  for (const char* origin : {"http://localhost:3000", "https://127.0.0.1", "app://obsidian.md",
                             "https://chat.example.org", "http://192.168.0.7:11434"}) {
    EXPECT_TRUE(policy.origin_allowed(origin, "192.168.0.7:11434")) << origin;
  }
  for (const char* origin : {"", "null", "http://evil.example", "http://192.168.0.8:11434",
                             "https://localhost.evil.example", "https://chat.example.org.evil"}) {
    EXPECT_FALSE(policy.origin_allowed(origin, "192.168.0.7:11434")) << origin;
  }
  EXPECT_FALSE(AccessPolicy{}.origin_allowed("http://localhost", "localhost"));
  EXPECT_FALSE(AccessPolicy{}.host_allowed("10.1.2.3"));
}

/// Says when it is destroyed: what an answer on its way stands for.
struct Held {
  explicit Held(std::atomic<int>& gone) : gone_(gone) {}
  ~Held() { ++gone_; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  std::atomic<int>& gone_;
};

Task<void> wait_for_ever() {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(24));
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

class HttpStream : public testing::Test {
 protected:
  void TearDown() override {
    loop_.run([this] { server_.reset(); });
    loop_.stop();
  }
  void start(AccessPolicy access = {}) {
    server_ = std::make_unique<Server>(loop_.executor(), routes(), limits_, std::move(access));
    TcpListen where;
    where.token_optional = true;
    const auto port = server_->listen(where);
    ASSERT_TRUE(port) << port.error().text();
    port_ = *port;
    loop_.start();
  }

  Router routes() {
    Router router({"content-type", "x-lucid-local-only"});
    router.add_error_face("/other", [](const Error&, std::string_view) {
      return Response{418, "text/plain", "the other face"};
    });
    router.add_error_face("/nowh", [](const Error& error, std::string_view path) {
      return Response{code_http_status(error.code), "text/plain",
                      std::string{path} + ": " + error.message};
    });
    router.add_error_face("", [](const Error& error, std::string_view path) {
      const int status = error.code == Code::unsupported ? 405 : code_http_status(error.code);
      return Response{status, "text/plain", std::string{path} + ": " + error.message};
    });
    router.add({Method::get, "/lines", 0, [](Request) -> Task<Reply> {
                  Stream stream;
                  stream.content_type = "application/x-ndjson";
                  stream.headers = {{"X-Kind", "lines\r\nInjected: yes"}};
                  stream.source = [](ByteSink& sink) -> Task<void> {
                    static_cast<void>(co_await sink.write("{\"a\":1}\n"));
                    static_cast<void>(co_await sink.write("{\"b\":2}\n"));
                    static_cast<void>(co_await sink.finish("{\"done\":true}\n"));
                    static_cast<void>(co_await sink.write("too late\n"));
                  };
                  co_return stream;
                }});
    router.add({Method::get, "/breaks", 0, [](Request) -> Task<Reply> {
                  Stream stream;
                  stream.content_type = "text/plain";
                  stream.source = [](ByteSink& sink) -> Task<void> {
                    static_cast<void>(co_await sink.write("some"));
                    throw std::runtime_error("oops");
                  };
                  co_return stream;
                }});
    add_waiting(router);
    router.add({Method::post, "/upload", 1ULL << 40,
                [](Request request) -> Task<Reply> { return count_upload(std::move(request)); },
                true});
    router.add({Method::post, "/unread", 1ULL << 40,
                [](Request) -> Task<Reply> { co_return Response{409, "text/plain", "not wanted"}; },
                true});
    router.add({Method::remove, "/thing/{rest...}", 1'000, [](Request request) -> Task<Reply> {
                  const auto decoded = decode_path(request.parameters[0]);
                  std::string text = decoded ? *decoded : "bad";
                  for (const auto& [name, value] : request.headers) {
                    text += "|" + name + "=" + value;
                  }
                  co_return Response{200, "text/plain", text};
                }});
    router.add({Method::put, "/thing/{rest...}", 1'000,
                [](Request) -> Task<Reply> { co_return Response{204, "", ""}; }});
    return router;
  }
  void add_waiting(Router& router) {
    const auto waits = [this](Request) -> Task<Reply> {
      Held held(destroyed_);
      ++waiting_;
      co_await wait_for_ever();
      co_return Response{200, "text/plain", "never"};
    };
    router.add({Method::get, "/waits", 0, waits, false, true});
    router.add({Method::get, "/stalls", 0,
                [this](Request) -> Task<Reply> {
                  Stream stream;
                  stream.content_type = "text/plain";
                  stream.source = [this](ByteSink& sink) -> Task<void> {
                    Held held(destroyed_);
                    static_cast<void>(co_await sink.write("first"));
                    ++waiting_;
                    co_await wait_for_ever();
                  };
                  co_return stream;
                },
                false, true});
    router.add({Method::get, "/floods", 0,
                [this](Request) -> Task<Reply> {
                  Stream stream;
                  stream.content_type = "text/plain";
                  stream.source = [this](ByteSink& sink) -> Task<void> {
                    Held held(destroyed_);
                    const std::string piece(64_KiB, 'x');
                    bool more = true;
                    while (more) {
                      const auto written = co_await sink.write(piece);
                      more = written.has_value();
                      flooded_ += more ? piece.size() : 0;
                    }
                  };
                  co_return stream;
                },
                false, true});
  }
  static Task<Reply> count_upload(Request request) {
    std::uint64_t total = 0;
    std::size_t largest = 0;
    bool more = true;
    while (more) {
      const auto piece = co_await request.upload->read();
      if (!piece) {
        co_return error_response(piece.error());
      }
      more = !piece->empty();
      total += piece->size();
      largest = std::max(largest, piece->size());
    }
    co_return Response{200, "text/plain",
                       std::to_string(total) + (largest <= 64_KiB ? " in pieces" : " at once")};
  }

  std::string talk(std::string_view text) const {
    const Wire wire(port_);
    wire.send(text);
    return wire.read();
  }
  static std::string head(std::string_view line, std::string_view more = "") {
    return std::string{line} + " HTTP/1.1\r\nHost: localhost\r\n" + std::string{more} + "\r\n";
  }
  template <typename Condition>
  void until(Condition condition) {
    bool yes = false;
    while (!yes) {
      loop_.run([&] { yes = condition(); });
    }
  }

  Loop loop_;
  ServerLimits limits_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  std::atomic<int> destroyed_ = 0;
  std::atomic<int> waiting_ = 0;
  std::atomic<std::size_t> flooded_ = 0;
};

constexpr std::string_view kClose = "Connection: close\r\n";

TEST_F(HttpStream, WritesEachPieceAsOneChunkAndGoesOn) {
  start();
  const Wire wire(port_);
  for (int i = 0; i < 3; ++i) {
    wire.send(head("GET /lines"));
    const std::string reply = wire.read("\r\n0\r\n\r\n");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_NE(reply.find("Content-Type: application/x-ndjson\r\n"), std::string::npos);
    EXPECT_NE(reply.find("Connection: keep-alive\r\n"), std::string::npos);
    EXPECT_NE(reply.find("X-Kind: lines  Injected: yes\r\n"), std::string::npos)
        << "a value cannot begin another field";
    EXPECT_TRUE(
        reply.ends_with("\r\n\r\n8\r\n{\"a\":1}\n\r\n8\r\n{\"b\":2}\n\r\n"
                        "e\r\n{\"done\":true}\n\r\n0\r\n\r\n"))
        << reply;
  }
}

TEST_F(HttpStream, ServesOldClientsAndHeads) {
  start();
  const std::string old = talk("GET /lines HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(old.ends_with("\r\n\r\n{\"a\":1}\n{\"b\":2}\n{\"done\":true}\n")) << old;
  EXPECT_EQ(old.find("chunked"), std::string::npos);
  const std::string only_head = talk(head("HEAD /lines", kClose));
  EXPECT_TRUE(only_head.starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(only_head.ends_with("\r\n\r\n"));
  EXPECT_EQ(only_head.find("{"), std::string::npos);
}

TEST_F(HttpStream, ABrokenStreamCannotLookFinished) {
  start();
  const std::string reply = talk(head("GET /breaks"));
  EXPECT_TRUE(reply.ends_with("4\r\nsome\r\n")) << reply;
}

TEST_F(HttpStream, CancelsTheWorkOfAClientThatLeaves) {
  start();
  for (const char* path : {"GET /waits", "GET /stalls"}) {
    const int before = waiting_;
    Wire wire(port_);
    wire.send(head(path));
    until([&] { return waiting_ == before + 1; });
    EXPECT_EQ(destroyed_, before);
    wire.leave();
    until([&] { return destroyed_ == before + 1; });
  }
  until([&] { return server_->connections() == 0; });
}

TEST_F(HttpStream, KeepsWhatAWatchedClientSendsAhead) {
  start();
  Wire wire(port_);
  wire.send(head("GET /lines") + head("GET /lines") + head("GET /stalls"));
  EXPECT_TRUE(wire.read("first\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
  until([&] { return waiting_ == 1; });
  wire.send(std::string(200'000, 'x'));  // more than is taken ahead: must not grow, nor hang
  EXPECT_EQ(destroyed_, 0);
  loop_.run([&] { server_.reset(); });
  until([&] { return destroyed_ == 1; });
}

TEST_F(HttpStream, WaitsForASlowClient) {
  limits_.write_timeout = 100ms;
  start();
  const Wire wire(port_);
  wire.send(head("GET /floods"));
  until([&] { return destroyed_ == 1; });  // gives up after write_timeout
  EXPECT_LT(flooded_, 64_MiB) << "back-pressure: no more than the socket's buffers";
}

TEST_F(HttpStream, TakesLargeBodiesInPieces) {
  limits_.body_bytes_total_max = 1_MiB;  // not for these
  start();
  const Wire wire(port_);
  const std::string part(1'000'000, 'b');
  wire.send(head("POST /upload", "Content-Length: 32000000\r\n"));
  for (int i = 0; i < 32; ++i) {
    wire.send(part);
  }
  EXPECT_TRUE(wire.read("pieces").ends_with("32000000 in pieces"));
  wire.send(head("POST /upload", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"));
  EXPECT_TRUE(wire.read("\r\n\r\n").starts_with("HTTP/1.1 100 "));
  wire.send("5\r\nabcde\r\n3\r\nxyz\r\n0\r\n\r\n");
  EXPECT_TRUE(wire.read("pieces").ends_with("8 in pieces"));
  wire.send(head("POST /upload", "Content-Length: 0\r\n"));
  EXPECT_TRUE(wire.read("pieces").ends_with("0 in pieces"));
  const std::string refused =
      talk(head("POST /unread", "Content-Length: 100000\r\n") + std::string(100'000, 'c'));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 409 ")) << refused;
  EXPECT_NE(refused.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(
      talk(head("POST /upload", "Content-Length: 2000000000000\r\n")).starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpStream, KnowsMethodsAndHeaders) {
  start();
  const std::string removed = talk(head("DELETE /thing/a/b%3Ac",
                                        "X-Lucid-Local-Only: yes\r\nX-Other: 1\r\n"
                                        "Content-Type: text/x\r\nConnection: close\r\n"));
  EXPECT_TRUE(removed.ends_with("a/b:c|content-type=text/x|x-lucid-local-only=yes")) << removed;
  EXPECT_TRUE(talk(head("PUT /thing/a", kClose)).starts_with("HTTP/1.1 204 "));
  const std::string wrong = talk(head("POST /thing/a"));
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 405 ")) << wrong;
  EXPECT_NE(wrong.find("Allow: DELETE, PUT\r\n"), std::string::npos) << wrong;
  EXPECT_TRUE(talk(head("BREW /thing/a")).starts_with("HTTP/1.1 405 "));
  const std::string nowhere = talk(head("GET /nowhere"));
  EXPECT_TRUE(nowhere.starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(nowhere.ends_with("/nowhere: no such path: /nowhere")) << "in the face's own words";
  EXPECT_TRUE(talk(head("DELETE /thing/a", "Content-Type: " + std::string(5'000, 'x') + "\r\n"))
                  .starts_with("HTTP/1.1 400 "));
}

TEST_F(HttpStream, AnswersPagesThatAreAllowedOnly) {
  AccessPolicy access = local_programs({}, {"https://chat.example.org"});
  access.exposed_headers = "X-Kind";
  start(std::move(access));
  const std::string page = "Origin: https://chat.example.org\r\n";
  const std::string reply = talk(head("GET /lines", page + std::string{kClose}));
  EXPECT_NE(reply.find("Access-Control-Allow-Origin: https://chat.example.org\r\nVary: Origin\r\n"
                       "Access-Control-Expose-Headers: X-Kind\r\n"),
            std::string::npos)
      << reply;
  const std::string asked =
      talk(head("OPTIONS /thing/a", page +
                                        "Access-Control-Request-Method: DELETE\r\n"
                                        "Access-Control-Request-Headers: content-type\r\n" +
                                        std::string{kClose}));
  EXPECT_TRUE(asked.starts_with("HTTP/1.1 204 ")) << asked;
  EXPECT_NE(asked.find("Access-Control-Allow-Headers: content-type\r\n"), std::string::npos);
  EXPECT_TRUE(talk(head("OPTIONS /lines", page)).starts_with("HTTP/1.1 405 "));
  const std::string foreign = talk(head("GET /lines", "Origin: https://evil.example\r\n"));
  EXPECT_TRUE(foreign.starts_with("HTTP/1.1 403 "));
  EXPECT_EQ(foreign.find("Access-Control"), std::string::npos);
  EXPECT_TRUE(
      talk("GET /lines HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 403 "));
}

TEST_F(HttpStream, DrainsAfterTheAnswersOnTheirWay) {
  start();
  const Wire idle(port_);
  const Wire busy(port_);
  idle.send(head("GET /lines"));
  ASSERT_NE(idle.read("\r\n0\r\n\r\n"), "");
  busy.send(head("GET /stalls"));
  until([&] { return waiting_ == 1; });
  loop_.run([&] { server_->drain(); });
  EXPECT_EQ(idle.read(), "") << "closed: it waited for a request";
  until([&] { return server_->connections() == 1; });
}

TEST_F(HttpStream, NeedsNoTokenWhereItIsOptional) {
  start();
  TcpListen where;
  where.token_optional = true;
  where.tokens = {"one token of good length", "another of good length"};
  Result<std::uint16_t> port = fail(Code::internal, "");
  loop_.run([&] { port = server_->listen(where); });
  ASSERT_TRUE(port);
  const auto ask = [&](std::string_view token) {
    const Wire wire(*port);
    wire.send(head("PUT /thing/a", std::string{token} + std::string{kClose}));
    return wire.read().substr(0, 12);
  };
  EXPECT_EQ(ask(""), "HTTP/1.1 401") << "given tokens are needed";
  EXPECT_EQ(ask("Authorization: Bearer another of good length\r\n"), "HTTP/1.1 204");
  where.address = "192.0.2.1";
  loop_.run([&] { port = server_->listen(where); });
  EXPECT_EQ(port.error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace phase::http
