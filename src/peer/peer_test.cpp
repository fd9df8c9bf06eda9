// Goal: starting, dialing, opening and pinging succeed and fail as peer.h says.
#include "peer/peer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "peer/peer_fixture.h"

namespace phase::peer {
namespace {

class PeerStart : public PeerTest {
 protected:
  /// Starts a node that must not start.
  Task<Error> refused(Options options) {
    auto key = identity::KeyPair::generate(random_);
    options.mdns = false;
    auto peer = co_await Peer::start(io_.get_executor(), key, std::move(options));
    if (peer) co_return Error{Code::internal, "it started", ""};
    co_return peer.error();
  }
  /// The address without /p2p/<id>.
  static std::string bare(const std::string& address) {
    return address.substr(0, address.find("/p2p/"));
  }
};
using Peers = PeerTest;

TEST_F(PeerStart, SaysWhichAddressIsTaken) {
  run([this]() -> Task<void> {
    for (const char* any : {kQuicLoopback, kTcpLoopback}) {
      auto first = co_await start_peer(listening_on(any));
      const std::string taken = bare(first->listen_addresses().at(0));
      const Error error = co_await refused(listening_on(taken));
      EXPECT_EQ(error.code, Code::already_exists) << error.text();
      EXPECT_NE(error.message.find(taken), std::string::npos) << error.text();
      EXPECT_NE(error.hint.find("--listen"), std::string::npos) << error.text();
      first.reset();
      auto second = co_await start_peer(listening_on(taken));
      EXPECT_EQ(bare(second->listen_addresses().at(0)), taken);
    }
  });
}

TEST_F(PeerStart, RefusesWhatItCannotReadOrUse) {
  run([this]() -> Task<void> {
    for (const char* address : {"", "4001", "/ip4/1.2.3", "/ip4/127.0.0.1", "/dns4/localhost/tcp/0",
                                "/ip4/127.0.0.1/udp/0", "/ip4/127.0.0.1/tcp/0/wss", "/unix/tmp"}) {
      const Error error = co_await refused(listening_on(address));
      EXPECT_EQ(error.code, Code::malformed) << address << ": " << error.text();
    }
    for (const char* address : {"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/Qm", "x/p2p/y"}) {
      Options options = not_listening();
      options.bootstrap.assign(1, address);
      const Error error = co_await refused(std::move(options));
      EXPECT_EQ(error.code, Code::malformed) << address << ": " << error.text();
    }
    const Error elsewhere = co_await refused(listening_on("/ip4/192.0.2.1/tcp/0"));
    EXPECT_EQ(elsewhere.code, Code::io) << elsewhere.text();
  });
}

TEST_F(PeerStart, ListensOnAllOfItsAddressesAndSaysWhere) {
  run([this]() -> Task<void> {
    Options options = listening_on(kQuicLoopback);
    options.listen.emplace_back(kTcpLoopback);
    options.listen.emplace_back(kTcpLoopback);  // twice is once
    auto key = identity::KeyPair::generate(random_);
    options.mdns = false;
    auto peer = co_await Peer::start(io_.get_executor(), key, std::move(options));
    CO_ASSERT_OK(peer);
    const auto addresses = (*peer)->listen_addresses();
    EXPECT_EQ(addresses.size(), 2U);
    for (const std::string& address : addresses) {
      EXPECT_TRUE(address.ends_with("/p2p/" + key.peer_id().text())) << address;
      EXPECT_EQ(address.find("/0/"), std::string::npos) << address;
    }
  });
}

TEST_F(Peers, ResolveNames) {
  run([this]() -> Task<void> {
    auto server = co_await start_peer(listening_on(kTcpLoopback));
    auto client = co_await start_peer(not_listening());
    std::string address = server->listen_addresses().at(0);
    const std::string_view ip = "/ip4/127.0.0.1/";
    address.replace(address.find(ip), ip.size(), "/dns4/localhost/");
    const auto dialed = co_await client->dial(address, in(20s));
    CO_ASSERT_OK(dialed);
    EXPECT_TRUE(address.ends_with(identity::PeerId::from(*dialed).text()));
  });
}

TEST_F(Peers, RefuseAnotherPeerAtAnAddress) {
  run([this]() -> Task<void> {
    for (const char* any : {kQuicLoopback, kTcpLoopback}) {
      auto server = co_await start_peer(listening_on(any));
      auto client = co_await start_peer(not_listening());
      const std::string real = server->listen_addresses().at(0);
      const auto other = identity::KeyPair::generate(random_);
      const std::string claimed =
          real.substr(0, real.find("/p2p/")) + "/p2p/" + other.peer_id().text();
      const auto dialed = co_await client->dial(claimed, in(20s));
      CO_ASSERT(!dialed);
      EXPECT_EQ(dialed.error().code, Code::verification_failed) << dialed.error().text();
      const auto opened = co_await client->open(other.public_key(), kEcho, in(5s));
      CO_ASSERT(!opened);
    }
  });
}

TEST_F(Peers, SayWhyAStreamDidNotOpen) {
  run([this]() -> Task<void> {
    auto server = co_await start_peer(listening_on(kQuicLoopback));
    auto client = co_await start_peer(not_listening());
    const auto there = co_await client->dial(server->listen_addresses().at(0), in(20s));
    CO_ASSERT_OK(there);
    const auto unknown = co_await client->open(*there, "/phase/test/nobody/1", in(20s));
    CO_ASSERT(!unknown);
    EXPECT_EQ(unknown.error().code, Code::unsupported) << unknown.error().text();
    const auto stranger = identity::KeyPair::generate(random_);
    const auto nowhere = co_await client->open(stranger.public_key(), kEcho, in(20s));
    CO_ASSERT(!nowhere);
    EXPECT_EQ(nowhere.error().code, Code::unavailable) << nowhere.error().text();
    const auto late = co_await client->open(*there, kEcho, in(-1s));
    CO_ASSERT(!late);
    EXPECT_EQ(late.error().code, Code::timed_out);
    // Nobody there at all, by dial.
    const auto silent = co_await client->dial("/ip4/127.0.0.1/tcp/1", in(20s));
    CO_ASSERT(!silent);
    EXPECT_EQ(silent.error().code, Code::unavailable) << silent.error().text();
    const auto junk = co_await client->dial("not an address", in(20s));
    CO_ASSERT(!junk);
    EXPECT_EQ(junk.error().code, Code::malformed) << junk.error().text();
  });
}

TEST_F(Peers, WaitNoLongerThanTheDeadline) {
  run([this]() -> Task<void> {
    auto client = co_await start_peer(not_listening());
    // TEST-NET-1 (RFC 5737): packets go nowhere, or are refused at once where there is no route.
    const auto dialed = co_await client->dial("/ip4/192.0.2.1/udp/4001/quic-v1", in(200ms));
    CO_ASSERT(!dialed);
    EXPECT_TRUE(dialed.error().code == Code::timed_out || dialed.error().code == Code::unavailable);
  });
}

TEST_F(Peers, PingEachOther) {
  run([this]() -> Task<void> {
    auto server = co_await start_peer(listening_on(kQuicLoopback));
    auto client = co_await start_peer(not_listening());
    const auto there = co_await client->dial(server->listen_addresses().at(0), in(20s));
    CO_ASSERT_OK(there);
    const auto time = co_await client->ping(*there, in(20s));
    CO_ASSERT_OK(time);
    EXPECT_GT(*time, Duration::zero());
  });
}

TEST_F(Peers, AreListedAndConnectAgainByWhatIsKnown) {
  run([this]() -> Task<void> {
    Options options = listening_on(kQuicLoopback);
    options.listen.emplace_back(kTcpLoopback);
    auto server = co_await start_peer(std::move(options));
    server->handle(kEcho, echo_handler());
    Options short_lived = not_listening();
    short_lived.idle_timeout = 50ms;
    auto client = co_await start_peer(std::move(short_lived));
    const auto there = co_await client->dial(server->listen_addresses().at(0), in(20s));
    CO_ASSERT_OK(there);
    const auto connected = [&] {
      const auto known = client->peers();
      return std::any_of(known.begin(), known.end(), [&](const PeerInfo& info) {
        return info.id.key() == *there && info.connected && !info.addresses.empty();
      });
    };
    EXPECT_TRUE(connected());
    for (int i = 0; i < 1'000 && connected(); ++i) {
      static_cast<void>(co_await clock_.sleep_for(10ms));
    }
    EXPECT_FALSE(connected()) << "an idle connection ends";
    auto stream = co_await client->open(*there, kEcho, in(20s));
    CO_ASSERT_OK(stream);
    const Bytes sent = to_bytes("still you?");
    const auto back = co_await exchange(**stream, sent);
    CO_ASSERT_OK(back);
    EXPECT_TRUE(*back == sent);
  });
}

TEST_F(Peers, ConnectionsAreLimited) {
  run([this]() -> Task<void> {
    Options options = listening_on(kTcpLoopback);
    options.connections_max = 2;
    auto server = co_await start_peer(std::move(options));
    const std::string address = server->listen_addresses().at(0);
    std::vector<std::unique_ptr<Peer>> clients;
    int refused = 0;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(co_await start_peer(not_listening()));
      const auto dialed = co_await clients.back()->dial(address, in(20s));
      // The server drops what is too much after the handshake; a ping finds out.
      if (!dialed || !co_await clients.back()->ping(*dialed, in(5s))) ++refused;
    }
    EXPECT_EQ(refused, 2);
  });
}

std::size_t network_threads() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name == "phase-net") ++count;
  }
  return count;
}

