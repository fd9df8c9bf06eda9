// Trees, frames, and the disk: cut anywhere, damaged anywhere.
#include <algorithm>
#include <csignal>
#include <numeric>
#include <random>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>

#include "artifact/artifact_fixture.h"
#include "artifact/frame.h"

namespace phase::artifact {
namespace {

constexpr std::size_t kChunk = kArtifactChunkBytes;

TEST(Tree, HasTheIdOfItsBytesForEveryCount) {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, kChunk - 1, kChunk, kChunk + 1,
                                   3 * kChunk, 5 * kChunk + 9}) {
    const Bytes content = content_of(length);
    EXPECT_EQ(tree_of(content).id(), artifact_id(content)) << length;
  }
}

/// Leaves of small content: a tree of many counts without many megabytes.
Tree made_up(std::uint64_t count) {
  std::vector<Sha256> leaves;
  for (std::uint64_t i = 0; i < count; ++i) leaves.push_back(sha256(as_bytes(std::to_string(i))));
  return {count * kChunk, std::move(leaves)};
}

TEST(Tree, EveryLeafIsProvenAndNoOtherPlaceIs) {
  for (std::uint64_t count = 1; count <= 70; ++count) {
    const Tree tree = made_up(count);
    for (std::uint64_t index = 0; index < count; ++index) {
      const Proof proof = tree.proof(index);
      EXPECT_LE(proof.size(), kProofHashesMax);
      const auto root = root_of(tree.leaves()[index], index, count, proof);
      ASSERT_TRUE(root) << count << " " << index;
      EXPECT_EQ(artifact_id_of(tree.length(), *root), tree.id());
      for (std::uint64_t other = 0; other < count; ++other) {
        const auto moved = root_of(tree.leaves()[index], other, count, proof);
        EXPECT_EQ(moved && artifact_id_of(tree.length(), *moved) == tree.id(), other == index);
      }
    }
  }
}

RC_GTEST_PROP(TreeProperty, AnyTurnedBitIsFound, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 6);
  const Bytes content =
      content_of((count - 1) * kChunk + *rc::gen::inRange<std::size_t>(1, kChunk));
  const Tree tree = tree_of(content);
  const auto index = *rc::gen::inRange<std::uint64_t>(0, count);
  Bytes data = to_bytes(chunk_at(content, index));
  Proof proof = tree.proof(index);
  RC_ASSERT(verify_chunk(tree.id(), content.size(), index, data, proof).has_value());
  const std::size_t bits = (data.size() + 32 * proof.size()) * 8;
  const auto bit = *rc::gen::inRange<std::size_t>(0, bits);
  const std::size_t byte = bit / 8;
  if (byte < data.size()) {
    data[byte] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  } else {
    const std::size_t at = byte - data.size();
    proof[at / 32].value[at % 32] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
  const auto wrong = verify_chunk(tree.id(), content.size(), index, data, proof);
  RC_ASSERT(!wrong && wrong.error().code == Code::verification_failed);
}

TEST(Tree, AnotherLengthIsFound) {
  const Bytes content = content_of(2 * kChunk);
  const Tree tree = tree_of(content);
  EXPECT_FALSE(verify_chunk(tree.id(), content.size() + 1, 0, chunk_at(content, 0), tree.proof(0)));
  EXPECT_FALSE(verify_chunk(tree.id(), content.size(), 2, chunk_at(content, 0), tree.proof(0)));
  EXPECT_FALSE(verify_chunk(tree.id(), content.size(), 0, chunk_at(content, 0), {}));
  Proof longer = tree.proof(0);
  longer.emplace_back();
  EXPECT_FALSE(verify_chunk(tree.id(), content.size(), 0, chunk_at(content, 0), longer));
}

TEST(ArtifactFrames, ReadAsWritten) {
  const Sha256 hash = sha256(as_bytes("x"));
  const std::vector<Frame> frames{Ask{ArtifactId{hash.value}, 7, 16},
                                  Held{kArtifactBytesMax, hash, 3},
                                  Chunk{9, {hash, hash}, content_of(kChunk)},
                                  NotHere{},
                                  Busy{500},
                                  Names{"tiny:latest", {}, {}},
                                  Names{"", hash, {}},
                                  Names{"", {}, ArtifactId{hash.value}},
                                  Records{{to_bytes("one"), to_bytes("two")}},
                                  End{}};
  for (const Frame& frame : frames) {
    const Bytes bytes = encode(frame);
    EXPECT_LE(bytes.size(), 4 + kFrameBytesMax);
    const auto read = decode(ByteView(bytes).subspan(4));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_TRUE(*read == frame);
  }
}

