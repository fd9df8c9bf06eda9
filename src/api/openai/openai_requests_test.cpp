// Each field of the /v1 requests and what it does to the ask.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/openai/requests.h"
#include "protocol/job/job.h"

namespace phase::openai {
namespace {

template <typename T>
lucid::Ask ask_of(Result<T> read, std::string_view what) {
  EXPECT_TRUE(read) << what << ": " << read.error().message;
  return read ? faces::finish(std::move(read->draft)).value() : lucid::Ask{};
}
/// A prompt without the members every request here has.
std::string rest(const lucid::Ask& ask, std::initializer_list<std::string_view> without) {
  json::object prompt = faces::parse_object(as_text(ask.prompt)).value();
  for (const std::string_view name : without) {
    prompt.stable_erase(name);
  }
  return json::serialize(prompt);
}
std::string body(std::string_view begin, std::string_view more) {
  return "{" + std::string{begin} + (more.empty() ? "" : ",") + std::string{more} + "}";
}

constexpr std::string_view kChat = R"("model":"m","messages":[{"role":"user","content":"hi"}])";
constexpr std::string_view kInput = R"("model":"m","input":"hi")";
constexpr std::string_view kPrompt = R"("model":"m","prompt":"hi")";
constexpr std::string_view kMessage =
    R"("model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}])";

lucid::Ask chat_ask(std::string_view more) {
  return ask_of(read_chat(body(kChat, more)), more);
}
std::string chat_prompt(std::string_view more) {
  return rest(chat_ask(more), {"messages"});
}
std::string chat_error(std::string_view more) {
  const auto read = read_chat(body(kChat, more));
  EXPECT_FALSE(read) << more;
  return read ? "" : read.error().message;
}
lucid::Ask responses_ask(std::string_view more) {
  return ask_of(read_responses(body(kInput, more)), more);
}
std::string responses_prompt(std::string_view more) {
  return rest(responses_ask(more), {"messages"});
}
std::string responses_error(std::string_view more) {
  const auto read = read_responses(body(kInput, more));
  EXPECT_FALSE(read) << more;
  return read ? "" : read.error().message;
}
std::string items(std::string_view list) {
  auto read = read_responses(R"({"model":"m","input":)" + std::string{list} + "}");
  EXPECT_TRUE(read) << list << ": " << read.error().message;
  return read ? json::serialize(read->draft.prompt.at("messages")) : "";
}
std::string messages(std::string_view list) {
  auto read = read_chat(R"({"model":"m","messages":)" + std::string{list} + "}");
  EXPECT_TRUE(read) << list << ": " << read.error().message;
  return read ? json::serialize(read->draft.prompt.at("messages")) : "";
}

constexpr std::string_view kTool =
    R"("tools":[{"type":"function","function":{"name":"f","description":"d",)"
    R"("parameters":{"a":1},"strict":true}}])";
constexpr std::string_view kToolPrompt =
    R"("tools":[{"type":"function","function":{"name":"f","description":"d",)"
    R"("parameters":{"a":1}}}])";
constexpr std::string_view kFlatTool =
    R"("tools":[{"type":"function","name":"f","description":"d","parameters":{"a":1},)"
    R"("strict":false}])";

std::string with_tool(std::string_view tool, std::string_view more) {
  return std::string{tool} + "," + std::string{more};
}

