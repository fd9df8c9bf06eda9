#include "api/dashboard/dashboard.h"

#include <gtest/gtest.h>

#include "api/dashboard/assets_internal.h"
#include "api/http/server.h"
#include "api/http/wire_fixture.h"

namespace phase::dashboard {
namespace {

/// The routes on a real server.
class Dashboard : public ::testing::Test {
 protected:
  void SetUp() override {
    http::Router router;
    ASSERT_TRUE(add_routes(router, options_));
    server_ =
        std::make_unique<http::Server>(loop_.executor(), std::move(router), http::ServerLimits{});
    http::TcpListen where;
    where.token_optional = true;
    port_ = server_->listen(where).value();
    loop_.start();
  }
  void TearDown() override {
    loop_.run([this] { server_.reset(); });
    loop_.stop();
  }
  std::string get(const std::string& path) {
    http::Wire wire(port_);
    wire.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return wire.read();
  }
  Options options_;
  http::Loop loop_;
  std::unique_ptr<http::Server> server_;
  std::uint16_t port_ = 0;
};

bool has(const std::string& reply, std::string_view text) {
  return reply.find(text) != std::string::npos;
}

TEST_F(Dashboard, SendsItsFilesUnderAStrictPolicy) {
  if (assets().empty()) {
    EXPECT_TRUE(has(get("/"), "PHASE_DASHBOARD=OFF"));
    EXPECT_TRUE(get("/").starts_with("HTTP/1.1 501"));
    return;
  }
  for (const std::string& path : open_paths()) {
    const std::string reply = get(path);
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << path;
    EXPECT_TRUE(has(reply, "Content-Security-Policy: default-src 'self'; connect-src 'self';"));
    EXPECT_FALSE(has(reply.substr(0, reply.find("\r\n\r\n")), "unsafe")) << path;
    EXPECT_TRUE(has(reply, "X-Content-Type-Options: nosniff"));
    EXPECT_TRUE(has(reply, "X-Frame-Options: DENY"));
  }
  const std::string page = get("/");
  EXPECT_TRUE(has(page, "Content-Type: text/html; charset=utf-8"));
  EXPECT_FALSE(has(page, "<style"));
  EXPECT_FALSE(has(page, "style="));
  EXPECT_FALSE(has(page, "<script>"));
  EXPECT_TRUE(get("/assets/nothing.js").starts_with("HTTP/1.1 404"));
}

TEST_F(Dashboard, KeepsOnlyWhatIsNamedByItsContent) {
  for (const http::Asset& asset : assets()) {
    const std::string reply = get("/" + std::string{asset.name});
    const bool kept = has(reply, "Cache-Control: public, max-age=31536000, immutable");
    EXPECT_EQ(kept, asset.name.starts_with("assets/")) << asset.name;
    EXPECT_EQ(!kept, has(reply, "Cache-Control: no-cache")) << asset.name;
    EXPECT_TRUE(reply.ends_with(std::string{asset.bytes})) << asset.name;
  }
}

TEST(DashboardOptions, AsksOthersOnlyWhereNamed) {
  for (const std::string bad :
       {"", "*", "example.org", "https://", "ftp://example.org", "https://example.org/path",
        "https://a; script-src *", "https://a 'unsafe-inline'", "https://a\r\nX: y"}) {
    http::Router router;
    const Result<void> added = add_routes(router, {{bad}});
    ASSERT_FALSE(added) << bad;
    EXPECT_EQ(added.error().code, Code::invalid_argument);
  }
}

TEST(DashboardOptions, ReadsOriginsBetweenCommas) {
  ASSERT_EQ(::setenv("DASHBOARD_API_ORIGINS", " https://a.example , ,http://b:3000,", 1), 0);
  const std::vector<std::string> two{"https://a.example", "http://b:3000"};
  EXPECT_EQ(read_environment().api_origins, two);
  ASSERT_EQ(::unsetenv("DASHBOARD_API_ORIGINS"), 0);
  EXPECT_TRUE(read_environment().api_origins.empty());
}

class DashboardElsewhere : public Dashboard {
 protected:
  DashboardElsewhere() { options_.api_origins = {"https://vcp.example.org:8443"}; }
};

TEST_F(DashboardElsewhere, AsksOthersOnlyWhereNamed) {
  if (!assets().empty()) {
    EXPECT_TRUE(has(get("/"), "connect-src 'self' https://vcp.example.org:8443;"));
  }
}

}  // namespace
}  // namespace phase::dashboard