TEST(ArtifactFrames, BoundsHold) {
  const Sha256 hash = sha256(as_bytes("x"));
  const auto refused = [](const Frame& frame) {
    const Bytes bytes = encode(frame);
    return !decode(ByteView(bytes).subspan(4));
  };
  EXPECT_TRUE(refused(Ask{ArtifactId{}, 0, kChunksPerAskMax + 1}));
  EXPECT_TRUE(refused(Held{kArtifactBytesMax + 1, hash, 0}));
  EXPECT_TRUE(refused(Chunk{0, Proof(kProofHashesMax + 1), Bytes(1)}));
  EXPECT_TRUE(refused(Chunk{0, {}, Bytes(kChunk + 1)}));
  EXPECT_TRUE(refused(Chunk{0, {}, {}}));
  EXPECT_TRUE(refused(Busy{kRetryMsMax + 1}));
  EXPECT_TRUE(refused(Names{"", {}, {}}));
  EXPECT_TRUE(refused(Names{std::string(kNameBytesMax + 1, 'a'), {}, {}}));
  EXPECT_TRUE(refused(Records{std::vector<Bytes>(kRecordsPerAnswerMax + 1, Bytes(1))}));
  EXPECT_TRUE(refused(Records{{Bytes(kRecordBytesMax + 1)}}));
  EXPECT_FALSE(decode(Bytes{99}));
  EXPECT_FALSE(decode(Bytes{16, 0}));
  EXPECT_FALSE(decode({}));
}

class PartialTest : public ArtifactTest {
 protected:
  Result<bool> put(Partial& partial, std::uint64_t index) {
    return partial.put(index, chunk_at(content_, index), tree_.leaves()[index]);
  }
  std::filesystem::path part(const char* ending) {
    return folder_ / "store" / "artifacts" / "parts" / (tree_.id().hex() + ending);
  }
  /// The content, put by somebody else who fills what is missing.
  void completes() {
    auto kept = store();
    auto partial = kept->partial(tree_.id());
    ASSERT_TRUE(partial) << partial.error().text();
    ASSERT_TRUE((*partial)->begin(content_.size()));
    const auto held = (*partial)->held();
    for (std::uint64_t i = 0; i < held.size(); ++i) {
      if (held[i]) continue;
      ASSERT_TRUE(put(**partial, i));
    }
    const auto done = kept->finish(**partial, go_on_);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->sha256, sha256(content_));
    EXPECT_EQ(read_all(kept->blob_path(done->sha256)), content_);
    EXPECT_FALSE(kept->has_partial(tree_.id()));
  }

  Bytes content_ = content_of(9 * kChunk + 77);
  Tree tree_ = tree_of(content_);
};

TEST_F(PartialTest, AnyOrderMakesTheSameFile) {
  std::mt19937 order(7);
  for (int round = 0; round < 3; ++round) {
    auto kept = store("round" + std::to_string(round));
    auto partial = kept->partial(tree_.id());
    ASSERT_TRUE(partial);
    ASSERT_TRUE((*partial)->begin(content_.size()));
    std::vector<std::uint64_t> indexes(tree_.leaves().size());
    std::iota(indexes.begin(), indexes.end(), 0);
    std::shuffle(indexes.begin(), indexes.end(), order);
    for (const std::uint64_t index : indexes) {
      EXPECT_TRUE(put(**partial, index).value());
      EXPECT_FALSE(put(**partial, index).value()) << "twice";
    }
    const auto done = kept->finish(**partial, go_on_);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->id, artifact_id(content_));
    EXPECT_EQ(read_all(kept->blob_path(done->sha256)), content_);
    const auto tree = kept->tree(tree_.id());
    ASSERT_TRUE(tree) << "serving it hashes nothing again";
  }
}

TEST_F(PartialTest, WhatWasPutIsThereAfterAKill) {
  {
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    for (const std::uint64_t index : {0U, 3U, 9U}) ASSERT_TRUE(put(**partial, index));
  }  // no sync, no farewell
  {
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE(partial);
    EXPECT_EQ((*partial)->length(), content_.size());
    EXPECT_EQ((*partial)->held_bytes(), 2 * kChunk + 77);
    const auto held = (*partial)->held();
    for (std::uint64_t i = 0; i < held.size(); ++i) EXPECT_EQ(held[i], i == 0 || i == 3 || i == 9);
  }
  completes();
}

/// A journal cut off at every byte: what it still names is there, and the rest can be put.
TEST_F(PartialTest, AJournalCutAnywhereIsGoneOnWith) {
  {
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    for (const std::uint64_t index : {5U, 2U}) ASSERT_TRUE(put(**partial, index));
  }
  const Bytes journal = read_all(part(".log"));
  for (std::size_t cut = 0; cut <= journal.size(); ++cut) {
    std::ofstream(part(".log"), std::ios::binary | std::ios::trunc)
        .write(as_text(journal).data(), static_cast<std::streamsize>(cut));
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE(partial) << cut;
    const auto held = (*partial)->held();
    if ((*partial)->length()) {
      EXPECT_EQ((*partial)->length(), content_.size());
      EXPECT_LE((*partial)->held_bytes(), 2 * kChunk);
      EXPECT_TRUE(!held[2] || held[5]) << "in the order they were put";
    }
    for (std::uint64_t i = 0; i < held.size(); ++i) EXPECT_TRUE(!held[i] || i == 2 || i == 5);
  }
  completes();
}