TEST(OpenAiRequests, SamplingReachesTheAsk) {
  const lucid::Ask ask = chat_ask(
      R"("max_tokens":5,"max_completion_tokens":7,"seed":3,"stop":["a","b"],"temperature":0.5,)"
      R"("top_p":0.25,"frequency_penalty":-1,"presence_penalty":2,"prompt_cache_key":"c1")");
  EXPECT_EQ(ask.tokens_max, 7U);
  EXPECT_EQ(ask.sampling.seed, 3U);
  EXPECT_TRUE(ask.seeded);
  EXPECT_EQ(ask.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ask.sampling.temperature_ppm, 500'000);
  EXPECT_EQ(ask.sampling.top_p_ppm, 250'000);
  EXPECT_EQ(ask.sampling.frequency_penalty_ppm, -1'000'000);
  EXPECT_EQ(ask.sampling.presence_penalty_ppm, 2'000'000);
  EXPECT_EQ(ask.conversation, "c1");
  EXPECT_EQ(chat_ask(R"("max_tokens":5)").tokens_max, 5U);
  EXPECT_EQ(chat_ask("").sampling, job::Sampling{});
  EXPECT_NE(chat_error(R"("max_tokens":0)"), "");
  EXPECT_NE(chat_error(R"("prompt_cache_key":")" + std::string(129, 'k') + "\""), "");
}

TEST(OpenAiRequests, ChatFieldsReachThePrompt) {
  EXPECT_EQ(chat_prompt(kTool), "{" + std::string{kToolPrompt} + "}");
  EXPECT_EQ(chat_prompt(with_tool(kTool, R"("tool_choice":"auto")")),
            "{" + std::string{kToolPrompt} + "}");
  for (const auto& [given, made] : std::vector<std::pair<std::string, std::string>>{
           {R"("none")", "none"},
           {R"("required")", "required"},
           {R"({"type":"function","function":{"name":"f"}})", "f"}}) {
    EXPECT_EQ(chat_prompt(with_tool(kTool, R"("tool_choice":)" + given)),
              "{" + std::string{kToolPrompt} + R"(,"tool_choice":")" + made + "\"}");
  }
  EXPECT_NE(
      chat_error(with_tool(kTool, R"("tool_choice":{"type":"function","function":{"name":"g"}})")),
      "");
  EXPECT_NE(chat_error(R"("tool_choice":"required")"), "");
  EXPECT_EQ(chat_prompt(R"("tool_choice":"none")"), "{}");
  EXPECT_EQ(chat_prompt(R"("response_format":{"type":"json_object"})"), R"({"format":"json"})");
  EXPECT_EQ(chat_prompt(R"("response_format":{"type":"text"})"), "{}");
  EXPECT_EQ(chat_prompt(R"("response_format":{"type":"json_schema","json_schema":{"name":"n",)"
                        R"("description":"d","strict":true,"schema":{"type":"object"}}})"),
            R"({"format":{"type":"object"}})");
  EXPECT_NE(chat_error(R"("response_format":{"type":"json_schema"})"), "");
  EXPECT_NE(chat_error(R"("response_format":{"type":"xml"})"), "");
  EXPECT_EQ(chat_prompt(R"("reasoning_effort":"minimal")"), R"({"think":"low"})");
  EXPECT_EQ(chat_prompt(R"("reasoning_effort":"none")"), R"({"think":false})");
  EXPECT_EQ(chat_prompt(R"("reasoning":{"effort":"high"})"), R"({"think":"high"})");
  EXPECT_NE(chat_error(R"("reasoning_effort":"a bit")"), "");
  EXPECT_EQ(chat_prompt(R"("logprobs":true,"top_logprobs":3)"), R"({"logprobs":3})");
}

TEST(OpenAiRequests, RefusesWhatHasNoEffect) {
  EXPECT_EQ(chat_error(R"("n":2)"), "n: expected 1; other values are not supported");
  EXPECT_EQ(chat_prompt(R"("n":1,"user":"u","parallel_tool_calls":true,"store":false)"), "{}");
  EXPECT_EQ(chat_prompt(R"("metadata":{},"logit_bias":{},"store":null)"), "{}");
  for (const char* bad :
       {R"("parallel_tool_calls":false)", R"("user":1)", R"("store":true)",
        R"("metadata":{"a":"b"})", R"("logit_bias":{"1":2})",
        R"("stream_options":{"include_usage":true})",
        R"("stream":true,"stream_options":{"include_obfuscation":true})", R"("functions":[])"}) {
    EXPECT_NE(chat_error(bad), "") << bad;
  }
  for (const char* bad :
       {R"("refusal":"no")", R"("annotations":[1])", R"("function_call":{"name":"f"})"}) {
    EXPECT_FALSE(read_chat(R"({"model":"m","messages":[{"role":"assistant","content":"x",)" +
                           std::string{bad} + "}]}"))
        << bad;
  }
  for (const char* bad : {R"("n":2)", R"("best_of":2)", R"("user":1)", R"("logit_bias":{"1":2})"}) {
    EXPECT_FALSE(read_completion(body(kPrompt, bad))) << bad;
  }
  EXPECT_TRUE(read_completion(body(kPrompt, R"("n":1,"best_of":1,"user":"u")")));
  for (const char* bad :
       {R"("store":true)", R"("include":["x"])", R"("background":true)",
        R"("previous_response_id":"r")", R"("conversation":"c")", R"("parallel_tool_calls":false)",
        R"("user":1)", R"("text":{"verbosity":"low"})"}) {
    EXPECT_NE(responses_error(bad), "") << bad;
  }
  for (const char* bad :
       {R"({"type":"reasoning","encrypted_content":"x"})",
        R"({"role":"user","content":[{"type":"input_text","text":"x","annotations":[1]}]})",
        R"({"role":"user","content":[{"type":"input_text","text":"x","logprobs":[1]}]})"}) {
    EXPECT_FALSE(read_responses(R"({"model":"m","input":[)" + std::string{bad} + "]}")) << bad;
  }
}

