// A gateway over real sockets on loopback, with names that resolve as the test says.
#include "vcp/gateway/gateway.h"

#include <atomic>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "api/http/wire_fixture.h"
#include "base/system_clock.h"

namespace phase::vcp::gateway {
namespace {

using asio::ip::tcp;
using http::Loop;
using http::Wire;

/// Sends back what one client sends after another, each until its end.
class Echo {
 public:
  Echo() : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Echo() {
    stop_ = true;
    boost::system::error_code ignored;
    tcp::socket wake(io_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    wake.close(ignored);
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] int met() const { return met_; }

 private:
  void serve() {
    while (true) {
      tcp::socket socket(io_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (stop_ || error) return;
      ++met_;
      char piece[4'096];
      while (!error) {
        const std::size_t count = socket.read_some(asio::buffer(piece), error);
        boost::system::error_code gone;
        asio::write(socket, asio::buffer(piece, count), gone);
      }
    }
  }
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> met_ = 0;
  std::thread thread_;
};

class GatewayTest : public ::testing::Test {
 protected:
  void start() {
    options_.address = "127.0.0.1";
    options_.port = 0;
    options_.resolver = [this](const std::string&) -> Result<std::vector<asio::ip::address>> {
      std::vector<asio::ip::address> out;
      for (const char* text : addresses_) out.push_back(asio::ip::make_address(text));
      return out;
    };
    auto made = Gateway::start({clock_, loop_.executor(), log_}, options_, sessions());
    ASSERT_TRUE(made) << made.error().text();
    gateway_ = *std::move(made);
    port_ = gateway_->port();
    loop_.start();
  }
  void TearDown() override {
    loop_.run([this] { gateway_.reset(); });
    loop_.stop();
  }
  static std::vector<Session> sessions() {
    Session one;
    one.id = "s-1";
    one.token = sha256(as_bytes("cs_secret"));
    one.egress = Egress::metered_general_egress;
    one.expires = UtcTime{4'000'000'000'000};
    return {one};
  }
  [[nodiscard]] std::string line(const std::string& host) const {
    return R"({"session_id":"s-1","session_token":"cs_secret","destination":")" + host + ":" +
           std::to_string(echo_.port()) + "\"}\n";
  }
  Gateway::Figures figures() {
    Gateway::Figures out;
    loop_.run([&] { out = gateway_->figures(); });
    return out;
  }

  Echo echo_;
  Loop loop_;
  SystemClock clock_{loop_.executor()};
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::vector<const char*> addresses_{"127.0.0.1"};
  GatewayOptions options_;
  std::unique_ptr<Gateway> gateway_;
  std::uint16_t port_ = 0;
};

TEST_F(GatewayTest, WhatANameResolvesToIsCheckedThenDialled) {
  start();
  const Wire client(port_);
  client.send(line("looks.public.example"));
  EXPECT_TRUE(client.read().starts_with("ERROR destination: "));
  EXPECT_EQ(echo_.met(), 0);
}

TEST_F(GatewayTest, OfSeveralAddressesOnlyPublicOnesAreDialled) {
  addresses_ = {"127.0.0.1", "::1", "10.0.0.1", "64:ff9b::7f00:1"};
  start();
  const Wire client(port_);
  client.send(line("mixed.example"));
  EXPECT_TRUE(client.read().starts_with("ERROR destination: "));
  EXPECT_EQ(echo_.met(), 0);
}

TEST_F(GatewayTest, PrivatePlacesAreReachedWhereThatIsAllowed) {
  options_.allow_private = true;
  start();
  const Wire client(port_);
  client.send(line("inside.example") + "early");
  EXPECT_EQ(client.read("early"), "OK\nearly") << "what came behind the line is not lost";
  client.send("later");
  EXPECT_EQ(client.read("later"), "later");
  EXPECT_EQ(figures().relays, 1U);
}

TEST_F(GatewayTest, ASessionHasSoManyRelays) {
  options_.allow_private = true;
  options_.limits.relays_per_session_max = 1;
  start();
  const Wire first(port_);
  first.send(line("inside.example"));
  EXPECT_EQ(first.read("\n"), "OK\n");
  const Wire second(port_);
  second.send(line("inside.example"));
  EXPECT_TRUE(second.read().starts_with("ERROR busy: "));
}

TEST_F(GatewayTest, OneAddressHasSoManyHandshakes) {
  options_.limits.handshakes_per_address_max = 2;
  start();
  const Wire first(port_), second(port_);
  first.send("{");
  second.send("{");
  while (figures().handshakes < 2) std::this_thread::yield();
  const Wire third(port_);
  EXPECT_EQ(third.read(), "");
  EXPECT_EQ(figures().handshakes, 2U);
}

TEST_F(GatewayTest, ALongLineIsRefusedBeforeItsEnd) {
  start();
  const Wire client(port_);
  client.send(std::string(kHandshakeBytesMax + 1, 'x'));
  EXPECT_TRUE(client.read().starts_with("ERROR malformed: "));
}

TEST_F(GatewayTest, ASlowLineIsRefused) {
  options_.limits.handshake_max = 50ms;
  start();
  const Wire client(port_);
  client.send("{\"session_id\":");
  EXPECT_TRUE(client.read().starts_with("ERROR timeout: "));
}

}  // namespace
}  // namespace phase::vcp::gateway
