#include <sys/stat.h>

#include "api/http/server.h"
#include "api/http/wire_fixture.h"
#include "base/temp_folder.h"

namespace phase::http {
namespace {

// ── Pure parts ──

TEST(HttpHost, KnowsLoopbackNamesOnly) {
  for (const char* good :
       {"localhost", "localhost:80", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:1"}) {
    EXPECT_TRUE(host_is_loopback(good)) << good;
  }
  for (const char* bad :
       {"", "example.org", "localhost.example.org", "localhost:", "127.0.0.1.example.org",
        "127.0.0.2", "localhost:80a", "localhost:123456", "::1", "LOCALHOST.evil"}) {
    EXPECT_FALSE(host_is_loopback(bad)) << bad;
  }
}

TEST(HttpQuery, DecodesAndRefuses) {
  const auto query = parse_query("a=1&b=x%20y+z&empty=&flag");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->at("a"), "1");
  EXPECT_EQ(query->at("b"), "x y z");
  EXPECT_EQ(query->at("empty"), "");
  EXPECT_EQ(query->at("flag"), "");
  EXPECT_FALSE(parse_query("a=1&a=2"));
  EXPECT_FALSE(parse_query("a=%4"));
  EXPECT_FALSE(parse_query("a=%zz"));
  std::string many;
  for (int i = 0; i < 17; ++i) {
    many += "n" + std::to_string(i) + "=&";
  }
  EXPECT_FALSE(parse_query(many));
}

Task<Reply> nothing(Request) {
  co_return Response{204, "", ""};
}

TEST(HttpRouter, FindsByMethodAndPath) {
  Router router;
  router.add({Method::get, "/v1/jobs", 0, nothing});
  router.add({Method::get, "/v1/jobs/{id}", 0, nothing});
  router.add({Method::post, "/v1/jobs/{id}/stdin", 1, nothing});
  const auto match = router.match(Method::post, "/v1/jobs/abc/stdin");
  ASSERT_TRUE(match);
  ASSERT_EQ(match->parameters.size(), 1U);
  EXPECT_EQ(match->parameters[0], "abc");
  EXPECT_TRUE(router.match(Method::get, "/v1/jobs"));
  EXPECT_EQ(router.match(Method::get, "/v1/jobs/abc/stdin").error().code, Code::unsupported);
  EXPECT_EQ(router.match(Method::get, "/v1/jobs/").error().code, Code::not_found);
  EXPECT_EQ(router.match(Method::get, "/v1/jobs/a/b/c").error().code, Code::not_found);
  EXPECT_EQ(router.match(Method::get, std::string(4000, '/')).error().code, Code::not_found);
}

TEST(HttpErrors, MakeATerminalSafeObject) {
  const Response response = error_response({Code::not_found, "no \"job\" \x1b[31m", "look"});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body,
            R"({"error":{"code":"not_found","message":"no \"job\" ?[31m","hint":"look"}})"
            "\n");
}

// ── Over sockets ──

class HttpServer : public testing::Test {
 protected:
  void SetUp() override { limits_.linger_max = 200ms; }
  void TearDown() override {
    loop_.run([this] { server_.reset(); });
    loop_.stop();
  }
  void start() {
    server_ = std::make_unique<Server>(loop_.executor(), routes(), limits_);
    const auto listening = server_->listen(UnixListen{socket(), ""});
    ASSERT_TRUE(listening) << listening.error().text();
    const auto port = server_->listen(TcpListen{"127.0.0.1", 0, "a token of good length"});
    ASSERT_TRUE(port) << port.error().text();
    port_ = *port;
    loop_.start();
  }
  std::filesystem::path socket() const { return folder_ / "run" / "api.sock"; }

