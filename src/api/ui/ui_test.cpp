#include "api/ui/ui.h"

#include <gtest/gtest.h>

#include "api/faces/face_fixture.h"
#include "api/ui/assets_internal.h"

namespace phase::ui {
namespace {

identity::PeerId peer_of(std::uint8_t seed) {
  identity::PublicKey key;
  key.value.fill(seed);
  return identity::PeerId::from(key);
}

/// A node that says what it is told to.
class ToldNode final : public lucid::NodeView {
 public:
  ToldNode() {
    now.agent = "lucidd/9";
    now.worker = "llama-cpp";
    policy.authorized_submitters = {peer_of(7).key()};
  }
  lucid::NodeStatus status() const override { return now; }
  const lucid::OperatorPolicy& rules() const override { return policy; }
  std::string rules_file() const override { return "/somewhere/policy.toml"; }
  void pause(bool paused) override {
    now.manual_pause = paused;
    now.paused = paused ? std::optional<std::string>("manual pause") : std::nullopt;
  }
  std::vector<lucid::WorkEntry> work() const override { return done; }
  Task<std::vector<lucid::PeerView>> peers() override { co_return known; }

  lucid::NodeStatus now{.id = peer_of(1)};
  lucid::OperatorPolicy policy;
  std::vector<lucid::PeerView> known;
  std::vector<lucid::WorkEntry> done;
};

class Ui : public ::testing::Test {
 protected:
  static faces::json::object object(const faces::Reply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.parsed().as_object();
  }
  ToldNode node_;
  faces::FaceServer server_{[this](http::Router& router, faces::FaceRef face) {
    add_routes(router, std::move(face), node_);
  }};
};

TEST_F(Ui, SendsItsFilesUnderAStrictPolicy) {
  for (const std::string& path : open_paths()) {
    const faces::Reply reply = server_.get(path);
    EXPECT_EQ(reply.status, 200) << path;
    const std::size_t at = reply.head.find("Content-Security-Policy: default-src 'none';");
    EXPECT_NE(at, std::string::npos) << path << reply.head;
    EXPECT_EQ(reply.head.find("unsafe"), std::string::npos);
    EXPECT_TRUE(reply.has("X-Content-Type-Options: nosniff"));
    EXPECT_TRUE(reply.has("X-Frame-Options: DENY"));
    EXPECT_FALSE(reply.body.empty());
  }
  EXPECT_TRUE(server_.get("/ui").has("Content-Type: text/html; charset=utf-8"));
  EXPECT_TRUE(server_.get("/ui/app.js").has("Content-Type: text/javascript; charset=utf-8"));
  EXPECT_EQ(server_.get("/ui/nothing.js").status, 404);
  EXPECT_EQ(server_.get("/ui/..%2fui.cpp").status, 404);
}

// A browser test sees what runs; this sees what could.
TEST_F(Ui, HasNoFileThatTakesMarkupOrComesFromElsewhere) {
  for (const http::Asset& asset : assets()) {
    for (const std::string_view bad :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
          "https://", "style=", " onclick=", "localStorage", "sessionStorage", "document.cookie"}) {
      EXPECT_EQ(asset.bytes.find(bad), std::string_view::npos) << asset.name << " has " << bad;
    }
    const std::size_t address = asset.bytes.find("http://");
    const bool icon = asset.name == "icon.svg";  // the name of a namespace, never fetched
    EXPECT_EQ(address == std::string_view::npos, !icon) << asset.name;
  }
}

TEST_F(Ui, TellsTheStatus) {
  server_.loop.run([this] {
    node_.now.mesh_models = {"tiny*"};
    node_.now.machine.temperature_c = 41.5;
    node_.now.jobs_of_others = 2;
  });
  const auto status = object(server_.get("/api/lucid/status"));
  EXPECT_EQ(status.at("peer_id").as_string(), peer_of(1).text());
  EXPECT_EQ(status.at("worker").as_string(), "llama-cpp");
  EXPECT_TRUE(status.at("mesh").at("on").as_bool());
  EXPECT_EQ(status.at("mesh").at("models").at(0).as_string(), "tiny*");
  EXPECT_TRUE(status.at("paused").is_null());
  EXPECT_EQ(status.at("machine").at("temperature_c").as_double(), 41.5);
  EXPECT_EQ(status.at("jobs").at("others").to_number<int>(), 2);
}

TEST_F(Ui, TellsPeersAndMakesTheirTextsHarmless) {
  server_.loop.run([this] {
    lucid::PeerView peer{peer_of(2), true, 1500us, {"/ip4/10.0.0.1/tcp/4001"}, {}};
    peer.offer = {"evil\x1b[2J", "x86_64", "llama.cpp", {"tiny:latest"}, 1, 4, true};
    node_.known = {peer, {peer_of(3), false, {}, {}, {}}};
  });
  const auto peers = object(server_.get("/api/lucid/peers"));
  const auto& near = peers.at("peers").at(0);
  EXPECT_EQ(near.at("rtt_us").to_number<int>(), 1500);
  EXPECT_EQ(near.at("offer").at("models").at(0).as_string(), "tiny:latest");
  EXPECT_EQ(near.at("offer").at("agent").as_string().find('\x1b'), faces::json::string::npos);
  EXPECT_TRUE(peers.at("peers").at(1).at("rtt_us").is_null());
  EXPECT_TRUE(peers.at("peers").at(1).at("offer").is_null());
}

TEST_F(Ui, TellsWhatRanForWhom) {
  server_.loop.run([this] {
    lucid::WorkEntry served;
    served.job_id = "ab01";
    served.for_others = true;
    served.peer = peer_of(2).text();
    served.model = "evil\x1b[2J";
    served.answer_bytes = 17;
    served.verdict = "signed here";
    served.has_receipt = true;
    lucid::WorkEntry asked;
    asked.job_id = "cd02";
    asked.peer = peer_of(3).text();
    asked.ended = UtcTime{4000};
    asked.answer_tokens = 9;
    asked.completion = "connection_closed: it went away";
    asked.verdict = "none";
    node_.done = {served, asked};
  });
  const auto told = object(server_.get("/api/lucid/jobs"));
  const auto& served = told.at("jobs").at(0);
  EXPECT_EQ(served.at("for").as_string(), "others");
  EXPECT_EQ(served.at("peer_id").as_string(), peer_of(2).text());
  EXPECT_EQ(served.at("model").as_string().find('\x1b'), faces::json::string::npos);
  EXPECT_EQ(served.at("receipt").as_string(), "/api/receipts/ab01");
  EXPECT_TRUE(served.at("answer_tokens").is_null());
  const auto& asked = told.at("jobs").at(1);
  EXPECT_EQ(asked.at("for").as_string(), "this node");
  EXPECT_EQ(asked.at("answer_tokens").to_number<int>(), 9);
  EXPECT_EQ(asked.at("ended_unix_ms").to_number<int>(), 4000);
  EXPECT_TRUE(asked.at("receipt").is_null());
}

TEST_F(Ui, TellsTheRules) {
  const auto rules = object(server_.get("/api/lucid/policy"));
  EXPECT_EQ(rules.at("file").as_string(), "/somewhere/policy.toml");
  EXPECT_EQ(rules.at("authorized_submitters").at(0).as_string(), peer_of(7).text());
  EXPECT_EQ(rules.at("auto_pause_on_thermal_threshold_c").as_double(), 75);
  EXPECT_TRUE(rules.at("time_of_day_window").is_null());
  EXPECT_EQ(rules.at("max_tokens_ceiling").to_number<int>(), 8192);
}

TEST_F(Ui, PausesAndResumes) {
  const auto paused = object(server_.post("/api/lucid/pause", R"({"paused":true})"));
  EXPECT_EQ(paused.at("paused").as_string(), "manual pause");
  EXPECT_TRUE(object(server_.get("/api/lucid/status")).at("manual_pause").as_bool());
  const auto resumed = object(server_.post("/api/lucid/pause", R"({"paused":false})"));
  EXPECT_TRUE(resumed.at("paused").is_null());
  for (const std::string_view bad : {"", "{}", "true", R"({"paused":1})", R"({"paused":"true"})",
                                     R"({"paused":true,"for":3})", R"({"paused":true)"}) {
    EXPECT_EQ(server_.post("/api/lucid/pause", bad).status, 400) << bad;
  }
  EXPECT_EQ(server_.post("/api/lucid/pause", std::string(2000, ' ')).status, 413);
  EXPECT_FALSE(object(server_.get("/api/lucid/status")).at("manual_pause").as_bool());
}

TEST_F(Ui, RefusesOtherPagesAndNames) {
  const std::string_view body = R"({"paused":true})";
  EXPECT_EQ(server_.post("/api/lucid/pause", body, "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(server_.post("/api/lucid/pause", body, "Origin: null\r\n").status, 403);
  EXPECT_EQ(server_.post("/api/lucid/pause", body, "Origin: http://localhost\r\n").status, 200);
}

TEST_F(Ui, TouchesNoNodeThatStops) {
  server_.loop.run([this] { server_.face->closed = true; });
  EXPECT_EQ(server_.get("/api/lucid/status").status, 503);
  EXPECT_EQ(server_.get("/api/lucid/peers").status, 503);
}

}  // namespace
}  // namespace phase::ui
