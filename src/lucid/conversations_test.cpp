#include "lucid/conversations.h"

#include <gtest/gtest.h>

namespace phase::lucid {
namespace {

constexpr std::string_view kHello = R"({"role":"user","content":"Hello"})";
constexpr std::string_view kHi = R"({"role":"assistant","content":"Hi!"})";
constexpr std::string_view kMore = R"({"role":"user","content":"More"})";

Ask ask(const std::vector<std::string_view>& messages, std::string_view conversation = "") {
  std::string text;
  for (const std::string_view one : messages) {
    text += text.empty() ? "" : ",";
    text += one;
  }
  Ask out;
  out.prompt = to_bytes(R"({"messages":[)" + text + "]}");
  out.conversation = conversation;
  return out;
}

class ConversationsTest : public testing::Test {
 protected:
  std::optional<identity::PublicKey> find(const Ask& one) const {
    return conversations_.find(conversation_keys(model_, one));
  }
  void remember(const Ask& one, const identity::PublicKey& provider) {
    conversations_.remember(conversation_keys(model_, one), provider);
  }
  ArtifactId model_;
  identity::PublicKey first_{}, second_{};
  Conversations conversations_;
  ConversationsTest() { second_.value[0] = 1; }
};

TEST_F(ConversationsTest, TheNextTurnIsRecognised) {
  remember(ask({kHello}), first_);
  EXPECT_EQ(find(ask({kHello, kHi, kMore})), first_);
  EXPECT_EQ(find(ask({kHello})), first_) << "the same again";
  EXPECT_EQ(find(ask({kMore})), std::nullopt);
  EXPECT_EQ(find(ask({kMore, kHi, kHello})), std::nullopt);
  remember(ask({kHello, kHi, kMore}), second_);
  EXPECT_EQ(find(ask({kHello, kHi, kMore, kHi, kHello})), second_) << "the longest beginning";
  EXPECT_EQ(find(ask({kHello, kHi, kHello})), first_);
  ArtifactId other;
  other.value[0] = 1;
  EXPECT_EQ(conversations_.find(conversation_keys(other, ask({kHello}))), std::nullopt);
}

TEST_F(ConversationsTest, ANameIsBeforeABeginning) {
  remember(ask({kHello}), first_);
  remember(ask({kMore}, "c"), second_);
  EXPECT_EQ(find(ask({kHello}, "c")), second_);
  EXPECT_EQ(find(ask({kHello}, "d")), first_);
}

TEST_F(ConversationsTest, WhatIsNoListOfMessagesHasNoBeginnings) {
  for (const std::string_view prompt :
       {"", "{", "[]", R"({"prompt":"x"})", R"({"messages":1})", R"({"messages":[]})"}) {
    Ask one;
    one.prompt = to_bytes(prompt);
    EXPECT_TRUE(conversation_keys(model_, one).beginnings.empty()) << prompt;
  }
  Ask large = ask({kHello});
  large.prompt.resize(kRecognisedBytesMax + 1, ' ');
  EXPECT_TRUE(conversation_keys(model_, large).beginnings.empty());
  const std::vector<std::string_view> many(100, kHello);
  EXPECT_EQ(conversation_keys(model_, ask(many)).beginnings.size(), kTurnsBackMax + 1);
}

TEST_F(ConversationsTest, AreBounded) {
  for (std::size_t i = 0; i < kConversationsMax + 10; ++i) {
    remember(ask({}, std::to_string(i)), first_);
    static_cast<void>(find(ask({}, "0")));
  }
  EXPECT_EQ(conversations_.size(), kConversationsMax);
  EXPECT_EQ(find(ask({}, "0")), std::nullopt);
  EXPECT_EQ(find(ask({}, std::to_string(kConversationsMax + 9))), first_);
}

}  // namespace
}  // namespace phase::lucid
