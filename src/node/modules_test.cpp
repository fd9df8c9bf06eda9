// Modules on a disk, without a network: kept, bounded, remembered, checked when read.
#include "node/modules.h"

#include <fstream>

#include <spdlog/sinks/null_sink.h>

#include "base/loop_fixture.h"

namespace phase::node {
namespace {

namespace fs = std::filesystem;

class ModulesTest : public LoopTest {
 protected:
  ModulesTest() { open(); }
  ~ModulesTest() override { close(); }
  void open() {
    const Modules::World place{clock_,  key_.public_key(),       policy_, "nobody",
                               nullptr, context_.get_executor(), log_};
    auto opened = Modules::open(place, folder_ / "artifacts", limits_);
    ASSERT_TRUE(opened) << opened.error().text();
    modules_ = *std::move(opened);
  }
  void close() {
    modules_.reset();
    context_.restart();
    context_.poll();
  }
  job::ArtifactRef keep(std::string_view content) {
    auto bytes = std::make_shared<const Bytes>(to_bytes(content));
    const job::ArtifactRef ref = job::reference(*bytes);
    const auto kept = run(modules_->keep(std::move(bytes), ref));
    EXPECT_TRUE(kept) << kept.error().text();
    return ref;
  }
  Result<control::KeptModule> get(const job::ArtifactRef& ref) {
    const control::ModuleKeeper::Progress nobody_looks = [](const offer::Progress&) {};
    requester::CancelToken cancel;
    return run(modules_->get(ref.id, nobody_looks, cancel));
  }
  fs::path blob(const job::ArtifactRef& ref) const {
    return folder_ / "artifacts" / "blobs" / ("sha256-" + ref.sha256.hex());
  }

  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  policy::Policy policy_{clock_, {}};
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  ModuleLimits limits_{10, false};
  std::unique_ptr<Modules> modules_;
};

TEST_F(ModulesTest, WhatIsKeptIsGivenBackAlsoAfterARestart) {
  const auto ref = keep("aaaa");
  for (int restarts = 0; restarts < 2; ++restarts) {
    const auto got = get(ref);
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->ref, ref);
    EXPECT_EQ(as_text(got->bytes), "aaaa");
    close();
    open();
  }
}

TEST_F(ModulesTest, TheOneNotUsedForLongestLeavesTheDisk) {
  const auto first = keep("aaaa");
  const auto second = keep("bbbb");
  EXPECT_TRUE(get(first));
  const auto third = keep("cccc");
  EXPECT_FALSE(fs::exists(blob(second)));
  EXPECT_TRUE(fs::exists(blob(first)));
  EXPECT_TRUE(fs::exists(blob(third)));
  const auto gone = get(second);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::unavailable);
  EXPECT_NE(gone.error().message.find("nobody has it"), std::string::npos);
  EXPECT_FALSE(gone.error().hint.empty());
}

TEST_F(ModulesTest, ASmallerLimitHoldsFromTheNextStart) {
  const auto first = keep("aaaa");
  const auto second = keep("bbbb");
  close();
  limits_.bytes_max = 5;
  open();
  EXPECT_FALSE(fs::exists(blob(first)));
  EXPECT_TRUE(get(second));
}

TEST_F(ModulesTest, DamageIsNoticed) {
  const auto ref = keep("aaaa");
  std::ofstream(blob(ref), std::ios::binary) << "aaab";
  const auto got = get(ref);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::unavailable);
  EXPECT_EQ(keep("aaaa"), ref);  // whoever has it can give it again
  EXPECT_TRUE(get(ref));
}

TEST_F(ModulesTest, FilesThatNobodyKnowsAreSwept) {
  const auto ref = keep("aaaa");
  const auto cut = keep("bbbb");
  close();
  std::ofstream(blob(ref).parent_path() / "sha256-half.tmp") << "x";
  std::ofstream(blob(job::reference(as_bytes("never noted")))) << "never noted";
  std::ofstream(blob(cut)) << "b";
  open();
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(blob(ref).parent_path()))
    ++files;
  EXPECT_EQ(files, 1U);
  EXPECT_TRUE(get(ref));
  EXPECT_FALSE(get(cut));
}

TEST_F(ModulesTest, WhoCancelledGetsNothing) {
  const control::ModuleKeeper::Progress nobody_looks = [](const offer::Progress&) {};
  requester::CancelToken cancel;
  cancel.request();
  const auto got = run(modules_->get(job::reference(as_bytes("x")).id, nobody_looks, cancel));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::cancelled);
}

}  // namespace
}  // namespace phase::node
