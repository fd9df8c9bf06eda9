// What a coordinator believes of a node's run: what the protocol verified, and of that node only.
#include "vcp/coordinator/requester_runner.h"

#include <gtest/gtest.h>

#include "tests/simulation/rogue.h"
#include "tests/simulation/stage.h"

namespace phase::vcp {
namespace {

using simulation::Lie;
using simulation::RogueNode;

class Heard final : public RunWatch {
 public:
  explicit Heard(requester::RevealGate& gate) : gate_(gate) {}
  void accepted(const std::string& id) override { job = id; }
  void committed() override {
    EXPECT_TRUE(shown.empty()) << "shown before it was asked for";
    commits = true;
    gate_.open();
  }
  void output(const job::OutputPiece& piece) override {
    shown.insert(shown.end(), piece.data.begin(), piece.data.end());
  }
  std::string job;
  Bytes shown;
  bool commits = false;

 private:
  requester::RevealGate& gate_;
};

class RunnerTest : public testing::Test {
 protected:
  ~RunnerTest() override { EXPECT_TRUE(stage_.settle()); }

  RogueNode& add(Lie lie) {
    nodes_.push_back(std::make_unique<RogueNode>(stage_.clock, stage_.random, executor_, lie));
    network_.add(nodes_.back()->node.candidate(), nodes_.back()->handler());
    return *nodes_.back();
  }
  /// `stdin_text`, backwards, by `node`.
  Result<RunResult> run(const RogueNode& node, std::string_view stdin_text, bool commit_first) {
    const requester::Request like = simulation::make_request("reverse");
    Spec spec;
    spec.requirements.max_execution_seconds = 60;
    spec.work.job = std::get<job::WasmJob>(like.job);
    spec.work.stdin_bytes = to_bytes(stdin_text);
    spec.work.job.stdin_commitment = job::commit(spec.work.stdin_bytes);
    RunOrder order{"one", node.node.key.public_key(), std::make_shared<const Spec>(spec),
                   like.module, commit_first};
    requester::RevealGate gate;
    heard_ = std::make_unique<Heard>(gate);
    requester::CancelToken cancel;
    Result<RunResult> out = fail(Code::internal, "not run");
    EXPECT_TRUE(stage_.play([&]() -> Task<void> {
      out = co_await runner_.run(std::move(order), *heard_, cancel, gate);
    }));
    return out;
  }

  simulation::Stage stage_;
  asio::any_io_executor executor_ = stage_.context.get_executor();
  identity::KeyPair key_ = identity::KeyPair::generate(stage_.random);
  simulation::SimNetwork network_{stage_.clock, stage_.random, executor_, key_.public_key()};
  RequesterRunner runner_{{stage_.clock, stage_.random, key_, network_, executor_}, {}};
  std::vector<std::unique_ptr<RogueNode>> nodes_;
  std::unique_ptr<Heard> heard_;
};

TEST_F(RunnerTest, AnHonestRunIsVerifiedAndItsNodeTheOnlyOneAsked) {
  RogueNode& other = add(Lie::none);
  RogueNode& node = add(Lie::none);
  for (const bool commit_first : {false, true}) {
    const auto done = run(node, "abc", commit_first);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->refused, "");
    EXPECT_EQ(as_text(done->out), "cba");
    EXPECT_EQ(as_text(heard_->shown), "cba");
    EXPECT_EQ(done->completion.kind, receipt::CompletionKind::exited);
    EXPECT_EQ(done->job_id, heard_->job);
    EXPECT_EQ(heard_->commits, commit_first);
    EXPECT_FALSE(done->receipt.empty() || done->manifest.empty());
  }
  EXPECT_EQ(node.node.replays.admitted.size(), 2U);
  EXPECT_EQ(other.node.replays.admitted.size(), 0U);
}

TEST_F(RunnerTest, AReceiptOfAnotherJobNodeOrOutputIsRefused) {
  for (const Lie lie : {Lie::old_receipt, Lie::other_key, Lie::other_subject, Lie::alter_output,
                        Lie::drop_output, Lie::truncate_output, Lie::other_commit}) {
    SCOPED_TRACE(simulation::lie_name(lie));
    RogueNode& honest = add(Lie::none);
    RogueNode& node = add(lie);
    const bool commit_first = lie == Lie::other_commit;
    if (lie == Lie::old_receipt) {
      const auto first = run(node, "first", false);
      ASSERT_TRUE(first);
      EXPECT_EQ(first->refused, "");
    }
    const auto done = run(node, "abc", commit_first);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_NE(done->refused, "");
    EXPECT_FALSE(done->receipt.empty()) << "what it signed is kept";
    EXPECT_EQ(honest.node.replays.admitted.size(), 0U) << "going elsewhere is the scheduler's";
  }
}

TEST_F(RunnerTest, ANodeIsAskedOnce) {
  for (const Lie lie : {Lie::crash, Lie::cut_frame, Lie::out_of_order}) {
    SCOPED_TRACE(simulation::lie_name(lie));
    RogueNode& node = add(lie);
    EXPECT_FALSE(run(node, "abc", false));
    EXPECT_LE(node.node.replays.admitted.size(), 1U) << "asking again is the scheduler's";
  }
}

}  // namespace
}  // namespace phase::vcp
