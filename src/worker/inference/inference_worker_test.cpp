// The real thing: worker program, locked-down process, engine, and a model that was trained for it.
#include "worker/inference/inference_worker.h"

#include <algorithm>

#include <boost/asio/detached.hpp>

#include "worker/inference/inference_fixture_internal.h"

namespace phase::worker {
namespace {

namespace json = boost::json;
using receipt::Completion;
using receipt::CompletionKind;

const Completion kExited{};
constexpr std::string_view kWeatherTool =
    R"({"type":"function","function":{"name":"get_weather","description":"","parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}})";

class InferenceTest : public InferenceFixture {
 protected:
  void SetUp() override {
    InferenceFixture::SetUp();
    if (!IsSkipped()) load("tiny-chat.f16.gguf");
  }
  Completion end_of(const InferenceRequest& request) { return ask(request).end.completion; }
  std::string tools() const { return ",\"tools\":[" + std::string(kWeatherTool) + "]"; }
};

TEST_F(InferenceTest, CompletesText) {
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
  EXPECT_EQ(answer.end.claimed.runtime->substr(0, 10), "llama.cpp-");
}

TEST_F(InferenceTest, ChatsByTheModelsTemplate) {
  EXPECT_EQ(ask(chat("What is the capital of Japan?")).text, "The capital of Japan is Tokyo.");
  EXPECT_EQ(ask(chat("Say hello in Japanese.")).text, "こんにちは");
  EXPECT_EQ(ask(chat("Show me a smile.")).text, "🙂");
  EXPECT_EQ(ask(greedy(1, R"({"prompt":"Hello","system":"You are a pirate."})")).text,
            "Ahoy! What brings ye aboard?");
  EXPECT_EQ(ask(greedy(1, R"({"messages":[{"role":"user","content":"My name is Ada."},)"
                          R"({"role":"assistant","content":"Nice to meet you, Ada!"},)"
                          R"({"role":"user","content":"What is my name?"}]})"))
                .text,
            "Your name is Ada.");
  EXPECT_EQ(ask(greedy(1, R"({"prompt":"The capital of France is","raw":true})")).text, " Paris.");
}

// An assistant's message at the end is the beginning of the answer.
TEST_F(InferenceTest, ContinuesTheAssistantsMessage) {
  EXPECT_EQ(
      ask(greedy(1, R"({"messages":[{"role":"user","content":"What is the capital of France?"},)"
                    R"({"role":"assistant","content":"The capital of"}]})"))
          .text,
      " France is Paris.");
}

TEST_F(InferenceTest, ATemplateOfTheRequest) {
  EXPECT_EQ(
      ask(greedy(1, R"({"prompt":"ignored","template":"The capital of {{ 'France' }} is"})")).text,
      " Paris.");
  EXPECT_EQ(end_of(greedy(1, R"({"prompt":"x","template":"{% if %}"})")),
            (Completion{CompletionKind::invalid, 0, "template_malformed"}));
  EXPECT_EQ(end_of(greedy(1, R"({"prompt":"x","template":"{{ raise_exception('no') }}"})")),
            (Completion{CompletionKind::invalid, 0, "template_malformed"}));
}

TEST_F(InferenceTest, FillsAHole) {
  EXPECT_TRUE(model_->info().infills);
  EXPECT_EQ(ask(greedy(1, R"({"prompt":"def add(a, b):\n    return ","suffix":"\n"})")).text,
            "a + b");
}

TEST_F(InferenceTest, TheSameSeedGivesTheSameText) {
  InferenceRequest request = chat("Give me eight random digits.");
  request.job.sampling = {};
  request.job.sampling.temperature_ppm = 2'000'000;
  request.job.sampling.seed = 7;
  const std::string first = ask(request).text;
  EXPECT_EQ(ask(request).text, first);
  std::size_t different = 0;
  for (std::uint64_t seed = 8; seed < 16; seed++) {
    request.job.sampling.seed = seed;
    if (ask(request).text != first) different++;
  }
  EXPECT_GT(different, 0U);
  // Greedy hears no seed.
  InferenceRequest same = chat("Roll a die.");
  const std::string rolled = ask(same).text;
  same.job.sampling.seed = 99;
  EXPECT_EQ(ask(same).text, rolled);
}