TEST(OpenAiRequests, RefusesImagesAndAudioByName) {
  const auto part = [](std::string_view text) {
    return read_chat(R"({"model":"m","messages":[{"role":"user","content":[)" + std::string{text} +
                     "]}]}")
        .error()
        .message;
  };
  EXPECT_EQ(part(R"({"type":"image_url","image_url":{"url":"data:,"}})"),
            "model 'm' does not support images");
  EXPECT_EQ(part(R"({"type":"input_audio","input_audio":{"data":"x"}})"),
            "model 'm' does not support audio");
  EXPECT_EQ(part(R"({"type":"file","file":{"file_id":"x"}})"), "model 'm' does not support files");
  EXPECT_EQ(chat_error(R"("audio":{"voice":"x"})"), "model 'm' does not support audio");
  EXPECT_EQ(
      read_chat(
          R"({"model":"m","messages":[{"role":"assistant","content":"x","audio":{"id":"x"}}]})")
          .error()
          .message,
      "model 'm' does not support audio");
  const auto input = [](std::string_view text) {
    return read_responses(R"({"model":"m","input":[{"role":"user","content":[)" +
                          std::string{text} + "]}]}")
        .error()
        .message;
  };
  EXPECT_EQ(input(R"({"type":"input_image","image_url":"x","detail":"low"})"),
            "model 'm' does not support images");
  EXPECT_EQ(input(R"({"type":"input_file","file_id":"x"})"), "model 'm' does not support files");
}

TEST(OpenAiRequests, MessagesReachThePrompt) {
  EXPECT_EQ(
      messages(R"([{"role":"developer","content":"S"},{"role":"user","content":[{"type":"text",)"
               R"("text":"a"},{"type":"text","text":"b"}],"name":"n"}])"),
      R"([{"role":"system","content":"S"},{"role":"user","content":"ab"}])");
  EXPECT_EQ(
      messages(R"([{"role":"assistant","content":null,"reasoning":"t","tool_calls":[{"index":0,)"
               R"("id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
               R"({"role":"tool","tool_call_id":"c","content":"r"},{"role":"tool","name":"g",)"
               R"("content":"s"},)"
               R"({"role":"assistant","content":"x","reasoning_content":"u"}])"),
      R"([{"role":"assistant","content":"","thinking":"t","tool_calls":[{"id":"c",)"
      R"("function":{"name":"f","arguments":{"a":1}}}]},)"
      R"({"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"},{"role":"tool",)"
      R"("content":"s","tool_name":"g"},)"
      R"({"role":"assistant","content":"x","thinking":"u"}])");
  for (const char* bad :
       {"[]", "{}", "[1]", R"([{"role":"king","content":"x"}])", R"([{"role":"user","content":1}])",
        R"([{"role":"user","content":[1]}])", R"([{"role":"user","content":[{"type":"x"}]}])",
        R"([{"role":"user","name":1}])", R"([{"role":"assistant","tool_calls":[{"id":"c"}]}])",
        R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}])",
        R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}])",
        R"([{"role":"assistant","tool_calls":[{"type":"x","function":{"name":"f"}}]}])"}) {
    EXPECT_FALSE(read_chat(R"({"model":"m","messages":)" + std::string{bad} + "}")) << bad;
  }
}

