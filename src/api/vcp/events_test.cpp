// Goal: who watches sees what happens to what is theirs, from where they left off, and no more.
#include "api/vcp/api_fixture.h"

namespace phase::vcp::api {
namespace {

class ApiEvents : public ApiTest {
 protected:
  struct Open {
    http::Wire wire;
    std::string begun;  ///< of its events, what came with the head
    [[nodiscard]] std::string read(std::string_view end = "\x01never") const {
      return begun.find(end) != std::string::npos ? begun : begun + wire.read(end);
    }
  };
  /// An open stream, its head read.
  [[nodiscard]] Open watch(const std::string& path, const std::string& more) const {
    http::Wire wire(port_);
    wire.send(request("GET", path, {}, more));
    const std::string head = wire.read("\r\n\r\n");
    EXPECT_NE(head.find("200 OK"), std::string::npos) << head;
    EXPECT_NE(head.find("text/event-stream"), std::string::npos) << head;
    EXPECT_NE(head.find("X-Frame-Options: DENY"), std::string::npos) << head;
    return {std::move(wire), head.substr(std::min(head.find("\r\n\r\n") + 4, head.size()))};
  }
  [[nodiscard]] std::string submit(const std::string& who) const {
    const Got got = ask("POST", "/api/v1/tasks", kTask, who);
    EXPECT_EQ(got.status, 201) << got.body;
    return got.text("task_id");
  }
};

TEST_F(ApiEvents, ATaskIsFollowedToItsEnd) {
  start();
  const std::string ada = sign_up("ada");
  const std::string id = submit(ada), other = submit(ada);
  const Open wire = watch("/api/v1/tasks/" + id + "/events", ada);
  loop_.run([&] {
    fleet_.add_output(id, R"({"stream":"stdout","text":"hello"})");
    fleet_.add_output(other, R"({"text":"of another task"})");
    fleet_.finish(id, "{}");
  });
  const std::string all = wire.read();  // the server ends it
  EXPECT_NE(all.find("event: output\ndata: {\"stream\":\"stdout\",\"text\":\"hello\"}"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find(R"(data: {"status":"completed"})"), std::string::npos) << all;
  EXPECT_EQ(all.find("of another task"), std::string::npos);
}

TEST_F(ApiEvents, AStreamGoesOnAfterTheLastEventSeen) {
  start();
  const std::string ada = sign_up("ada");
  const std::string id = submit(ada);
  loop_.run([&] {
    for (int i = 0; i < 3; ++i) {
      fleet_.add_output(id, std::to_string(i));
    }
    fleet_.finish(id, "{}");
  });
  const Open wire = watch("/api/v1/tasks/" + id + "/events", ada + "Last-Event-ID: 3\r\n");
  const std::string all = wire.read();
  EXPECT_EQ(all.find("id: 3\n"), std::string::npos) << all;
  EXPECT_NE(all.find("id: 4\n"), std::string::npos) << all;
  const Open restarted = watch("/api/v1/tasks/" + id + "/events", ada + "Last-Event-ID: 4000\r\n");
  EXPECT_NE(restarted.read().find("id: 1\n"), std::string::npos) << "numbers of an earlier process";
  EXPECT_EQ(get("/api/v1/tasks/" + id + "/events", ada + "Last-Event-ID: x\r\n").status, 422);
}

TEST_F(ApiEvents, NobodySeesWhatIsAnothers) {
  start();
  const std::string ada = sign_up("ada"), bob = sign_up("bob_");
  const std::string id = submit(ada);
  EXPECT_EQ(get("/api/v1/tasks/" + id + "/events", bob).status, 404);
  const Open wire = watch("/api/v1/events", bob);
  loop_.run([&] { fleet_.add_output(id, R"("a secret of ada")"); });
  EXPECT_EQ(ask("POST", "/api/v1/nodes", kNode, ada).status, 201);
  const std::string all = wire.read("n-1");
  EXPECT_NE(all.find("event: node"), std::string::npos) << all;
  EXPECT_EQ(all.find("secret"), std::string::npos) << all;
}

TEST_F(ApiEvents, StreamsAreCountedAndTheirPlacesComeBack) {
  options_.event_streams_max = 1;
  start();
  const std::string ada = sign_up("ada");
  {
    const Open wire = watch("/api/v1/events", ada);
    const Got full = get("/api/v1/events", ada);
    EXPECT_EQ(full.status, 503);
    EXPECT_TRUE(full.has("Retry-After: "));
  }
  // The place is free once the server saw that the client left.
  int status = 503;
  for (int i = 0; i < 2'000 && status == 503; ++i) {
    const http::Wire wire(port_);
    wire.send(request("GET", "/api/v1/events", {}, ada));
    status = wire.read("\r\n\r\n").find("200 OK") != std::string::npos ? 200 : 503;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(ApiEvents, DrainingEndsStreams) {
  start();
  const Open wire = watch("/api/v1/events", sign_up("ada"));
  loop_.run([this] { server_->drain(); });
  EXPECT_EQ(wire.read(), "0\r\n\r\n") << "a whole end";
}

}  // namespace
}  // namespace phase::vcp::api