TEST_F(Peers, ShareThreadsWhenTheyAreSmall) {
  run([this]() -> Task<void> {
    for (int round = 0; round < 2; ++round) {
      const std::size_t before = network_threads();
      auto server = co_await start_peer(listening_on(kTcpLoopback));
      const std::size_t of_one = network_threads() - before;
      server->handle(kEcho, echo_handler());
      std::vector<std::unique_ptr<Peer>> clients;
      for (int i = 0; i < 5; ++i) {
        Options options = not_listening();
        options.small = true;
        clients.push_back(co_await start_peer(std::move(options)));
      }
      EXPECT_EQ(network_threads(), before + 2 * of_one);
      while (!clients.empty()) {  // the end of one leaves the others as they are
        const auto there = co_await clients.back()->dial(server->listen_addresses().at(0), in(20s));
        CO_ASSERT_OK(there);
        auto stream = co_await clients.back()->open(*there, kEcho, in(20s));
        CO_ASSERT_OK(stream);
        const Bytes sent = to_bytes("round " + std::to_string(round));
        const auto back = co_await exchange(**stream, sent);
        CO_ASSERT_OK(back);
        EXPECT_TRUE(*back == sent);
        clients.pop_back();
      }
      EXPECT_EQ(network_threads(), before + of_one);
    }
  });
}

TEST_F(Peers, EndWhileSomebodyWaits) {
  run([this]() -> Task<void> {
    auto client = co_await start_peer(not_listening());
    asio::co_spawn(
        io_,
        [this, &client]() -> Task<void> {
          static_cast<void>(co_await clock_.sleep_for(20ms));
          client.reset();
        },
        asio::detached);
    const auto dialed = co_await client->dial("/ip4/192.0.2.1/udp/4001/quic-v1", in(30s));
    CO_ASSERT(!dialed);
  });
}

}  // namespace
}  // namespace phase::peer
