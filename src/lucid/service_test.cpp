// The service over a whole node: real store, provider and receipts, echo as the model.
#include "lucid/service.h"

#include "lucid/lucid_fixture.h"
#include "lucid/lucid_node.h"

namespace phase::lucid {
namespace {

class ServiceTest : public LucidTest {
 protected:
  ServiceTest() {
    std::filesystem::create_directories(folder_ / "data");
    start();
  }
  ~ServiceTest() override {
    node_.reset();
    context_.restart();
    context_.run_for(std::chrono::milliseconds(10));
  }
  void start() {
    node_.reset();
    LucidNode::Options options;
    options.data_dir = folder_ / "data";
    options.policy_file = folder_ / "policy.toml";
    options.sys_root = folder_ / "sys";
    options.catalog.data_dir = folder_ / "data" / "models";
    options.catalog.echo = true;
    options.agent = "test";
    auto node = run(LucidNode::start({clock_, random_, key_, context_.get_executor(), log_},
                                     std::move(options)));
    ASSERT_TRUE(node) << node.error().text();
    node_ = *std::move(node);
  }
  struct Heard {
    std::string text, job;
    std::optional<Finished> finished;
    std::optional<Error> error;
  };
  static Task<Heard> hear(Lucid& lucid, Ask ask) {
    Heard out;
    Result<std::unique_ptr<Answer>> answer = co_await lucid.ask(std::move(ask));
    if (!answer) {
      out.error = answer.error();
      co_return out;
    }
    while (!out.finished && !out.error) {
      Result<AnswerEvent> event = co_await (*answer)->next();
      if (!event) {
        out.error = event.error();
      } else if (const auto* route = std::get_if<Route>(&*event)) {
        out.job = route->job_id;
      } else if (const auto* piece = std::get_if<job::OutputPiece>(&*event)) {
        if (piece->stream == job::OutputStream::out) out.text += as_text(piece->data);
      } else if (auto* last = std::get_if<Finished>(&*event)) {
        out.finished = std::move(*last);
      }
    }
    co_return out;
  }
  Heard ask(std::string_view prompt, bool require_verified = false, std::uint64_t tokens = 0) {
    Ask one;
    one.model = "echo";
    one.prompt_kind = 0;
    one.prompt = to_bytes(prompt);
    one.require_verified = require_verified;
    one.tokens_max = tokens;
    return run(hear(node_->service(), std::move(one)));
  }

  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  std::unique_ptr<LucidNode> node_;
};

TEST_F(ServiceTest, AnswersAreVerifiedAndTheirReceiptsKept) {
  for (const bool held : {false, true}) {
    const Heard heard = ask("hello", held);
    ASSERT_TRUE(heard.finished) << (heard.error ? heard.error->text() : "");
    EXPECT_EQ(heard.text, "olleh");
    EXPECT_EQ(heard.finished->verdict, Verdict::verified);
    const auto kept = run(node_->service().receipt(heard.job));
    ASSERT_TRUE(kept);
    EXPECT_EQ(as_text(kept->prompt), "hello");
    EXPECT_FALSE(kept->receipt.empty() || kept->manifest.empty() || kept->output.empty());
  }
}

TEST_F(ServiceTest, ReceiptsOutliveTheNodePromptsDoNot) {
  const Heard heard = ask("hello");
  const auto before = run(node_->service().receipt(heard.job));
  ASSERT_TRUE(before);
  start();
  const auto after = run(node_->service().receipt(heard.job));
  ASSERT_TRUE(after);
  EXPECT_EQ(after->receipt, before->receipt);
  EXPECT_EQ(after->manifest, before->manifest);
  EXPECT_TRUE(after->prompt.empty() && after->output.empty());
  for (const std::string& job : {std::string(64, '0'), std::string("x"), std::string()}) {
    const auto none = run(node_->service().receipt(job));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::not_found);
  }
}

TEST_F(ServiceTest, WhatIsHeldInMemoryIsBounded) {
  const std::string large(kKeptBytesMax / 5, 'x');
  const std::string first = ask(large, false, 1).job;
  std::string last;
  for (int i = 0; i < 5; ++i) last = ask(large, false, 1).job;
  const auto oldest = run(node_->service().receipt(first));
  ASSERT_TRUE(oldest) << "the receipt itself is in the store";
  EXPECT_TRUE(oldest->prompt.empty());
  EXPECT_FALSE(oldest->receipt.empty());
  const auto newest = run(node_->service().receipt(last));
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->prompt.size(), large.size());
}

TEST_F(ServiceTest, AModelThatIsNotHere) {
  Ask one;
  one.prompt = to_bytes(std::string_view("{}"));
  for (const char* name : {"other", "", "../x", "echo:other"}) {
    one.model = name;
    const Heard heard = run(hear(node_->service(), one));
    ASSERT_TRUE(heard.error) << name;
    EXPECT_EQ(heard.error->code, Code::not_found);
    EXPECT_FALSE(run(node_->service().load(name, std::nullopt)));
  }
  EXPECT_TRUE(run(node_->service().load("echo", std::nullopt)));
  EXPECT_EQ(node_->service().models().running().size(), 1U);
  EXPECT_TRUE(run(node_->service().load("echo", Duration{0})));
  EXPECT_TRUE(node_->service().models().running().empty());
}

}  // namespace
}  // namespace phase::lucid