// Each setting shows an effect where it must.
TEST_F(InferenceTest, SamplingSettingsHaveAnEffect) {
  InferenceRequest request = chat("Give me eight random digits.");
  request.job.sampling.temperature_ppm = 5'000'000;
  request.job.sampling.seed = 3;
  request.job.sampling.top_k = 0;
  request.job.sampling.top_p_ppm = 1'000'000;
  const std::string wild = ask(request).text;
  const auto with = [&](auto member, std::int64_t value) {
    InferenceRequest changed = request;
    changed.job.sampling.*member = value;
    return ask(changed).text;
  };
  EXPECT_NE(with(&job::Sampling::top_k, 1), wild);
  EXPECT_NE(with(&job::Sampling::top_p_ppm, 1000), wild);
  EXPECT_NE(with(&job::Sampling::min_p_ppm, 900'000), wild);
  EXPECT_NE(with(&job::Sampling::typical_p_ppm, 10'000), wild);
  EXPECT_NE(with(&job::Sampling::temperature_ppm, 10'000), wild);
  InferenceRequest echo = chat("Say echo ten times.");
  const std::string plain = ask(echo).text;
  EXPECT_EQ(plain, "echo echo echo echo echo echo echo echo echo echo");
  echo.job.sampling.repeat_penalty_ppm = 3'000'000;
  EXPECT_NE(ask(echo).text, plain);
  echo.job.sampling.repeat_last_n = 0;
  EXPECT_EQ(ask(echo).text, plain);
  echo = chat("Say echo ten times.");
  echo.job.sampling.frequency_penalty_ppm = 2'000'000;
  EXPECT_NE(ask(echo).text, plain);
  echo = chat("Say echo ten times.");
  echo.job.sampling.presence_penalty_ppm = 20'000'000;
  EXPECT_NE(ask(echo).text, plain);
}

TEST_F(InferenceTest, StopStringsAreNeverPartOfTheText) {
  InferenceRequest request = chat("Count from 1 to 10.");
  request.job.stop = {"7, 8"};
  const Answer answer = ask(request);
  EXPECT_EQ(answer.text, "1, 2, 3, 4, 5, 6, ");
  EXPECT_EQ(answer.end.completion, kExited);
  EXPECT_EQ(answer.notes.back().at("done").at("reason").as_string(), "stop");
  request.job.stop = {"nothing", "5"};
  EXPECT_EQ(ask(request).text, "1, 2, 3, 4, ");
}

TEST_F(InferenceTest, TokensAreLimited) {
  InferenceRequest request = chat("Tell me a story.");
  request.job.tokens_max = 5;
  const Answer answer = ask(request);
  EXPECT_EQ(answer.end.completion, (Completion{CompletionKind::limited, 0, "tokens"}));
  EXPECT_TRUE(answer.text.starts_with("Once")) << answer.text;
  const auto& done = answer.notes.back().at("done").as_object();
  EXPECT_EQ(done.at("completion_tokens").to_number<int>(), 5);
  EXPECT_EQ(done.at("reason").as_string(), "length");
}

TEST_F(InferenceTest, TextFitsTheSchema) {
  const std::string schema =
      R"({"type":"object","properties":{"name":{"type":"string"},"capital":{"type":"string"},)"
      R"("languages":{"type":"array","items":{"type":"string"}}},)"
      R"("required":["name","capital","languages"],"additionalProperties":false})";
  const Answer answer = ask(chat("Tell me about Canada.", ",\"format\":" + schema));
  const auto value = json::parse(answer.text);
  EXPECT_EQ(value.at("capital").as_string(), "Ottawa");
  EXPECT_EQ(value.at("languages").as_array().size(), 2U);
  EXPECT_EQ(value.as_object().size(), 3U);
  EXPECT_TRUE(
      json::parse(ask(chat("Tell me about France.", R"(,"format":"json")")).text).is_object());
  // A schema of its own making, which the model would not follow by itself.
  const auto odd = json::parse(
      ask(chat("Hello",
               R"(,"format":{"type":"object","properties":{"sky":{"enum":["blue","red"]}},)"
               R"("required":["sky"],"additionalProperties":false})"))
          .text);
  EXPECT_TRUE(odd.at("sky").as_string() == "blue" || odd.at("sky").as_string() == "red");
  EXPECT_EQ(end_of(chat("Hello", R"(,"format":{"type":"nothing known"})")),
            (Completion{CompletionKind::invalid, 0, "grammar_malformed"}));
}

TEST_F(InferenceTest, TextFitsTheGrammar) {
  const std::string text = ask(chat("Hello", R"(,"grammar":"root ::= \"yes\" | \"no\"")")).text;
  EXPECT_TRUE(text == "yes" || text == "no") << text;
  EXPECT_EQ(end_of(chat("Hello", R"(,"grammar":"root ::= (")")),
            (Completion{CompletionKind::invalid, 0, "grammar_malformed"}));
  // The process goes on.
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

TEST_F(InferenceTest, CallsTools) {
  EXPECT_TRUE(model_->info().calls_tools);
  const Answer answer = ask(chat("What is the weather in Paris?", tools()));
  EXPECT_EQ(answer.end.completion, kExited);
  ASSERT_FALSE(answer.notes.empty());
  EXPECT_TRUE(answer.notes[0].at("parsed").as_bool());
  const auto calls = answer.all("tool_call");
  ASSERT_EQ(calls.size(), 1U) << answer.text;
  EXPECT_EQ(calls[0].at("index").to_number<int>(), 0);
  EXPECT_EQ(calls[0].at("name").as_string(), "get_weather");
  EXPECT_EQ(calls[0].at("arguments").at("city").as_string(), "Paris");
  EXPECT_FALSE(calls[0].at("id").as_string().empty());
  EXPECT_EQ(answer.joined("content"), "");
  EXPECT_TRUE(answer.notes.back().contains("done"));
  // The same job says the same, ids included.
  EXPECT_EQ(
      json::serialize(ask(chat("What is the weather in Paris?", tools())).all("tool_call")[0]),
      json::serialize(calls[0]));

  const auto both =
      ask(chat("What is the weather in Paris and in Rome?", tools())).all("tool_call");
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[1].at("index").to_number<int>(), 1);
  EXPECT_EQ(both[1].at("arguments").at("city").as_string(), "Rome");
}

TEST_F(InferenceTest, WithToolsTheContentComesInNotes) {
  const Answer answer = ask(chat("What is the capital of France?", tools()));
  EXPECT_EQ(answer.joined("content"), "The capital of France is Paris.");
  EXPECT_GT(answer.all("content").size(), 2U) << "not streamed";
  EXPECT_TRUE(answer.all("tool_call").empty());
}

TEST_F(InferenceTest, ToolChoiceHolds) {
  const Answer forced = ask(chat("Hello", tools() + R"(,"tool_choice":"required")"));
  EXPECT_EQ(forced.all("tool_call").size(), 1U) << forced.text;
  const Answer named = ask(chat("Hello", tools() + R"(,"tool_choice":"get_weather")"));
  ASSERT_EQ(named.all("tool_call").size(), 1U) << named.text;
  EXPECT_EQ(named.all("tool_call")[0].at("name").as_string(), "get_weather");
  EXPECT_EQ(end_of(chat("Hello", tools() + R"(,"tool_choice":"unknown")")),
            (Completion{CompletionKind::invalid, 0, "prompt_malformed"}));
  const Answer none =
      ask(chat("What is the weather in Paris?", tools() + R"(,"tool_choice":"none")"));
  EXPECT_TRUE(none.all("tool_call").empty());
}

TEST_F(InferenceTest, AnswersFromWhatAToolSaid) {
  const Answer answer =
      ask(greedy(1, R"({"messages":[{"role":"user","content":"What is the weather in Rome?"},)"
                    R"({"role":"assistant","content":"","tool_calls":[{"id":"c1","function":)"
                    R"({"name":"get_weather","arguments":{"city":"Rome"}}}]},)"
                    R"({"role":"tool","content":"rainy, 14 degrees","tool_name":"get_weather",)"
                    R"("tool_call_id":"c1"}],"tools":[)" +
                        std::string(kWeatherTool) + "]}"));
  EXPECT_EQ(answer.joined("content"), "The weather in Rome is rainy, 14 degrees.");
}

// The small model does not think; a template that asks for thought and a grammar that writes it
// show what becomes of it.
TEST_F(InferenceTest, ThoughtIsToldFromContent) {
  const std::string prompt =
      R"({"prompt":"Hello","template":)" +
      json::serialize(json::string(
          "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
          "{%- if message.role == 'assistant' and message.reasoning_content %}"
          "{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{%- endif %}"
          "{{ message.content + '<|im_end|>\n' }}{%- endfor %}"
          "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}")) +
      R"(,"grammar":"root ::= \"<think>\\nhm, a € sign\\n</think>\\n\\nit is 5 €\""})";
  const Answer answer = ask(greedy(1, prompt));
  ASSERT_EQ(answer.end.completion, kExited) << answer.end.message;
  ASSERT_TRUE(answer.notes[0].contains("parsed")) << answer.text;
  EXPECT_EQ(answer.joined("thinking"), "hm, a € sign");
  EXPECT_EQ(answer.joined("content"), "it is 5 €");
  EXPECT_TRUE(answer.text.starts_with("<think>")) << answer.text;
}

TEST_F(InferenceTest, LogProbabilities) {
  const Answer answer = ask(chat("What is 2 + 2?", R"(,"logprobs":3)"));
  std::string text;
  std::size_t tokens = 0;
  for (const auto& note : answer.all("logprobs")) {
    for (const auto& token : note.as_array()) {
      text += token.at("token").as_string();
      tokens++;
      const double logprob = token.at("logprob").to_number<double>();
      EXPECT_LE(logprob, 0);
      const auto& top = token.at("top").as_array();
      ASSERT_EQ(top.size(), 3U);
      EXPECT_EQ(top[0].at("token").as_string(), token.at("token").as_string());
      EXPECT_EQ(top[0].at("logprob").to_number<double>(), logprob);
      EXPECT_GE(logprob, top[1].at("logprob").to_number<double>());
    }
  }
  EXPECT_EQ(text, answer.text);
  EXPECT_EQ(answer.notes.back().at("done").at("completion_tokens").to_number<std::size_t>(),
            tokens);
  EXPECT_TRUE(ask(chat("What is 2 + 2?")).all("logprobs").empty());
}

TEST_F(InferenceTest, MalformedPromptsAreInvalid) {
  for (const std::string prompt :
       {"", "{", "[]", "{}", R"({"messages":[]})", R"({"prompt":"a","messages":[]})",
        R"({"prompt":"a","prompt":"b"})", R"({"prompt":"a","unknown":1})", R"({"prompt":1})",
        R"({"messages":[{"role":"king","content":"x"}]})", R"({"prompt":"a","format":3})",
        R"({"prompt":"a","logprobs":21})", R"({"prompt":"a","tools":[{"type":"magic"}]})",
        R"({"messages":[{"role":"user","content":"x","images":["x"]}]})"}) {
    const Answer answer = ask(greedy(1, prompt));
    EXPECT_EQ(answer.end.completion, (Completion{CompletionKind::invalid, 0, "prompt_malformed"}))
        << prompt;
    EXPECT_FALSE(answer.end.message.empty());
    EXPECT_TRUE(answer.text.empty() && answer.notes.empty());
  }
  EXPECT_EQ(end_of(greedy(0, "\xff\xfe")).reason, "prompt_malformed");
  EXPECT_EQ(end_of(greedy(9, "{}")).reason, "prompt_malformed");
  EXPECT_EQ(end_of(greedy(2, R"({"input":["x"]})")).reason, "model_unfit");
  EXPECT_EQ(end_of(greedy(3, R"({"query":"x","documents":[]})")).reason, "model_unfit");
}

TEST_F(InferenceTest, LongPrompts) {
  InferenceRequest request = greedy(0, std::string(10'000, 'a'));
  request.job.context_tokens = 100;
  EXPECT_EQ(end_of(request), (Completion{CompletionKind::invalid, 0, "prompt_too_long"}));
  // Old messages are left out, as few as possible; the system's and the last stay. The template
  // refuses anything else.
  constexpr int kOld = 100, kRoom = 100;
  std::string old;
  for (int i = 0; i < kOld; i++) old += R"({"role":"user","content":"old"},)";
  const std::string text = json::serialize(
      json::string("{%- if 'S' not in messages[0].content or messages[-1].content != 'new' %}"
                   "{{ raise_exception('cut wrongly') }}{%- endif %}"
                   "{%- for message in messages %}{{ message.content + '\\n' }}{%- endfor %}"));
  const auto long_talk = [&](std::string_view more) {
    InferenceRequest talk = greedy(1, R"({"messages":[{"role":"system","content":"S"},)" + old +
                                          R"({"role":"user","content":"new"}],"template":)" + text +
                                          std::string(more) + "}");
    talk.job.context_tokens = kRoom;
    talk.job.tokens_max = 1;
    return talk;
  };
  const Answer cut = ask(long_talk(""));
  ASSERT_EQ(cut.end.completion.kind, CompletionKind::limited) << cut.end.message;
  const int kept = cut.notes.back().at("done").at("prompt_tokens").to_number<int>();
  EXPECT_LT(kept, kRoom);
  EXPECT_GT(kept, kRoom - 10);
  EXPECT_EQ(end_of(long_talk(",\"truncate\":false")).reason, "prompt_too_long");
}

TEST_F(InferenceTest, AFullContextShiftsOrEnds) {
  InferenceRequest request = chat("Tell me a story.", ",\"shift\":false");
  request.job.context_tokens = 64;
  request.job.tokens_max = 300;
  const Answer ended = ask(request);
  EXPECT_EQ(ended.end.completion, (Completion{CompletionKind::limited, 0, "context"}));
  EXPECT_EQ(ended.notes.back().at("done").at("reason").as_string(), "length");
  const auto whole = [](const Answer& answer) {
    const auto& done = answer.notes.back().at("done").as_object();
    return done.at("prompt_tokens").to_number<int>() +
           done.at("completion_tokens").to_number<int>();
  };
  EXPECT_LE(whole(ended), 65);
  request.prompt = to_bytes(R"({"prompt":"Tell me a story.","keep":4})");
  request.job.tokens_max = 100;
  const Answer shifted = ask(request);
  EXPECT_NE(shifted.end.completion.reason, "context");
  EXPECT_GT(whole(shifted), 65);
}

// Greedy: what others ask at the same time changes nothing.
TEST_F(InferenceTest, ManyAtOnceAnswerAsEachAlone) {
  load("tiny-chat.f16.gguf", {.sequences = 8});
  const std::vector<std::string> questions = {"What is the capital of France?",
                                              "Count from 1 to 50.",
                                              "Why is the sky blue?",
                                              "What is 7 times 6?",
                                              "Tell me a story.",
                                              "Who wrote Hamlet?",
                                              "Say the alphabet.",
                                              "Write a haiku.",
                                              "Say hello in Greek."};
  std::vector<std::string> alone;
  for (const std::string& question : questions) alone.push_back(ask(chat(question)).text);
  constexpr std::size_t kRounds = 4;
  std::vector<std::string> together(kRounds * questions.size());
  std::size_t left = together.size();
  for (std::size_t i = 0; i < together.size(); i++) {
    asio::co_spawn(
        context_,
        [this, &together, &left, &questions, i]() -> Task<void> {
          InferenceRequest request = chat(questions[i % questions.size()]);
          auto answer = co_await follow(*model_, std::move(request));
          EXPECT_TRUE(answer);
          if (answer) together[i] = answer->text;
          left--;
        },
        asio::detached);
  }
  context_.restart();
  while (left > 0) context_.run_one();
  for (std::size_t i = 0; i < together.size(); i++) {
    EXPECT_EQ(together[i], alone[i % questions.size()]);
  }
  EXPECT_EQ(model_->busy(), 0U);
}

TEST_F(InferenceTest, APrefixIsUsedAgainForItsCallerOnly) {
  const auto talk = [](std::string_view caller, bool second) {
    std::string messages = R"([{"role":"user","content":"My name is Grace."})";
    if (second) {
      messages += R"(,{"role":"assistant","content":"Nice to meet you, Grace!"},)"
                  R"({"role":"user","content":"What is my name?"})";
    }
    InferenceRequest request = greedy(1, "{\"messages\":" + messages + "]}");
    request.caller = caller;
    return request;
  };
  EXPECT_EQ(ask(talk("ada", false)).done_of("cached"), 0U);
  const Answer other = ask(talk("bob", true));
  EXPECT_EQ(other.done_of("cached"), 0U);
  EXPECT_EQ(other.text, "Your name is Grace.");
  const Answer again = ask(talk("ada", true));
  EXPECT_GT(again.done_of("cached"), 10U);
  EXPECT_EQ(again.text, "Your name is Grace.");
  // Nobody's: never.
  EXPECT_EQ(ask(talk("", false)).done_of("cached"), 0U);
  EXPECT_EQ(ask(talk("", false)).done_of("cached"), 0U);
}

TEST_F(InferenceTest, StopsAtTheNextToken) {
  InferenceRequest request = chat("Count from 1 to 50.");
  const auto stopped = wait([](LoadedModel& model, InferenceRequest r) -> Task<Result<Answer>> {
    PHASE_CO_TRY(auto running, co_await model.start(std::move(r)));
    for (;;) {
      PHASE_CO_TRY(auto event, co_await running->next());
      if (std::holds_alternative<job::OutputPiece>(event)) break;
    }
    running->stop({CompletionKind::limited, 0, "wall"});
    running->stop({CompletionKind::cancelled, 0, ""});
    auto answer = co_await read(*running);
    co_return answer;
  }(*model_, std::move(request)));
  ASSERT_TRUE(stopped) << stopped.error().text();
  EXPECT_EQ(stopped->end.completion, (Completion{CompletionKind::limited, 0, "wall"}));
  EXPECT_TRUE(stopped->all("done").empty());
  EXPECT_FALSE(stopped->text.ends_with("50"));
  EXPECT_EQ(model_->busy(), 0U);
  EXPECT_FALSE(model_->ended());
}

// A handle that is dropped frees its place.
TEST_F(InferenceTest, ADroppedRequestEnds) {
  for (int i = 0; i < 20; i++) {
    auto running = wait(model_->start(chat("Count from 1 to 50.")));
    ASSERT_TRUE(running);
  }
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
  while (model_->busy() > 0) context_.run_one();
  EXPECT_FALSE(model_->ended());
}

TEST_F(InferenceTest, TheQueueIsBounded) {
  std::vector<std::unique_ptr<Inference>> running;
  std::optional<Error> refused;
  for (std::size_t i = 0; i < kInferenceQueueMax + 8 && !refused; i++) {
    auto started = wait(model_->start(chat("Tell me a story.")));
    if (started) {
      running.push_back(*std::move(started));
    } else {
      refused = started.error();
    }
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Code::busy);
  EXPECT_GE(running.size(), kInferenceQueueMax);
  running.clear();
  while (model_->busy() > 0) context_.run_one();
  EXPECT_FALSE(model_->ended());
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

}  // namespace
}  // namespace phase::worker
