#include "lucid/name_meaning.h"

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

class MeaningTest : public ::testing::Test {
 protected:
  requester::Candidate provider(const identity::KeyPair& key, const job::ArtifactRef& content,
                                const std::string& name = "tiny:latest") const {
    requester::Candidate out;
    out.key = key.public_key();
    out.capabilities.models = {Sha256{content.id.value}};
    out.capabilities.model_names = {name};
    return out;
  }
  static artifact::SignedRecord record(const identity::KeyPair& key,
                                       const job::ArtifactRef& content) {
    artifact::NameRecord out;
    out.name = "tiny:latest";
    out.content = content;
    return artifact::sign(out, key);
  }
  static std::string text_of(const identity::KeyPair& key) { return key.peer_id().text(); }
  Result<ArtifactId> means(std::string_view written, const std::optional<artifact::Pin>& pin = {},
                           const std::vector<artifact::SignedRecord>& records = {}) const {
    return meaning_of(*PullSpec::parse(written), offers_, pin, records);
  }
  static void expect_words(const Result<ArtifactId>& got, Code code,
                           const std::vector<std::string>& words) {
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, code);
    for (const std::string& word : words) {
      EXPECT_NE(got.error().text().find(word), std::string::npos)
          << word << " in " << got.error().text();
    }
  }

  SystemRandom random_;
  identity::KeyPair ada_ = identity::KeyPair::generate(random_),
                    bob_ = identity::KeyPair::generate(random_),
                    eve_ = identity::KeyPair::generate(random_);
  job::ArtifactRef one_ = job::reference(as_bytes("one")), two_ = job::reference(as_bytes("two"));
  /// Two say one thing, the third another.
  std::vector<requester::Candidate> offers_{provider(ada_, one_), provider(bob_, one_, "Tiny"),
                                            provider(eve_, two_)};
};

TEST_F(MeaningTest, WhatAllSayIsMeant) {
  offers_.pop_back();
  EXPECT_EQ(means("tiny"), one_.id);
  expect_words(means("other"), Code::not_found, {"no peers serving model 'other:latest'"});
}

TEST_F(MeaningTest, AConflictIsRefusedAndNamesWhoSaysWhat) {
  expect_words(means("tiny", {}, {record(ada_, one_)}), Code::already_exists,
               {"conflict", text_of(ada_), text_of(bob_), text_of(eve_),
                "sha256:" + one_.sha256.hex().substr(0, 12),
                "artifact:" + two_.id.hex().substr(0, 12), "lucidd pin", "@sha256:"});
}

TEST_F(MeaningTest, APinChooses) {
  artifact::Pin pin;
  pin.name = "tiny:latest";
  pin.publisher = eve_.public_key();
  EXPECT_EQ(means("tiny", pin), two_.id);
  pin.publisher.reset();
  pin.sha256 = one_.sha256;
  EXPECT_EQ(means("tiny", pin, {record(ada_, one_)}), one_.id);
  pin.id = one_.id;
  EXPECT_EQ(means("tiny", pin), one_.id);
  // Nobody serves what it is held to: not another content in its place, however many say so.
  pin.id = job::reference(as_bytes("three")).id;
  expect_words(means("tiny", pin), Code::already_exists,
               {"conflict", "pinned", text_of(ada_), text_of(eve_), "lucidd unpin"});
  pin = {};
  pin.name = "tiny:latest";
  pin.publisher = identity::KeyPair::generate(random_).public_key();
  expect_words(means("tiny", pin), Code::already_exists, {"conflict", "pinned"});
}

/// A publisher who signs for a name, and serves it not: others who have that content are asked.
TEST_F(MeaningTest, APublisherNeedNotServe) {
  const auto publisher = identity::KeyPair::generate(random_);
  artifact::Pin pin;
  pin.name = "tiny:latest";
  pin.publisher = publisher.public_key();
  EXPECT_EQ(means("tiny", pin, {record(ada_, one_), record(publisher, two_)}), two_.id);
}

TEST_F(MeaningTest, ADigestChoosesBeforeAPin) {
  const std::vector<artifact::SignedRecord> records{record(ada_, one_), record(eve_, two_)};
  artifact::Pin pin;
  pin.name = "tiny:latest";
  pin.id = one_.id;
  pin.sha256 = one_.sha256;
  const std::string written = "tiny@sha256:" + two_.sha256.hex().substr(0, 12);
  EXPECT_EQ(means(written, pin, records), two_.id);
  expect_words(means(written, {}, {}), Code::not_found, {written, "--publisher", text_of(eve_)});
  offers_.pop_back();
  expect_words(means(written, {}, records), Code::not_found, {written});
}

}  // namespace
}  // namespace phase::lucid
