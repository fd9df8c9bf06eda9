// Goal: nodes that know only a common third one find each other by what they announce.
#include <algorithm>

#include <gtest/gtest.h>

#include "peer/peer_fixture.h"

namespace phase::peer {
namespace {

constexpr const char* kKey = "/phase/capability/2/wasm/x86_64/3";

class Discovery : public PeerTest {
 protected:
  static Options knowing(const Peer& bootstrap) {
    Options options = listening_on(kQuicLoopback);
    options.listen.emplace_back(kTcpLoopback);
    options.bootstrap = bootstrap.listen_addresses();
    return options;
  }

  /// Asks until somebody is found, as a requester does.
  Task<std::vector<identity::PublicKey>> find(Peer& peer, std::string key) {
    for (int i = 0; i < 300; ++i) {
      const auto found = co_await peer.find_providers(key, in(5s));
      if (found && !found->empty()) co_return *found;
      static_cast<void>(co_await clock_.sleep_for(50ms));
    }
    co_return std::vector<identity::PublicKey>{};
  }
};

TEST_F(Discovery, AProviderIsFoundOverAThirdNodeAndReached) {
  run([this]() -> Task<void> {
    auto bootstrap = co_await start_peer(listening_on(kQuicLoopback));
    auto provider = co_await start_peer(knowing(*bootstrap));
    provider->handle(kEcho, echo_handler());
    CO_ASSERT_OK(co_await provider->provide(kKey));
    Options asking = not_listening();
    asking.bootstrap = bootstrap->listen_addresses();
    asking.dht_client = true;
    auto requester = co_await start_peer(std::move(asking));
    const auto found = co_await find(*requester, kKey);
    CO_ASSERT(found.size() == 1);
    auto stream = co_await requester->open(found.at(0), kEcho, in(20s));
    CO_ASSERT_OK(stream);
    const Bytes sent = to_bytes("hello");
    const auto back = co_await exchange(**stream, sent);
    CO_ASSERT_OK(back);
    EXPECT_TRUE(*back == sent);
    // The provider does not find itself, and nobody provides another key.
    const auto own = co_await provider->find_providers(kKey, in(5s));
    CO_ASSERT_OK(own);
    EXPECT_TRUE(own->empty());
  });
}

TEST_F(Discovery, AProviderOlderThanItsBootstrapPeerIsFound) {
  run([this]() -> Task<void> {
    // An address for the bootstrap peer, before it runs there.
    auto key = identity::KeyPair::generate(random_);
    Options options = listening_on(kQuicLoopback);
    options.mdns = false;
    auto first = co_await Peer::start(io_.get_executor(), key, std::move(options));
    CO_ASSERT_OK(first);
    const std::string address = (*first)->listen_addresses().at(0);
    first->reset();

    Options knows = listening_on(kTcpLoopback);
    knows.bootstrap.assign(1, address);
    auto provider = co_await start_peer(std::move(knows));
    CO_ASSERT_OK(co_await provider->provide(kKey));
    static_cast<void>(co_await clock_.sleep_for(100ms));

    Options later = listening_on(address.substr(0, address.find("/p2p/")));
    later.mdns = false;
    auto bootstrap = co_await Peer::start(io_.get_executor(), key, std::move(later));
    CO_ASSERT_OK(bootstrap);
    // The bootstrap peer itself is asked: it answers only with what it was told.
    const auto found = co_await find(**bootstrap, kKey);
    EXPECT_EQ(found.size(), 1U);
  });
}

TEST_F(Discovery, APeerIsReachedThoughOnlyTheDhtKnowsWhere) {
  run([this]() -> Task<void> {
    auto bootstrap = co_await start_peer(listening_on(kQuicLoopback));
    auto key = identity::KeyPair::generate(random_);
    auto target = co_await Peer::start(io_.get_executor(), key, knowing(*bootstrap));
    CO_ASSERT_OK(target);
    (*target)->handle(kEcho, echo_handler());
    Options asking = not_listening();
    asking.bootstrap = bootstrap->listen_addresses();
    auto requester = co_await start_peer(std::move(asking));
    Result<std::unique_ptr<ByteStream>> stream = fail(Code::unavailable, "not tried");
    for (int i = 0; i < 100 && !stream; ++i) {
      stream = co_await requester->open(key.public_key(), kEcho, in(5s));
      if (!stream) static_cast<void>(co_await clock_.sleep_for(50ms));
    }
    CO_ASSERT_OK(stream);
  });
}

TEST_F(Discovery, NobodyIsFoundUnderAKeyThatNobodyAnnounced) {
  run([this]() -> Task<void> {
    auto alone = co_await start_peer(not_listening());
    const auto found = co_await alone->find_providers("/phase/module/2/none", in(5s));
    CO_ASSERT_OK(found);
    EXPECT_TRUE(found->empty());
    EXPECT_FALSE(co_await alone->provide(""));
    EXPECT_FALSE(co_await alone->provide(std::string(257, 'x')));
  });
}

}  // namespace
}  // namespace phase::peer