TEST(OpenAiRequests, CompletionFieldsReachThePrompt) {
  const auto read = [](std::string_view more) {
    return ask_of(read_completion(body(kPrompt, more)), more);
  };
  EXPECT_EQ(as_text(read("").prompt), R"({"prompt":"hi"})");
  EXPECT_EQ(rest(read(R"("suffix":"s")"), {"prompt"}), R"({"suffix":"s"})");
  EXPECT_EQ(rest(read(R"("logprobs":0)"), {"prompt"}), R"({"logprobs":0})");
  const lucid::Ask ask =
      read(R"("max_tokens":5,"temperature":0,"top_p":1,"frequency_penalty":1,"presence_penalty":1,)"
           R"("seed":2,"stop":"x")");
  EXPECT_EQ(ask.tokens_max, 5U);
  EXPECT_EQ(ask.sampling.temperature_ppm, 0);
  EXPECT_EQ(ask.sampling.top_p_ppm, 1'000'000);
  EXPECT_EQ(ask.sampling.frequency_penalty_ppm, 1'000'000);
  EXPECT_EQ(ask.sampling.presence_penalty_ppm, 1'000'000);
  EXPECT_EQ(ask.sampling.seed, 2U);
  EXPECT_EQ(ask.stop, (std::vector<std::string>{"x"}));
  EXPECT_FALSE(read_completion(R"({"model":"m"})"));
  EXPECT_FALSE(read_completion(R"({"model":"m","prompt":["a","b"]})"));
  EXPECT_FALSE(read_completion(R"({"model":"m","prompt":[1,2]})"));
}

TEST(OpenAiRequests, ResponsesFieldsReachThePrompt) {
  EXPECT_EQ(as_text(responses_ask(R"("instructions":"S")").prompt),
            R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}]})");
  EXPECT_EQ(responses_prompt(kFlatTool), "{" + std::string{kToolPrompt} + "}");
  EXPECT_EQ(
      responses_prompt(with_tool(kFlatTool, R"("tool_choice":{"type":"function","name":"f"})")),
      "{" + std::string{kToolPrompt} + R"(,"tool_choice":"f"})");
  EXPECT_NE(responses_error(R"("tools":[{"type":"web_search"}])"), "");
  EXPECT_NE(responses_error(R"("tools":[{"type":"function","name":"f","strict":"yes"}])"), "");
  const lucid::Ask ask = responses_ask(
      R"("temperature":0.5,"top_p":0.5,"max_output_tokens":4,"prompt_cache_key":"c")");
  EXPECT_EQ(ask.sampling.temperature_ppm, 500'000);
  EXPECT_EQ(ask.sampling.top_p_ppm, 500'000);
  EXPECT_EQ(ask.tokens_max, 4U);
  EXPECT_EQ(ask.conversation, "c");
  EXPECT_EQ(
      responses_prompt(
          R"("text":{"format":{"type":"json_schema","name":"n","description":"d","strict":true,)"
          R"("schema":{"type":"object"}}})"),
      R"({"format":{"type":"object"}})");
  EXPECT_EQ(responses_prompt(R"("reasoning":{"effort":"low","summary":"auto"})"),
            R"({"think":"low"})");
  EXPECT_NE(responses_error(R"("reasoning":{"summary":"none"})"), "");
  EXPECT_EQ(responses_prompt(R"("truncation":"disabled")"), R"({"truncate":false})");
  EXPECT_EQ(responses_prompt(R"("truncation":"auto")"), R"({"truncate":true})");
  EXPECT_NE(responses_error(R"("truncation":"some")"), "");
  EXPECT_NE(responses_error(R"("metadata":1)"), "");
}

TEST(OpenAiRequests, ResponsesItemsReachThePrompt) {
  EXPECT_EQ(items(R"([{"role":"developer","content":"S"},{"type":"message","role":"user","id":"i",)"
                  R"("status":"completed","content":[{"type":"input_text","text":"a"},)"
                  R"({"type":"input_text","text":"b"}]}])"),
            R"([{"role":"system","content":"S"},{"role":"user","content":"ab"}])");
  EXPECT_EQ(
      items(
          R"([{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"t"}]},)"
          R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]},)"
          R"({"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},)"
          R"({"type":"function_call","call_id":"d","name":"g","arguments":""},)"
          R"({"type":"function_call_output","call_id":"c","output":"r"},)"
          R"({"role":"assistant","content":"y"},{"role":"assistant","content":"z"}])"),
      R"([{"role":"assistant","content":"x","thinking":"t","tool_calls":[{"id":"c",)"
      R"("function":{"name":"f","arguments":{"a":1}}},)"
      R"({"id":"d","function":{"name":"g","arguments":{}}}]},)"
      R"({"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"},)"
      R"({"role":"assistant","content":"y"},{"role":"assistant","content":"z"}])");
  for (const char* bad :
       {"[]", "{}", "[1]", R"([{"type":"x"}])", R"([{"role":"king","content":"x"}])",
        R"([{"type":"function_call","arguments":"x"}])", R"([{"role":"user","id":1}])"}) {
    EXPECT_FALSE(read_responses(R"({"model":"m","input":)" + std::string{bad} + "}")) << bad;
  }
}

