// The real thing: worker program, locked-down process, engine, and a model that was trained for it.
#include "worker/inference/inference_worker.h"

#include <algorithm>

#include "worker/inference/inference_fixture_internal.h"

namespace phase::worker {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

class InferenceWorkerTest : public InferenceFixture {};

const Completion kExited{};

TEST_F(InferenceWorkerTest, CompletesText) {
  load("tiny-chat.f16.gguf");
  const Answer answer = ask(greedy(
      0, "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(answer.text, "The capital of France is Paris.");
  EXPECT_EQ(answer.end.completion, kExited);
  ASSERT_EQ(answer.notes.size(), 1U);
  const auto& done = answer.notes[0].at("done").as_object();
  EXPECT_EQ(done.at("reason").as_string(), "stop");
  EXPECT_GT(done.at("prompt_tokens").to_number<int>(), 5);
  EXPECT_GT(done.at("completion_tokens").to_number<int>(), 5);
  EXPECT_EQ(answer.done_of("cached"), 0U);
  EXPECT_NE(answer.done_of("prompt"), UINT64_MAX);
  EXPECT_NE(answer.done_of("eval"), UINT64_MAX);
  EXPECT_NE(answer.done_of("load"), UINT64_MAX);
}

}  // namespace
}  // namespace phase::worker
