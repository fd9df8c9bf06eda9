// Goal: the output commitment says what was written, in order, and nothing of how it travelled.
#include "protocol/job/output.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/fuzz/arbitrary_documents.h"

namespace phase::job {
namespace {

OutputSummary whole(const std::vector<OutputPiece>& transcript) {
  OutputChain chain;
  for (const OutputPiece& piece : transcript) chain.append(piece.stream, piece.data);
  return chain.summary();
}

/// spec/output.md, written the plainest way: all bytes first, then segments.
OutputSummary plainly(const std::vector<OutputPiece>& transcript) {
  std::vector<std::pair<OutputStream, std::uint8_t>> bytes;
  for (const OutputPiece& piece : transcript) {
    for (const std::uint8_t byte : piece.data) bytes.emplace_back(piece.stream, byte);
  }
  Sha256 chain = sha256(as_bytes("phase/output/2"));
  std::uint64_t segments = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    Bytes data;
    const OutputStream stream = bytes[at].first;
    while (at < bytes.size() && bytes[at].first == stream && data.size() < 16'384) {
      data.push_back(bytes[at++].second);
    }
    Bytes link = to_bytes(chain.bytes());
    link.push_back(static_cast<std::uint8_t>(stream));
    for (int shift = 24; shift >= 0; shift -= 8) {
      link.push_back(static_cast<std::uint8_t>(data.size() >> static_cast<unsigned>(shift)));
    }
    link.insert(link.end(), data.begin(), data.end());
    chain = sha256(link);
    ++segments;
  }
  return {OutputCommitment{chain.value}, bytes.size(), segments};
}

RC_GTEST_PROP(OutputChain, IsWhatTheSpecificationSays, ()) {
  const auto transcript = arbitrary::transcript();
  RC_ASSERT(whole(transcript) == plainly(transcript));
}

RC_GTEST_PROP(OutputChain, DoesNotDependOnCuttingOrOnBeingAsked, ()) {
  const auto transcript = arbitrary::transcript();
  OutputChain cut;
  for (const OutputPiece& piece : transcript) {
    ByteView left = piece.data;
    while (!left.empty()) {
      const auto n = static_cast<std::size_t>(arbitrary::number(1, left.size()));
      cut.append(piece.stream, left.first(n));
      left = left.subspan(n);
      cut.append(OutputStream::out, {});
      cut.append(OutputStream::err, {});
      static_cast<void>(cut.summary());
    }
  }
  RC_ASSERT(cut.summary() == whole(transcript));
}

RC_GTEST_PROP(OutputChain, SummaryOnTheWayIsThatOfAnOutputThatEndsThere, ()) {
  const auto transcript = arbitrary::transcript();
  OutputChain chain;
  std::vector<OutputPiece> so_far;
  for (const OutputPiece& piece : transcript) {
    chain.append(piece.stream, piece.data);
    so_far.push_back(piece);
    RC_ASSERT(chain.summary() == whole(so_far));
  }
}

RC_GTEST_PROP(OutputChain, OneOtherByteIsAnotherCommitment, ()) {
  auto transcript = arbitrary::transcript();
  transcript.push_back({OutputStream::out, {0}});
  auto other = transcript;
  OutputPiece& piece = arbitrary::coin() ? other.front() : other.back();
  RC_PRE(!piece.data.empty());
  const auto at = static_cast<std::size_t>(arbitrary::number(0, piece.data.size() - 1));
  piece.data[at] = static_cast<std::uint8_t>(piece.data[at] + 1);
  RC_ASSERT(whole(other).commitment != whole(transcript).commitment);
  RC_ASSERT(whole(other).length == whole(transcript).length);
}

TEST(OutputChain, StreamsAreToldApart) {
  EXPECT_NE(whole({{OutputStream::out, {1}}}).commitment,
            whole({{OutputStream::err, {1}}}).commitment);
  EXPECT_EQ(whole({}).length, 0U);
  EXPECT_EQ(whole({}).segments, 0U);
}

}  // namespace
}  // namespace phase::job
