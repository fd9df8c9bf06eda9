// An accelerator behind the same walls, in builds that have one. With Vulkan a driver in software
// will do (docs/models.md).
#include "worker/inference/inference_fixture_internal.h"

namespace phase::worker {
namespace {

class InferenceDeviceTest : public InferenceFixture {
 protected:
  void SetUp() override {
    InferenceFixture::SetUp();
    if (IsSkipped()) return;
    worker_.reset();
    start_worker(true, "0");
    load("tiny-chat.f16.gguf");
    if (model_ != nullptr && model_->gpu_bytes() == 0) {
      GTEST_SKIP() << "this machine has no device 0 for that driver";
    }
  }
};

TEST_F(InferenceDeviceTest, AnswersAsTheProcessorDoes) {
  EXPECT_GT(model_->gpu_bytes(), std::filesystem::file_size(models() / "tiny-chat.f16.gguf") / 2);
  EXPECT_LE(model_->gpu_bytes(), model_->memory_bytes());
  EXPECT_EQ(ask(chat("What is the capital of Japan?")).text, "The capital of Japan is Tokyo.");
  const Answer told = ask(chat("Say hello in Japanese."));
  EXPECT_EQ(told.text, "こんにちは");
  EXPECT_NE(told.end.claimed.runtime->find('+'), std::string::npos);
  EngineOptions processor;
  processor.gpu_layers = 0;
  load("tiny-chat.f16.gguf", processor);
  EXPECT_EQ(model_->gpu_bytes(), 0U);
  EXPECT_EQ(ask(chat("What is the capital of Japan?")).text, "The capital of Japan is Tokyo.");
}

TEST_F(InferenceDeviceTest, NoLayerIsMissing) {
  for (const std::string layer :
       {"landlock", "network_namespace", "rlimits", "seccomp", "user_namespace"}) {
    EXPECT_NE(std::ranges::find(model_->isolation(), layer), model_->isolation().end()) << layer;
  }
  EXPECT_EQ(worker_->missing_isolation(), "");
}

}  // namespace
}  // namespace phase::worker
