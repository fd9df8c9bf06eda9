// What may be pulled and how it is written; who may fetch what from here.
#include "lucid/pulls.h"

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

TEST(PullSpec, NamesDigestsAndIds) {
  const std::string hex(64, 'a');
  const auto plain = PullSpec::parse("Tiny");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name->text(), "tiny:latest");
  EXPECT_TRUE(plain->digest_prefix.empty());
  const auto with = PullSpec::parse("tiny:q8@sha256:0123456789AB");
  ASSERT_TRUE(with);
  EXPECT_EQ(with->name->text(), "tiny:q8");
  EXPECT_EQ(with->digest_prefix, "0123456789ab");
  const auto digest = PullSpec::parse("sha256:" + hex);
  ASSERT_TRUE(digest);
  EXPECT_FALSE(digest->name);
  EXPECT_EQ(digest->digest_prefix, hex);
  for (const std::string& text : {hex, "artifact:" + hex}) {
    const auto id = PullSpec::parse(text);
    ASSERT_TRUE(id) << text;
    EXPECT_EQ(id->id->hex(), hex);
  }
  const std::vector<std::string> all_wrong{
      "", "tiny@sha256:0123", "tiny@md5:" + hex, "artifact:abc", "a@" + hex + "0", "tiny@", "../x"};
  for (const std::string& wrong : all_wrong) {
    const auto refused = PullSpec::parse(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
  }
}

class SharingTest : public LucidTest {
 protected:
  SharingTest() {
    Catalog::Options options;
    options.data_dir = folder_ / "data";
    options.model_dir = folder_ / "models";
    std::filesystem::create_directories(options.model_dir);
    std::filesystem::create_directories(options.data_dir / "facts");
    for (const std::string name : {"tiny", "secret"}) {
      const auto path = options.model_dir / (name + ".gguf");
      write(path, name + " weights");
      worker::ModelInfo info;
      info.architecture = "llama";
      EXPECT_TRUE(write_facts(options.data_dir / "facts", stamp(path).value(),
                              {hash_file(path).value(), info}));
    }
    catalog_ = Catalog::open({clock_, context_.get_executor(), nullptr, log_}, options).value();
    const auto found = run(catalog_->find(ModelName::parse("tiny").value()));
    EXPECT_NE(found, nullptr);
    tiny_ = found;
    secret_ = run(catalog_->find(ModelName::parse("secret").value()));
    set({});
  }
  void set(OperatorPolicy policy) {
    policy.auto_pause_on_battery = false;
    if (!gate_) {
      gate_ = std::make_unique<Gate>(
          Gate::World{clock_, *catalog_, key_.public_key(), "x86_64", [] { return 0; },
                      [](const identity::PublicKey&) { return 0; }, [] { return 12; }},
          policy);
      sharing_ =
          std::make_unique<Sharing>(Sharing::World{clock_, key_, *catalog_, *gate_, book_, log_});
    }
    gate_->set_policy(std::move(policy));
  }
  bool gives(const LocalModelPtr& model, const identity::PublicKey& who) {
    const bool opens = sharing_->open(model->content.id, who).has_value();
    const artifact::Names asked{model->name.text(), {}, {}};
    const auto records = sharing_->records(asked, who);
    if (opens) {
      EXPECT_EQ(records.size(), 1U);
      const auto record = artifact::open_record(records.at(0), clock_.now_utc());
      EXPECT_TRUE(record && record->record.content == model->content);
    } else {
      EXPECT_TRUE(records.empty());
    }
    return opens;
  }

  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  identity::PublicKey stranger_ = identity::KeyPair::generate(random_).public_key();
  identity::PublicKey friend_ = identity::KeyPair::generate(random_).public_key();
  artifact::NameBook book_{folder_};
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Sharing> sharing_;
  LocalModelPtr tiny_, secret_;
};

TEST_F(SharingTest, NothingByDefault) {
  EXPECT_FALSE(gives(tiny_, stranger_));
  OperatorPolicy open;
  open.allow_unauthenticated_jobs = true;
  set(open);
  EXPECT_FALSE(gives(tiny_, stranger_)) << "who may ask a model may not have its file";
  EXPECT_TRUE(sharing_->shared().empty());
}

TEST_F(SharingTest, ThePolicySaysWhatAndToWhom) {
  OperatorPolicy policy;
  policy.share_models = {"ti*"};
  policy.authorized_submitters = {friend_};
  set(policy);
  EXPECT_TRUE(gives(tiny_, friend_));
  EXPECT_FALSE(gives(secret_, friend_));
  EXPECT_FALSE(gives(tiny_, stranger_));
  EXPECT_EQ(sharing_->shared().size(), 1U);
  policy.share_with_anybody = true;
  set(policy);
  EXPECT_TRUE(gives(tiny_, stranger_));
  policy.manual_pause = true;
  set(policy);
  EXPECT_EQ(sharing_->open(tiny_->content.id, stranger_).error().code, Code::busy);
}

TEST_F(SharingTest, WhatWasPushedIsSharedUntilItIsTakenBack) {
  OperatorPolicy policy;
  policy.share_with_anybody = true;
  set(policy);
  EXPECT_FALSE(gives(tiny_, stranger_));
  ASSERT_TRUE(book_.share("tiny:latest"));
  EXPECT_EQ(sharing_->shared().size(), 1U);
  EXPECT_TRUE(gives(tiny_, stranger_));
  EXPECT_FALSE(gives(secret_, stranger_));
  ASSERT_TRUE(*book_.unshare("tiny:latest"));
  EXPECT_TRUE(sharing_->shared().empty());
  EXPECT_FALSE(gives(tiny_, stranger_));
}

TEST_F(SharingTest, RecordsOfOthersArePassedOnToWhoMayAsk) {
  const identity::KeyPair other = identity::KeyPair::generate(random_);
  artifact::NameRecord record;
  record.name = "theirs:latest";
  record.content = job::reference(as_bytes("theirs"));
  record.created = clock_.now_utc();
  record.expires = {record.created.unix_ms + 100'000};
  const auto said = artifact::sign(record, other);
  ASSERT_TRUE(book_.remember({said}, clock_.now_utc()));
  const artifact::Names asked{"theirs:latest", {}, {}};
  EXPECT_TRUE(sharing_->records(asked, stranger_).empty());
  OperatorPolicy policy;
  policy.share_with_anybody = true;
  set(policy);
  EXPECT_EQ(sharing_->records(asked, stranger_), std::vector<Bytes>{said.envelope});
}

}  // namespace
}  // namespace phase::lucid
