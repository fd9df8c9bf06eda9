// Goal: frames arrive as they were sent, in whatever pieces, and a bad length costs nothing.
// Method: two ends of a stream in memory; one side writes bytes of our choosing.
#include "protocol/offer/frame.h"

#include <functional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/memory_stream.h"
#include "tests/fuzz/arbitrary_documents.h"

namespace phase::offer {
namespace {

Frame arbitrary_frame() {
  const auto data = [] { return arbitrary::bytes(1, 50); };
  const auto stream = arbitrary::coin() ? job::OutputStream::out : job::OutputStream::err;
  switch (arbitrary::number(0, 9)) {
    case 0:
      return Open{data(), arbitrary::number(),
                  arbitrary::maybe([] { return arbitrary::array<32>(); }), arbitrary::coin()};
    case 1:
      return Accepted{arbitrary::hash<manifest::JobId>(), arbitrary::coin()};
    case 2:
      return Rejected{static_cast<RejectionReason>(arbitrary::number(0, 14)), "why not",
                      arbitrary::maybe_number()};
    case 3:
      return ModuleData{data()};
    case 4:
      return StdinData{data()};
    case 5:
      return Output{{stream, data()}};
    case 6:
      return Progress{arbitrary::word(), arbitrary::number(), arbitrary::number()};
    case 7:
      return Reveal{arbitrary::maybe([] { return arbitrary::array<32>(); })};
    case 8:
      return ReceiptFrame{data()};
    default:
      return End{};
  }
}

/// A stream on which `bytes` arrive in pieces of at most `piece`, and then the end. Counts what
/// readers asked for at once.
class Pieces final : public ByteStream {
 public:
  Pieces(Bytes bytes, std::size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    asked_max_ = std::max(asked_max_, out.size());
    const std::size_t n = std::min({out.size(), piece_, bytes_.size() - at_});
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    co_return n;
  }
  Task<Result<void>> write(ByteView /*bytes*/) override {
    co_return fail(Code::internal, "nobody writes here");
  }
  void close_write() override {}
  void reset() override {}
  [[nodiscard]] std::size_t asked_max() const { return asked_max_; }

 private:
  Bytes bytes_;
  std::size_t piece_, at_ = 0, asked_max_ = 0;
};

void run(const std::function<Task<void>()>& work) {
  asio::io_context context;
  bool done = false;
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        co_await work();
        done = true;
      },
      asio::detached);
  context.run();
  RC_ASSERT(done);
}

Result<Frame> read_one(Pieces& stream) {
  Result<Frame> out = fail(Code::internal, "nothing was read");
  run([&]() -> Task<void> { out = co_await read_frame(stream); });
  return out;
}

RC_GTEST_PROP(Frame, ReadsBackWhatItWrites, ()) {
  const Frame frame = arbitrary_frame();
  const Bytes bytes = encode(frame);
  const auto read = decode(ByteView(bytes).subspan(4));
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == frame);
  RC_ASSERT(encode(*read) == bytes);
}

RC_GTEST_PROP(Frame, ArrivesInAnyPieces, ()) {
  std::vector<Frame> sent;
  Bytes bytes;
  for (auto left = arbitrary::number(1, 5); left > 0; --left) {
    sent.push_back(arbitrary_frame());
    const Bytes frame = encode(sent.back());
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  Pieces stream(bytes, static_cast<std::size_t>(arbitrary::number(1, 40)));
  for (const Frame& frame : sent) RC_ASSERT(read_one(stream).value() == frame);
  RC_ASSERT(read_one(stream).error().code == Code::connection_closed);
}

RC_GTEST_PROP(Frame, CutAnywhereIsNoFrame, ()) {
  Bytes bytes = encode(arbitrary_frame());
  bytes.resize(static_cast<std::size_t>(arbitrary::number(0, bytes.size() - 1)));
  Pieces stream(bytes, 7);
  RC_ASSERT(read_one(stream).error().code == Code::connection_closed);
}

TEST(Frame, ALengthAloneSetsLittleAside) {
  Bytes head{0x00, 0x01, 0x80, 0x00};  // 98,304: the largest
  Pieces stream(head, 100);
  EXPECT_EQ(read_one(stream).error().code, Code::connection_closed);
  EXPECT_LE(stream.asked_max(), 16_KiB);
  Pieces larger(Bytes{0x00, 0x01, 0x80, 0x01}, 100);
  EXPECT_EQ(read_one(larger).error().code, Code::too_large);
  EXPECT_LE(larger.asked_max(), 4U);
}

TEST(Frame, LargestOfEachKindFits) {
  for (const Frame& frame :
       {Frame(ModuleData{Bytes(kDataBytesMax, 1)}), Frame(StdinData{Bytes(kDataBytesMax, 1)}),
        Frame(Output{{job::OutputStream::err, Bytes(kDataBytesMax, 1)}}),
        Frame(Open{Bytes(identity::kEnvelopeBytesMax, 1), UINT64_MAX, job::Salt{}, true}),
        Frame(ReceiptFrame{Bytes(identity::kEnvelopeBytesMax, 1)})}) {
    Pieces stream(encode(frame), 3000);
    EXPECT_TRUE(read_one(stream).value() == frame);
  }
}

TEST(Frame, BeyondTheLimitsIsRefused) {
  Bytes data(kDataBytesMax + 2, static_cast<std::uint8_t>(FrameType::module));
  EXPECT_EQ(decode(data).error().code, Code::too_large);
  EXPECT_EQ(decode(Bytes(kFrameBytesMax + 1, 4)).error().code, Code::too_large);
  EXPECT_EQ(decode({}).error().code, Code::malformed);
}

TEST(FrameDeathTest, WhatTheOtherSideWouldRefuseIsNotSent) {
  EXPECT_DEATH(static_cast<void>(encode(ModuleData{Bytes(kDataBytesMax + 1)})), "check failed");
  EXPECT_DEATH(static_cast<void>(encode(StdinData{})), "check failed");
  EXPECT_DEATH(static_cast<void>(encode(Output{})), "check failed");
  EXPECT_DEATH(static_cast<void>(encode(ReceiptFrame{Bytes(kFrameBytesMax)})), "check failed");
}

TEST(Frame, WordsFromElsewhereAreMadeToFit) {
  const Frame frame = Rejected{RejectionReason::policy, std::string(2000, 'x') + "\xFF", {}};
  const auto read = decode(ByteView(encode(frame)).subspan(4));
  ASSERT_TRUE(read.has_value()) << read.error().text();
  EXPECT_EQ(std::get<Rejected>(*read).detail, std::string(512, 'x'));
  const Frame bad = Progress{"\xFF\n", 0, 0};
  EXPECT_EQ(std::get<Progress>(decode(ByteView(encode(bad)).subspan(4)).value()).stage, "??");
}

TEST(Frame, WritesWhatEncodeMakes) {
  asio::io_context context;
  auto [near, far] = make_memory_stream(context.get_executor());
  const Frame sent = Progress{"running", 1, 2};
  Result<Frame> got = fail(Code::internal, "nothing was read");
  const auto write = [&sent](ByteStream& stream) -> Task<void> {
    EXPECT_TRUE((co_await write_frame(stream, sent)).has_value());
  };
  const auto read = [&got](ByteStream& stream) -> Task<void> { got = co_await read_frame(stream); };
  asio::co_spawn(context, write(*near), asio::detached);
  asio::co_spawn(context, read(*far), asio::detached);
  context.run();
  EXPECT_TRUE(got.value() == sent);
}

}  // namespace
}  // namespace phase::offer
