#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "base/artifact_text.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/result.h"
#include "base/tree_hash.h"

namespace phase {
namespace {

TEST(Hex, RefusesWhatIsNotExactlyHexadecimalPairs) {
  EXPECT_EQ(from_hex("00fF").value(), (Bytes{0x00, 0xFF}));
  EXPECT_EQ(to_hex(Bytes{0x0A, 0xB0}), "0ab0");
  for (const char* bad : {"0", "+1", "0x", " 1", "g0", "\xC3\xA4"}) {
    EXPECT_EQ(from_hex(bad).error().code, Code::malformed) << bad;
  }
}

TEST(Base64, MatchesRfc4648Section10) {
  const std::map<std::string, std::string> rows{
      {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
      {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : rows) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(as_text(from_base64(encoded).value()), plain);
  }
  for (const char* bad : {"Zg", "Zg=", "Zg==x", "Z g==", "Zm9v\n", "-_=="}) {
    EXPECT_FALSE(from_base64(bad).has_value()) << bad;
  }
}

TEST(Utf8, RefusesOverlongSurrogatesAndCutForms) {
  EXPECT_TRUE(is_utf8(as_bytes("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80")));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xE2\x82", "\xF5\x80\x80\x80", "\x80"}) {
    EXPECT_FALSE(is_utf8(as_bytes(bad)));
  }
}

TEST(Printable, HidesWhatMovesTheCursorOrReordersText) {
  EXPECT_EQ(printable("a\x1B[31mb\nc"), "a?[31mb?c");
  EXPECT_EQ(printable("x\xE2\x80\xAEy"), "x?y");
  EXPECT_EQ(printable("\xFFz"), "?z");
  EXPECT_EQ(printable("abcdef", 3), "abc");
}

// FIPS 180-4 examples, as published with the standard.
TEST(Sha256, MatchesPublishedVectorsWholeAndInPieces) {
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256Stream stream;
  stream.update(as_bytes("a"));
  Sha256Stream copy = stream;
  EXPECT_EQ(stream.update(as_bytes("bc")).finish(), sha256(as_bytes("abc")));
  EXPECT_EQ(copy.update(as_bytes("x")).finish(), sha256(as_bytes("ax")));
}

TEST(ArtifactId, FollowsTheTreeOfRfc9162) {
  const Bytes chunk(kArtifactChunkBytes, 7);
  Bytes three;
  for (int i = 0; i < 3; ++i) three.insert(three.end(), chunk.begin(), chunk.end());
  const auto leaf = [&](ByteView bytes) {
    return Sha256Stream().update_u8(0).update(bytes).finish();
  };
  const auto node = [](const Sha256& a, const Sha256& b) {
    return Sha256Stream().update_u8(1).update(a.bytes()).update(b.bytes()).finish();
  };
  const Sha256 root = node(node(leaf(chunk), leaf(chunk)), leaf(chunk));
  EXPECT_EQ(
      artifact_id(three).value,
      Sha256Stream().update_u8(2).update_u64(three.size()).update(root.bytes()).finish().value);
  EXPECT_NE(artifact_id(Bytes{}).value, artifact_id(Bytes{0}).value);
}

/// RFC 9162 §2.1.1 word for word, over the hashes of the leaves.
Sha256 merkle_tree_hash(std::span<const Sha256> leaves) {
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (2 * k < leaves.size()) k *= 2;
  return Sha256Stream()
      .update_u8(1)
      .update(merkle_tree_hash(leaves.first(k)).bytes())
      .update(merkle_tree_hash(leaves.subspan(k)).bytes())
      .finish();
}

TEST(ArtifactId, IsTheTreeOfRfc9162HoweverTheBytesCome) {
  std::vector<Sha256> leaves;
  ArtifactIdStream stream;
  std::uint64_t length = 0;
  for (std::uint8_t chunk = 0; chunk < 20; ++chunk) {
    // Whole chunks, then one that is not: in uneven pieces, at every count of leaves.
    const Bytes bytes(chunk == 19 ? 1000 : kArtifactChunkBytes, chunk);
    leaves.push_back(Sha256Stream().update_u8(0).update(bytes).finish());
    length += bytes.size();
    const std::size_t cut = bytes.size() / 3 + chunk;
    stream.update(ByteView(bytes).first(cut)).update({}).update(ByteView(bytes).subspan(cut));
    const Sha256 root = merkle_tree_hash(leaves);
    EXPECT_EQ(stream.finish().value,
              Sha256Stream().update_u8(2).update_u64(length).update(root.bytes()).finish().value)
        << leaves.size() << " leaves";
  }
}

TEST(ArtifactText, IsReadAsItIsWritten) {
  const ArtifactId id = artifact_id(as_bytes("x"));
  EXPECT_EQ(*parse_artifact(artifact_text(id)), id);
  EXPECT_EQ(*parse_artifact(id.hex()), id);
  for (const std::string& text :
       {std::string(64, 'a'), artifact_text(id), std::string("artifact:")}) {
    EXPECT_TRUE(looks_like_artifact(text)) << text;
  }
  for (const std::string& text : {std::string("hello.wasm"), std::string(64, 'g'),
                                  std::string(63, 'a'), std::string(64, 'A')}) {
    EXPECT_FALSE(looks_like_artifact(text)) << text;
  }
  for (const std::string& text : {std::string("artifact:12"), std::string("artifact:"),
                                  "artifact:" + std::string(64, 'A'), std::string{}}) {
    EXPECT_EQ(parse_artifact(text).error().code, Code::invalid_argument) << text;
  }
}

TEST(Random, UuidIsVersion4AndBelowStaysBelow) {
  SystemRandom random;
  const std::string uuid = random.uuid();
  ASSERT_EQ(uuid.size(), 36U);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(7), 7U);
}

// spec/errors.md is what other programs read; the code must say the same.
TEST(Code, TableEqualsTheSpecification) {
  std::ifstream file(PHASE_SOURCE_DIR "/spec/errors.md");
  ASSERT_TRUE(file);
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    rows[line.substr(3, line.find('`', 3) - 3)] = line;
  }
  int seen = 0;
  for (int value = 1; value <= 21; ++value, ++seen) {
    const auto code = static_cast<Code>(value);
    const std::string name(code_name(code));
    ASSERT_TRUE(rows.contains(name)) << name;
    const std::string start = "| `" + name + "` | " + std::to_string(code_http_status(code)) +
                              " | " + std::to_string(code_exit_status(code)) + " |";
    EXPECT_TRUE(rows[name].starts_with(start)) << rows[name];
    EXPECT_EQ(rows[name].ends_with("| no |"), !code_retryable(code)) << name;
  }
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(seen));
}

}  // namespace
}  // namespace phase
