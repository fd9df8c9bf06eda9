#include "worker/sandbox/message.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace phase::sandbox {
namespace {

class MessageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = make_socket_pair();
    ASSERT_TRUE(pair);
    sockets_ = *std::move(pair);
  }
  Result<Received> receive() { return receive_message(sockets_.ours.get(), buffer_); }
  std::string text(const Received& received) const {
    return std::string(as_text(ByteView(buffer_).first(received.bytes)));
  }
  SocketPair sockets_;
  Bytes buffer_ = Bytes(kMessageBytesMax);
};

TEST_F(MessageTest, KeepsBoundsAndPassesDescriptors) {
  ASSERT_TRUE(send_message(sockets_.theirs.get(), as_bytes("one"), as_bytes(" two")));
  const int number = sockets_.theirs.get();
  ASSERT_TRUE(send_message(sockets_.theirs.get(), as_bytes("fd"), {}, std::span(&number, 1)));
  auto first = receive();
  ASSERT_TRUE(first);
  EXPECT_EQ(text(*first), "one two");
  EXPECT_TRUE(first->descriptors.empty());
  auto second = receive();
  ASSERT_TRUE(second);
  EXPECT_EQ(text(*second), "fd");
  ASSERT_EQ(second->descriptors.size(), 1U);
  EXPECT_NE(::fcntl(second->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(MessageTest, RefusesWhatIsTooLong) {
  const Bytes long_one(kMessageBytesMax + 1);
  const auto sent = send_message(sockets_.theirs.get(), long_one);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::too_large);
  EXPECT_FALSE(send_message(sockets_.theirs.get(), {}));
  // A peer that does not keep to it.
  ASSERT_GT(::send(sockets_.theirs.get(), long_one.data(), long_one.size(), 0), 0);
  const auto received = receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, Code::too_large);
}

TEST_F(MessageTest, SaysWhenItWouldWait) {
  ASSERT_EQ(::fcntl(sockets_.ours.get(), F_SETFL, O_NONBLOCK), 0);
  const auto nothing = receive();
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->kind, Received::Kind::would_block);
  const Bytes piece(kPieceBytesMax);
  constexpr int kMessagesMax = 1000;
  int sent = 0;
  for (; sent < kMessagesMax; sent++) {
    const auto done = send_message(sockets_.ours.get(), piece);
    ASSERT_TRUE(done);
    if (!*done) break;
  }
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, kMessagesMax);
}

// What a process sent before it ended arrives, also when it left something unread.
TEST_F(MessageTest, DeliversWhatWasSentBeforeTheEnd) {
  ASSERT_TRUE(send_message(sockets_.ours.get(), as_bytes("never read")));
  ASSERT_TRUE(send_message(sockets_.theirs.get(), as_bytes("last word")));
  sockets_.theirs.reset();
  const auto last = receive();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->kind, Received::Kind::message);
  EXPECT_EQ(text(*last), "last word");
  const auto end = receive();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, Received::Kind::closed);
  const auto sent = send_message(sockets_.ours.get(), as_bytes("x"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::connection_closed);
}

}  // namespace
}  // namespace phase::sandbox