  static Router routes() {
    Router router;
    router.add({Method::get, "/hello", 0,
                [](Request) -> Task<Reply> { co_return json_response(200, "{}"); }});
    router.add({Method::post, "/count", 100'000, [](Request request) -> Task<Reply> {
                  co_return json_response(200, std::to_string(request.body.size()));
                }});
    router.add({Method::get, "/who", 0, [](Request request) -> Task<Reply> {
                  Response out{200, "text/plain", "from " + request.client, {}};
                  out.headers = {{"Cache-Control", "max-age=60"}};
                  co_return out;
                }});
    router.add_header("X-Frame-Options", "DENY");
    router.add({Method::get, "/big", 0, [](Request) -> Task<Reply> {
                  co_return Response{200, "text/plain", std::string(3'000'000, 'x')};
                }});
    router.add({Method::get, "/throws", 0, [](Request) -> Task<Reply> {
                  throw std::runtime_error("oops");
                  co_return Response{};
                }});
    router.add({Method::get, "/events", 0, [](Request request) -> Task<Reply> {
                  co_return EventSource{
                      [after = request.last_event_id](EventSink& sink) -> Task<void> {
                        const std::uint64_t from = after.empty() ? 1 : std::stoull(after) + 1;
                        for (std::uint64_t id = from; id <= 3; ++id) {
                          if (!co_await sink.event(id, "count", std::to_string(id * 10))) {
                            co_return;
                          }
                        }
                      }};
                }});
    return router;
  }
  static std::string get(std::string_view path, std::string_view more = "Connection: close\r\n") {
    return "GET " + std::string{path} + " HTTP/1.1\r\nHost: localhost\r\n" + std::string{more} +
           "\r\n";
  }
  std::string talk(std::string_view text) const {
    const Wire wire(socket());
    wire.send(text);
    return wire.read();
  }

  Loop loop_;
  ServerLimits limits_;
  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

bool status_is(std::string_view reply, std::string_view code) {
  return reply.starts_with("HTTP/1.1 " + std::string{code} + " ");
}

TEST_F(HttpServer, TellsWhoAsksAndSaysItsHeadersInEveryReply) {
  start();
  const Wire tcp(port_);
  tcp.send(get("/who", "Authorization: Bearer a token of good length\r\nConnection: close\r\n"));
  const std::string reply = tcp.read();
  EXPECT_NE(reply.find("from 127.0.0.1"), std::string::npos) << reply;
  EXPECT_NE(reply.find("Cache-Control: max-age=60"), std::string::npos) << reply;
  EXPECT_EQ(reply.find("no-store"), std::string::npos) << reply;
  const std::string local = talk(get("/who"));
  EXPECT_TRUE(local.ends_with("from ")) << local;
  for (const std::string& other :
       {talk(get("/nothing")), talk(get("/events")), talk("nonsense\r\n\r\n")}) {
    EXPECT_NE(other.find("X-Frame-Options: DENY"), std::string::npos) << other;
    EXPECT_NE(other.find("Cache-Control: no-store"), std::string::npos) << other;
  }
}

TEST_F(HttpServer, AnswersSeveralRequestsOnOneConnection) {
  start();
  const Wire wire(socket());
  wire.send(get("/hello", ""));
  EXPECT_TRUE(status_is(wire.read("{}\n"), "200"));
  wire.send(get("/hello", "") + get("/hello"));  // and pipelined
  const std::string rest = wire.read();
  EXPECT_NE(rest.find("{}\n"), rest.rfind("{}\n"));
}

TEST_F(HttpServer, SendsLargeBodiesWhole) {
  start();
  const std::string reply = talk(get("/big"));
  EXPECT_EQ(reply.size() - reply.find("\r\n\r\n") - 4, 3'000'000U);
}

