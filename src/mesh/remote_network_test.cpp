// Goal: providers are found through records that are not believed and documents that are signed.
// Method: real peers on loopback; one that lies serves somebody else's document.
#include "mesh/remote_network.h"

#include "mesh/node_document.h"
#include "peer/peer_fixture.h"

namespace phase::mesh {
namespace {

using peer::Peer;

requester::Wanted wanted(std::string kind, std::string arch) {
  return {std::move(kind), std::move(arch), std::nullopt};
}

class RemoteNetworkTest : public peer::PeerTest {
 protected:
  /// A peer with its key.
  struct Party {
    std::unique_ptr<identity::KeyPair> key;
    std::unique_ptr<Peer> peer;
    std::shared_ptr<NodeDocument> document;
  };
  Task<Party> party(std::vector<std::string> bootstrap) {
    Party out;
    out.key = std::make_unique<identity::KeyPair>(identity::KeyPair::generate(random_));
    peer::Options options = peer::listening_on(peer::kTcpLoopback);
    options.mdns = false;
    options.bootstrap = std::move(bootstrap);
    auto started = co_await Peer::start(io_.get_executor(), *out.key, std::move(options));
    EXPECT_TRUE(started) << started.error().text();
    out.peer = *std::move(started);
    co_return out;
  }
  /// Makes it tell `signer`'s document, as a provider of wasm on `arch`.
  void tells(Party& party, const identity::KeyPair& signer, std::string arch) {
    party.document = std::make_shared<NodeDocument>(
        NodeDocument::World{clock_, signer, io_.get_executor()}, [this, arch = std::move(arch)] {
          offer::Capabilities out;
          out.created = clock_.now_utc();
          out.expires = {out.created.unix_ms + 60'000};
          out.arch = arch;
          out.kinds = {"wasm"};
          out.runtime = "wasmtime-1";
          out.jobs_max = 1;
          return out;
        });
    party.peer->handle(
        std::string(offer::kNodeProtocol),
        [of = party.document](std::unique_ptr<ByteStream> stream, identity::PublicKey) {
          of->serve(std::move(stream));
        });
  }
  static Task<Result<void>> announce(Party& party, std::string arch) {
    auto key = capability_key("wasm", arch, capability_shard(party.key->public_key()));
    co_return co_await party.peer->provide(std::move(key));
  }
  RemoteNetwork::World world(Party& party) {
    return {clock_, *party.peer, party.key->public_key(), io_.get_executor()};
  }
};

TEST_F(RemoteNetworkTest, FindsAProviderByItsRecordAndBelievesItsDocument) {
  run([this]() -> Task<void> {
    auto hub = co_await party({});
    const auto told = hub.peer->listen_addresses();
    auto provider = co_await party(told);
    tells(provider, *provider.key, "x86_64");
    auto requester = co_await party(told);
    for (bool announced = false; !announced;) {
      const auto done = co_await announce(provider, "x86_64");
      announced = done.has_value();
      if (!announced) {
        static_cast<void>(co_await clock_.sleep_for(50ms));
      }
    }
    RemoteNetwork network(world(requester));
    const auto found = co_await network.find(wanted("wasm", "x86_64"), in(30s));
    CO_ASSERT_OK(found);
    CO_ASSERT(found->size() == 1);
    EXPECT_EQ(found->front().key, provider.key->public_key());
    EXPECT_EQ(found->front().capabilities.runtime, "wasmtime-1");
    const auto elsewhere = co_await network.find(wanted("wasm", "riscv64"), in(500ms));
    CO_ASSERT_OK(elsewhere);
    EXPECT_TRUE(elsewhere->empty());
    const auto other_kind = co_await network.find(wanted("inference", ""), in(500ms));
    CO_ASSERT_OK(other_kind);
    EXPECT_TRUE(other_kind->empty());
  });
}

TEST_F(RemoteNetworkTest, DoesNotBelieveADocumentOfAnotherKey) {
  run([this]() -> Task<void> {
    auto liar = co_await party({});
    const auto victim = identity::KeyPair::generate(random_);
    tells(liar, victim, "x86_64");
    auto requester = co_await party(liar.peer->listen_addresses());
    const auto dialled =
        co_await requester.peer->dial(liar.peer->listen_addresses().front(), in(10s));
    CO_ASSERT_OK(dialled);
    RemoteNetwork network(world(requester));
    const auto found = co_await network.find(wanted("wasm", ""), in(2s));
    CO_ASSERT_OK(found);
    EXPECT_TRUE(found->empty());
  });
}

TEST_F(RemoteNetworkTest, ForgetsAProviderThatCannotBeReached) {
  run([this]() -> Task<void> {
    auto provider = co_await party({});
    tells(provider, *provider.key, "x86_64");
    auto requester = co_await party(provider.peer->listen_addresses());
    const auto dialled =
        co_await requester.peer->dial(provider.peer->listen_addresses().front(), in(10s));
    CO_ASSERT_OK(dialled);
    RemoteNetwork network(world(requester));
    const auto before = co_await network.find(wanted("wasm", ""), in(30s));
    CO_ASSERT_OK(before);
    CO_ASSERT(before->size() == 1);
    const auto key = provider.key->public_key();
    provider.document->close();
    provider.peer.reset();
    const auto stream = co_await network.open(key, std::string(offer::kJobProtocol), in(5s));
    CO_ASSERT(!stream);
    EXPECT_NE(stream.error().message.find("provider"), std::string::npos);
    EXPECT_FALSE(stream.error().hint.empty());
    const auto after = co_await network.find(wanted("wasm", ""), in(1s));
    CO_ASSERT_OK(after);
    EXPECT_TRUE(after->empty());
  });
}

TEST_F(RemoteNetworkTest, LeavesAloneWhoIsOnlyConnectedWhenToldSo) {
  run([this]() -> Task<void> {
    auto provider = co_await party({});
    tells(provider, *provider.key, "x86_64");
    auto requester = co_await party({});
    const auto dialled =
        co_await requester.peer->dial(provider.peer->listen_addresses().front(), in(10s));
    CO_ASSERT_OK(dialled);
    RemoteLimits limits;
    limits.asks_connected = false;
    RemoteNetwork announced(world(requester), limits);
    const auto none = co_await announced.list(wanted("wasm", ""), in(10s));
    CO_ASSERT_OK(none);
    EXPECT_TRUE(none->empty());
    RemoteNetwork all(world(requester));
    const auto found = co_await all.list(wanted("wasm", ""), in(10s));
    CO_ASSERT_OK(found);
    EXPECT_EQ(found->size(), 1U);
  });
}

TEST(CapabilityKey, IsThatOfTheSpecification) {
  EXPECT_EQ(capability_key("wasm", "x86_64", 3), "/phase/capability/2/wasm/x86_64/3");
  identity::PublicKey key;
  key.value.back() = 13;
  EXPECT_EQ(capability_shard(key), 5);
}

}  // namespace
}  // namespace phase::mesh
