#include "vcp/agent/rendezvous.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/temp_folder.h"

namespace phase::vcp {
namespace {

constexpr const char* kPeer = "12D3KooWHfmrzACTnmJpbq3wvf1YwH73wrkFAEvPhG95Um9RdG4s";

std::string answer(const std::string& addresses) {
  return R"({"peer_id": ")" + std::string(kPeer) + R"(", "addresses": )" + addresses + "}";
}

TEST(Meeting, AddressesAreBoundToTheKey) {
  const auto meeting = parse_meeting(answer(R"(["/ip4/127.0.0.1/tcp/4001"])"));
  ASSERT_TRUE(meeting) << meeting.error().text();
  EXPECT_EQ(identity::PeerId::from(meeting->key).text(), kPeer);
  EXPECT_EQ(meeting->addresses,
            std::vector<std::string>{"/ip4/127.0.0.1/tcp/4001/p2p/" + std::string(kPeer)});
  const std::string whole = "/ip4/1.2.3.4/tcp/1/p2p/" + std::string(kPeer);
  EXPECT_EQ(parse_meeting(answer("[\"" + whole + "\"]"))->addresses.at(0), whole);
}

TEST(Meeting, WhatIsNoMeetingIsRefused) {
  std::string many = "[";
  for (std::size_t i = 0; i <= kMeshAddressesMax; ++i) many += R"("/ip4/1.2.3.4/tcp/1",)";
  many.back() = ']';
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), answer("{}"), answer("[1]"),
        answer(R"([""])"), answer(R"(["http://a"])"), answer(many),
        answer("[\"/" + std::string(kMeshAddressBytesMax, 'a') + "\"]"),
        std::string(R"({"peer_id": "12D3", "addresses": []})"),
        std::string(kMeshAnswerBytesMax + 1, ' ')}) {
    EXPECT_FALSE(parse_meeting(text)) << text.substr(0, 80);
  }
}

TEST(CoordinatorPin, TheFirstOneMetIsTheOnlyOne) {
  const TempFolder folder = TempFolder::make("phase-pin").value();
  const CoordinatorPin pin(folder.path() / "coordinator.peer");
  SystemRandom random;
  const auto first = identity::KeyPair::generate(random).public_key();
  const auto second = identity::KeyPair::generate(random).public_key();
  EXPECT_TRUE(pin.check(first));
  EXPECT_TRUE(pin.check(second)) << "nobody was met yet";
  ASSERT_TRUE(pin.keep(first));
  EXPECT_TRUE(pin.check(first));
  EXPECT_EQ(pin.check(second).error().code, Code::unauthorized);
  ASSERT_TRUE(pin.keep(second));
  EXPECT_EQ(pin.check(second).error().code, Code::unauthorized) << "keeping does not replace";
}

}  // namespace
}  // namespace phase::vcp