/// As after a loss of power: the journal got to the disk, some of the data did not.
TEST_F(PartialTest, ChunksThatAreNotOnTheDiskAreForgotten) {
  {
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    for (std::uint64_t i = 0; i < 6; ++i) ASSERT_TRUE(put(**partial, i));
  }
  overwrite(part(".data"), 4 * kChunk + 100, Bytes(1, 0));
  std::filesystem::resize_file(part(".data"), 5 * kChunk);
  auto partial = store()->partial(tree_.id());
  const auto held = (*partial)->held();
  EXPECT_EQ(std::count(held.begin(), held.end(), true), content_[4 * kChunk + 100] == 0 ? 5 : 4);
  EXPECT_FALSE(held[5]);
  partial->reset();
  completes();
}

/// What was synced is not read again at the start; the end finds what is wrong with it.
TEST_F(PartialTest, DamageIsFoundAtTheEndAndPutRight) {
  auto kept = store();
  {
    auto partial = kept->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(put(**partial, i));
  }
  auto partial = kept->partial(tree_.id());  // synced now
  overwrite(part(".data"), 6 * kChunk, Bytes{static_cast<std::uint8_t>(~content_[6 * kChunk])});
  const auto refused = kept->finish(**partial, go_on_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::verification_failed);
  const auto held = (*partial)->held();
  for (std::uint64_t i = 0; i < held.size(); ++i) EXPECT_EQ(held[i], i != 6);
  ASSERT_TRUE(put(**partial, 6));
  EXPECT_TRUE(kept->finish(**partial, go_on_));
}

TEST_F(PartialTest, AJournalOfAnotherArtifactIsNotBelieved) {
  {
    auto partial = store()->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    ASSERT_TRUE(put(**partial, 1));
  }
  overwrite(part(".log"), 8, Bytes(1, static_cast<std::uint8_t>(~tree_.id().value[0])));
  auto partial = store()->partial(tree_.id());
  EXPECT_FALSE((*partial)->length());
  partial->reset();
  completes();
}

TEST_F(PartialTest, TwoProcessesDoNotWriteOne) {
  auto first = store()->partial(tree_.id());
  ASSERT_TRUE(first);
  const auto second = store()->partial(tree_.id());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::busy);
}

TEST_F(PartialTest, ADiskThatIsTooSmallIsSaidBefore) {
  auto partial = store()->partial(tree_.id());
  const auto begun = (*partial)->begin(kArtifactBytesMax);  // no machine of ours has that free
  if (begun) GTEST_SKIP() << "256 GiB are free here";
  EXPECT_EQ(begun.error().code, Code::io);
  EXPECT_NE(begun.error().message.find("no room"), std::string::npos) << begun.error().text();
  EXPECT_FALSE(begun.error().hint.empty());
  EXPECT_EQ((*partial)->begin(kArtifactBytesMax + 1).error().code, Code::too_large);
}

TEST_F(PartialTest, AFileThatMayNotGrowIsAnErrorThatKeepsWhatCame) {
  auto kept = store();
  {
    auto partial = kept->partial(tree_.id());
    ASSERT_TRUE((*partial)->begin(content_.size()));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{3 * kChunk, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    for (std::uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(put(**partial, i));
    const auto refused = put(**partial, 3);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::io);
    EXPECT_FALSE(refused.error().hint.empty());
  }
  auto partial = kept->partial(tree_.id());
  EXPECT_EQ((*partial)->held_bytes(), 3 * kChunk);
  partial->reset();
  completes();
}

TEST_F(PartialTest, TreesAreMadeOnceAndCheckedWhenRead) {
  auto kept = store();
  const auto path = folder_ / "file";
  std::ofstream(path, std::ios::binary)
      .write(as_text(content_).data(), static_cast<std::streamsize>(content_.size()));
  const auto file = open_file(path, O_RDONLY);
  EXPECT_FALSE(kept->tree(tree_.id()));
  ASSERT_TRUE(kept->make_tree(tree_.id(), file->get(), content_.size(), go_on_));
  EXPECT_FALSE(kept->make_tree(ArtifactId{}, file->get(), content_.size(), go_on_));
  ASSERT_TRUE(store()->tree(tree_.id())) << "from the disk";
  overwrite(folder_ / "store" / "artifacts" / "trees" / (tree_.id().hex() + ".tree"), 50,
            Bytes(8, 0));
  EXPECT_FALSE(store()->tree(tree_.id()));
}

}  // namespace
}  // namespace phase::artifact
