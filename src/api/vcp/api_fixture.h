// api_fixture.h — for tests: the API over a real socket, real accounts, and a fleet in memory.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "api/http/wire_fixture.h"
#include "api/vcp/api_server.h"
#include "api/vcp/memory_fleet.h"
#include "base/system_clock.h"
#include "base/temp_folder.h"

namespace phase::vcp::api {

namespace json = boost::json;

struct Got {
  int status = 0;
  std::string head, body;
  [[nodiscard]] bool has(std::string_view line) const {
    return head.find(line) != std::string::npos;
  }
  /// The value of a header; empty when it is not there.
  [[nodiscard]] std::string header(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
  [[nodiscard]] json::value json() const {
    boost::system::error_code error;
    json::value out = boost::json::parse(body, error);
    EXPECT_FALSE(error) << body;
    return out;
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    const boost::json::value value = json();
    const auto* member = value.is_object() ? value.as_object().if_contains(name) : nullptr;
    return member != nullptr && member->is_string()
               ? std::string{member->as_string().data(), member->as_string().size()}
               : std::string{};
  }
};

/// Undoes chunked coding; everything is small.
inline std::string unchunked(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    const std::size_t size = std::strtoull(std::string{text.substr(0, end)}.c_str(), nullptr, 16);
    if (end == std::string_view::npos || size == 0) break;
    out += text.substr(end + 2, size);
    text.remove_prefix(std::min(text.size(), end + 4 + size));
  }
  return out;
}

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    Accounts::Options with;
    with.folder = folder_.path() / "data";
    with.limits.password_passes = 1;
    with.limits.password_memory = 8_KiB;
    accounts_ = Accounts::open({clock_, random_, loop_.executor()}, with).value();
    options_.port = 0;
    for (Rate* rate : {&options_.rates.auth, &options_.rates.node, &options_.rates.task,
                       &options_.rates.proof, &options_.rates.general, &options_.rates.read}) {
      *rate = {100'000, 100'000};
    }
  }
  ~ApiTest() override {
    loop_.run([this] { server_.reset(); });
    loop_.run([this] { accounts_.reset(); });
    loop_.stop();
  }
  void start() {
    auto log =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
    auto made =
        ApiServer::start({clock_, random_, loop_.executor(), fleet_, *accounts_, log}, options_);
    ASSERT_TRUE(made) << made.error().text();
    server_ = std::move(*made);
    port_ = server_->port();
    loop_.start();
  }
  [[nodiscard]] static std::string request(std::string_view method, std::string_view path,
                                           std::string_view body, std::string_view more) {
    std::string out =
        std::string{method} + " " + std::string{path} + " HTTP/1.1\r\nHost: localhost";
    out += "\r\nConnection: close\r\n";
    out += more;
    if (!body.empty()) {
      out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return out + "\r\n" + std::string{body};
  }
  [[nodiscard]] Got ask(std::string_view method, std::string_view path, std::string_view body = {},
                        std::string_view more = {}) const {
    const http::Wire wire(port_);
    wire.send(request(method, path, body, more));
    const std::string all = wire.read();
    Got out;
    const std::size_t end = all.find("\r\n\r\n");
    EXPECT_NE(end, std::string::npos) << method << ' ' << path << ": " << all;
    if (end == std::string::npos) return out;
    out.head = all.substr(0, end + 2);
    out.body = all.substr(end + 4);
    out.status = std::atoi(out.head.c_str() + std::strlen("HTTP/1.1 "));
    if (out.has("Transfer-Encoding: chunked")) {
      out.body = unchunked(out.body);
    }
    return out;
  }
  [[nodiscard]] Got get(std::string_view path, std::string_view more = {}) const {
    return ask("GET", path, {}, more);
  }
  /// A header with the token of a new session.
  [[nodiscard]] std::string login(const std::string& name) const {
    const Got got = ask("POST", "/api/v1/auth/login",
                        R"({"username":")" + name + R"(","password":"correct horse"})");
    EXPECT_EQ(got.status, 200) << got.body;
    return "Authorization: Bearer " + got.text("access_token") + "\r\n";
  }
  [[nodiscard]] std::string sign_up(const std::string& name) const {
    const Got got = ask("POST", "/api/v1/auth/register",
                        R"({"username":")" + name + R"(","password":"correct horse"})");
    EXPECT_EQ(got.status, 201) << got.body;
    return login(name);
  }
  [[nodiscard]] std::string admin() {
    std::string code;
    loop_.run([&] { code = accounts_->bootstrap_code(); });
    const Got got =
        ask("POST", "/api/v1/auth/bootstrap",
            R"({"code":")" + code + R"(","username":"root","password":"correct horse"})");
    EXPECT_EQ(got.status, 201) << got.body;
    return login("root");
  }
  /// A key of the user whose session `who` is.
  [[nodiscard]] std::string key(const std::string& who, const std::string& scopes) const {
    const Got got =
        ask("POST", "/api/v1/auth/api-keys", R"({"name":"k","scopes":[)" + scopes + "]}", who);
    EXPECT_EQ(got.status, 201) << got.body;
    return "X-API-Key: " + got.text("api_key") + "\r\n";
  }

  static constexpr std::string_view kNode =
      R"({"node_id":"n-1","region":"eu-central","node_type":"compute","capabilities":{)"
      R"("bandwidth_mbps":100,"cpu_cores":4,"memory_gb":8,"gpu_available":false}})";
  /// "AGFzbQEAAAA=" is the shortest module.
  static constexpr std::string_view kTask =
      R"({"task_type":"wasm_execution","wasm_module":"AGFzbQEAAAA=","inputs":{"stdin":"hi"},)"
      R"("requirements":{"min_nodes":1,"max_execution_time_sec":60,"require_gpu":false,)"
      R"("require_proof":false}})";

  http::Loop loop_;
  SystemClock clock_{loop_.executor()};
  SystemRandom random_;
  const TempFolder folder_ = TempFolder::make("phase-test").value();
  MemoryFleet fleet_{clock_, random_};
  ApiOptions options_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<ApiServer> server_;
  std::uint16_t port_ = 0;
};

}  // namespace phase::vcp::api
