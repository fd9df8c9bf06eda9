// Goal: two nodes in one process, over real sockets on loopback, do what peer.h says.
#include "peer/peer.h"

#include <gtest/gtest.h>

#include "peer/peer_fixture.h"

namespace phase::peer {
namespace {

class PeerOver : public PeerTest, public testing::WithParamInterface<const char*> {};

TEST_P(PeerOver, StreamsCarryBytesBothWays) {
  run([this]() -> Task<void> {
    auto server = co_await start_peer(listening_on(GetParam()));
    auto client = co_await start_peer(not_listening());
    server->handle(kEcho, echo_handler());
    const auto dialed = co_await client->dial(server->listen_addresses().at(0), in(20s));
    CO_ASSERT_OK(dialed);
    auto stream = co_await client->open(*dialed, kEcho, in(20s));
    CO_ASSERT_OK(stream);
    const Bytes sent = pattern(300'000);
    const Result<Bytes> back = co_await exchange(**stream, sent);
    CO_ASSERT_OK(back);
    EXPECT_TRUE(*back == sent);
  });
}

INSTANTIATE_TEST_SUITE_P(Transports, PeerOver,
                         testing::Values("/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"),
                         [](const auto& tested) { return tested.index == 0 ? "Quic" : "Tcp"; });

}  // namespace
}  // namespace phase::peer