// ── Anthropic ──

TEST(AnthropicRequests, FieldsReachThePrompt) {
  const lucid::Ask ask =
      ask_of(read_messages(body(
                 kMessage,
                 R"("system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],)"
                 R"("stop_sequences":["x"],)"
                 R"("temperature":0.5,"top_p":0.5,"top_k":3,"metadata":{"user_id":"u"},)"
                 R"("thinking":{"type":"enabled","budget_tokens":5},)"
                 R"("tools":[{"type":"custom","name":"f","description":"d","input_schema":{"a":1},)"
                 R"("cache_control":{"type":"ephemeral"}}],"tool_choice":{"type":"any"})")),
             "all");
  EXPECT_EQ(as_text(ask.prompt),
            R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}],)" +
                std::string{kToolPrompt} + R"(,"tool_choice":"required","think":true})");
  EXPECT_EQ(ask.tokens_max, 9U);
  EXPECT_EQ(ask.stop, (std::vector<std::string>{"x"}));
  EXPECT_EQ(ask.sampling.temperature_ppm, 500'000);
  EXPECT_EQ(ask.sampling.top_p_ppm, 500'000);
  EXPECT_EQ(ask.sampling.top_k, 3);
  auto turns = read_messages(
      R"({"model":"m","max_tokens":1,"messages":[{"role":"assistant",)"
      R"("content":[{"type":"thinking","thinking":"t","signature":"s"},)"
      R"({"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"tool_use","id":"c",)"
      R"("name":"f","input":{"a":1}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c",)"
      R"("content":[{"type":"text","text":"r"}],"is_error":true}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"r"},)"
      R"({"type":"text","text":"next"}]}]})");
  ASSERT_TRUE(turns) << turns.error().message;
  EXPECT_EQ(json::serialize(turns->draft.prompt.at("messages")),
            R"([{"role":"assistant","content":"ab","thinking":"t","tool_calls":[{"id":"c",)"
            R"("function":{"name":"f","arguments":{"a":1}}}]},)"
            R"({"role":"tool","content":"Error: r","tool_name":"f","tool_call_id":"c"},)"
            R"({"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"},{"role":"user",)"
            R"("content":"next"}])");
}

TEST(AnthropicRequests, Refuses) {
  for (const char* bad :
       {R"("tools":[{"type":"bash_20250124","name":"bash"}])", R"("thinking":{"type":"x"})",
        R"("system":[{"type":"image"}])", R"("stop_sequences":[1])", R"("metadata":1)",
        R"("tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"g"})",
        R"("tools":[{"name":"f"}],"tool_choice":{"type":"x"})"}) {
    EXPECT_FALSE(read_messages(body(kMessage, bad))) << bad;
  }
  EXPECT_EQ(
      read_messages(R"({"model":"m","messages":[{"role":"user","content":"x"}]})").error().message,
      "max_tokens: expected a number");
  EXPECT_EQ(
      read_messages(
          R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image",)"
          R"("source":{"type":"base64"}}]}]})")
          .error()
          .message,
      "model 'm' does not support images");
  EXPECT_FALSE(read_messages(R"({"model":"m","max_tokens":1,"messages":[{"role":"user",)"
                             R"("content":[{"type":"tool_use"}]}]})"));
}

}  // namespace
}  // namespace phase::openai