TEST_F(HttpServer, ReadsBodiesByLengthAndInChunks) {
  start();
  const std::string head = "POST /count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  EXPECT_NE(talk(head + "Content-Length: 70000\r\n\r\n" + std::string(70'000, 'a')).find("70000"),
            std::string::npos);
  EXPECT_NE(talk(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3\r\nxyz\r\n0\r\n\r\n")
                .find("\r\n\r\n8\n"),
            std::string::npos);
  const Wire asks(socket());
  asks.send(head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(status_is(asks.read("\r\n\r\n"), "100"));
  asks.send("ab");
  EXPECT_TRUE(status_is(asks.read(), "200"));
}

TEST_F(HttpServer, RefusesWhatIsTooLarge) {
  start();
  const std::string head = "POST /count HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_TRUE(status_is(talk(head + "Content-Length: 100001\r\n\r\n"), "413"));
  EXPECT_TRUE(status_is(talk(head + "Content-Length: 99999999999999999999999\r\n\r\n"), "400"));
  std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) {
    chunked += "2710\r\n" + std::string(10'000, 'a') + "\r\n";
  }
  EXPECT_TRUE(status_is(talk(chunked), "413"));
  EXPECT_TRUE(status_is(talk(get("/hello", "X: " + std::string(20'000, 'x') + "\r\n")), "413"));
  EXPECT_TRUE(status_is(
      talk("GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\na"), "413"))
      << "a route without a body takes none";
}

TEST_F(HttpServer, BoundsTheBytesOfAllUploadsTogether) {
  limits_.body_bytes_total_max = 100_KiB;  // room for one reading piece, not for two
  start();
  const std::string head = "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n";
  const Wire holder(socket());
  holder.send(head + "\r\n" + std::string(59'999, 'a'));
  std::string reply;
  // The holder is read at the server's leisure: ask until it is.
  for (int i = 0; i < 1000 && !status_is(reply, "503"); ++i) {
    reply = talk(head + "Connection: close\r\n\r\n" + std::string(60'000, 'b'));
  }
  EXPECT_TRUE(status_is(reply, "503")) << reply;
  holder.send("a");
  EXPECT_TRUE(status_is(holder.read("\r\n\r\n"), "200"));
}

TEST_F(HttpServer, GivesUpOnSlowClients) {
  limits_.header_timeout = 100ms;
  limits_.body_timeout = 100ms;
  limits_.idle_timeout = 100ms;
  start();
  EXPECT_EQ(talk("GET /hello HTTP/1.1\r\nHost: loc"), "") << "a head that does not end";
  EXPECT_EQ(talk(""), "") << "no request at all";
  EXPECT_EQ(talk("POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab"), "")
      << "a body that does not end";
  const std::string reply = talk(get("/hello", ""));  // keep-alive, then silence
  EXPECT_TRUE(status_is(reply, "200"));
  EXPECT_TRUE(status_is(talk(get("/hello")), "200")) << "others are served";
}

TEST_F(HttpServer, RefusesForeignHostsAndOrigins) {
  start();
  EXPECT_TRUE(status_is(talk("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "403"));
  EXPECT_TRUE(status_is(talk("GET /hello HTTP/1.1\r\n\r\n"), "403"));
  EXPECT_TRUE(
      status_is(talk("GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), "403"));
  EXPECT_TRUE(status_is(talk(get("/hello", "Origin: http://localhost\r\n")), "403"));
  EXPECT_TRUE(status_is(talk(get("/hello", "Origin: null\r\n")), "403"));
}

TEST_F(HttpServer, RefusesWhatIsNoRequest) {
  start();
  EXPECT_TRUE(status_is(talk("\x16\x03\x01\x02 hello this is not http\r\n\r\n"), "400"));
  EXPECT_TRUE(status_is(talk(get("http://localhost/hello")), "400"));
  EXPECT_TRUE(status_is(talk(get("/nowhere")), "404"));
  EXPECT_TRUE(status_is(talk("DELETE /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"), "501"));
  EXPECT_TRUE(status_is(talk(get("/hello?a=1&a=2")), "400"));
  EXPECT_TRUE(status_is(talk(get("/throws")), "500"));
}

TEST_F(HttpServer, WantsTheTokenOnTcp) {
  start();
  const auto ask = [this](std::string_view header) {
    const Wire wire(port_);
    wire.send(get("/hello", std::string{header} + "Connection: close\r\n"));
    return wire.read();
  };
  EXPECT_TRUE(status_is(ask(""), "401"));
  EXPECT_TRUE(status_is(ask("Authorization: Bearer wrong\r\n"), "401"));
  EXPECT_TRUE(status_is(ask("Authorization: Basic a token of good length\r\n"), "401"));
  EXPECT_TRUE(status_is(ask("Authorization: Bearer a token of good lengt\r\n"), "401"));
  EXPECT_TRUE(status_is(ask("Authorization: Bearer a token of good length\r\n"), "200"));
}

TEST_F(HttpServer, SendsOpenPathsWithoutTheToken) {
  AccessPolicy access;
  access.open_paths = {"/hello"};
  server_ = std::make_unique<Server>(loop_.executor(), routes(), limits_, access);
  const auto port = server_->listen(TcpListen{"127.0.0.1", 0, "a token of good length"});
  ASSERT_TRUE(port);
  loop_.start();
  const auto ask = [&port](std::string_view request) {
    const Wire wire(*port);
    wire.send(request);
    return wire.read();
  };
  const std::string_view close = "Connection: close\r\n";
  EXPECT_TRUE(status_is(ask(get("/hello", close)), "200"));
  EXPECT_TRUE(status_is(ask(get("/hello?a=1", close)), "200"));
  EXPECT_TRUE(status_is(ask(get("/hello/", close)), "401"));
  EXPECT_TRUE(status_is(ask(get("/large", close)), "401"));
  EXPECT_TRUE(status_is(ask("POST /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"), "401"));
  EXPECT_TRUE(status_is(ask("GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\n"), "403"));
}

TEST_F(HttpServer, ListensOnLoopbackWithAGoodTokenOnly) {
  Server server(loop_.executor(), routes(), limits_);
  EXPECT_EQ(server.listen(TcpListen{"0.0.0.0", 0, "a token of good length"}).error().code,
            Code::invalid_argument);
  EXPECT_EQ(server.listen(TcpListen{"127.0.0.1", 0, "short"}).error().code, Code::invalid_argument);
}

TEST_F(HttpServer, StreamsEventsInChunksFromTheLastOneSeen) {
  start();
  const std::string all = talk(get("/events"));
  EXPECT_NE(all.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(all.find("id: 1\nevent: count\ndata: 10\n\n"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n0\r\n\r\n")) << "an end that cannot be mistaken for a break";
  const std::string rest = talk(get("/events", "Last-Event-ID: 2\r\n"));
  EXPECT_EQ(rest.find("id: 2\n"), std::string::npos);
  EXPECT_NE(rest.find("id: 3\n"), std::string::npos);
  EXPECT_TRUE(
      status_is(talk(get("/events", "Last-Event-ID: " + std::string(65, '1') + "\r\n")), "400"));
}

TEST_F(HttpServer, TurnsConnectionsAwayAboveTheLimit) {
  limits_.connections_max = 2;
  start();
  const Wire one(socket());
  const Wire two(socket());
  one.send(get("/hello", ""));
  two.send(get("/hello", ""));
  ASSERT_TRUE(status_is(one.read("{}\n"), "200"));
  ASSERT_TRUE(status_is(two.read("{}\n"), "200"));
  EXPECT_TRUE(status_is(Wire(socket()).read(), "503"));
  two.send(get("/hello"));
  EXPECT_TRUE(status_is(two.read(), "200"));
  std::size_t left = 2;
  while (left != 1) {
    loop_.run([&] { left = server_->connections(); });
  }
  EXPECT_TRUE(status_is(talk(get("/hello")), "200")) << "a place is free again";
}

TEST_F(HttpServer, MakesItsSocketForTheGroupOnly) {
  const mode_t before = ::umask(0);
  start();
  ::umask(before);
  struct stat facts{};
  ASSERT_EQ(::stat(socket().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0660U);
  ASSERT_EQ(::stat(socket().parent_path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
}

TEST_F(HttpServer, ReplacesAStaleSocketAndNothingElse) {
  std::filesystem::create_directory(folder_ / "run");
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", socket().c_str());
  ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(stale);
  start();
  EXPECT_TRUE(status_is(talk(get("/hello")), "200"));

  Server second(loop_.executor(), routes(), limits_);
  const auto taken = second.listen(UnixListen{socket(), ""});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::already_exists);
  std::fclose(std::fopen((folder_ / "letter").c_str(), "w"));
  EXPECT_EQ(second.listen(UnixListen{folder_ / "letter", ""}).error().code, Code::already_exists);
  EXPECT_EQ(second.listen(UnixListen{folder_ / std::string(120, 'x'), ""}).error().code,
            Code::invalid_argument);
  EXPECT_EQ(second.listen(UnixListen{folder_ / "other", "no such group"}).error().code,
            Code::invalid_argument);
}

}  // namespace
}  // namespace phase::http
