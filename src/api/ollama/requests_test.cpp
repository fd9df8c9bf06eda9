// Each field of Ollama's requests and what it does to the ask.
#include "api/ollama/requests.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace phase::ollama {
namespace {

constexpr std::string_view kChat = R"("model":"m","messages":[{"role":"user","content":"hi"}])";
constexpr std::string_view kGenerate = R"("model":"m","prompt":"hi")";

std::string with(std::string_view begin, std::string_view more) {
  return "{" + std::string{begin} + (more.empty() ? "" : ",") + std::string{more} + "}";
}

lucid::Ask chat_ask(std::string_view more) {
  auto read = read_chat(with(kChat, more));
  EXPECT_TRUE(read) << more << ": " << read.error().message;
  return faces::finish(std::move(read->draft)).value();
}
lucid::Ask generate_ask(std::string_view more) {
  auto read = read_generate(with(kGenerate, more));
  EXPECT_TRUE(read) << more << ": " << read.error().message;
  return faces::finish(std::move(read->draft)).value();
}
/// The prompt without the message every request here has.
std::string chat_prompt(std::string_view more) {
  json::object prompt = faces::parse_object(as_text(chat_ask(more).prompt)).value();
  prompt.stable_erase("messages");
  return json::serialize(prompt);
}
std::string generate_prompt(std::string_view more) {
  json::object prompt = faces::parse_object(as_text(generate_ask(more).prompt)).value();
  prompt.stable_erase("prompt");
  return json::serialize(prompt);
}
std::string chat_error(std::string_view more) {
  const auto read = read_chat(with(kChat, more));
  EXPECT_FALSE(read) << more;
  return read ? "" : read.error().message;
}

TEST(OllamaRequests, GenerateFieldsReachThePrompt) {
  EXPECT_EQ(as_text(generate_ask("").prompt), R"({"prompt":"hi"})");
  EXPECT_EQ(generate_prompt(R"("suffix":"s")"), R"({"suffix":"s"})");
  EXPECT_EQ(generate_prompt(R"("system":"S")"), R"({"system":"S"})");
  EXPECT_EQ(generate_prompt(R"("template":"T")"), R"({"template":"T"})");
  EXPECT_EQ(generate_prompt(R"("raw":true)"), R"({"raw":true})");
  EXPECT_EQ(generate_prompt(R"("truncate":false)"), R"({"truncate":false})");
  EXPECT_EQ(generate_prompt(R"("shift":false)"), R"({"shift":false})");
  EXPECT_EQ(generate_prompt(R"("suffix":"","system":"","template":null,"images":null,"raw":false)"),
            "{}");
  EXPECT_EQ(read_generate(R"({"model":"m","prompt":7})").error().message,
            "prompt: expected a string");
  EXPECT_FALSE(read_generate(with(kGenerate, R"("raw":1)")));
  EXPECT_FALSE(read_generate(with(kGenerate, R"("stream":"yes")")));
  EXPECT_FALSE(read_generate(with(kGenerate, R"("context":{})")));
}

TEST(OllamaRequests, ChatFieldsReachThePrompt) {
  EXPECT_EQ(as_text(chat_ask("").prompt), R"({"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(chat_prompt(R"("truncate":false,"shift":true)"), R"({"truncate":false,"shift":true})");
  EXPECT_EQ(chat_ask("").model, "m");
  EXPECT_EQ(chat_ask("").prompt_kind, 1);
}

TEST(OllamaRequests, FormatIsJsonOrASchema) {
  EXPECT_EQ(chat_prompt(R"("format":"json")"), R"({"format":"json"})");
  EXPECT_EQ(generate_prompt(R"("format":{"type":"object"})"), R"({"format":{"type":"object"}})");
  EXPECT_EQ(chat_prompt(R"("format":"")"), "{}");
  EXPECT_EQ(chat_error(R"("format":"xml")"), R"(format: expected "json" or a JSON schema)");
}

TEST(OllamaRequests, ThinkTakesEfforts) {
  EXPECT_EQ(chat_prompt(R"("think":true)"), R"({"think":true})");
  EXPECT_EQ(generate_prompt(R"("think":false)"), R"({"think":false})");
  EXPECT_EQ(chat_prompt(R"("think":"low")"), R"({"think":"low"})");
  EXPECT_EQ(chat_prompt(R"("think":"max")"), R"({"think":"high"})");
  EXPECT_NE(chat_error(R"("think":"a bit")"), "");
}

TEST(OllamaRequests, KeepAliveTakesNumbersAndDurations) {
  const auto keep = [](std::string_view value) {
    return chat_ask(R"("keep_alive":)" + std::string{value}).keep_alive;
  };
  EXPECT_EQ(chat_ask("").keep_alive, std::nullopt);
  EXPECT_EQ(keep("90"), std::chrono::seconds(90));
  EXPECT_EQ(keep("0"), Duration{0});
  EXPECT_EQ(keep(R"("1h30m")"), std::chrono::minutes(90));
  EXPECT_EQ(keep(R"("1.5s")"), std::chrono::milliseconds(1'500));
  EXPECT_EQ(keep(R"("300ms")"), std::chrono::milliseconds(300));
  EXPECT_EQ(keep(R"("15")"), std::chrono::seconds(15));
  EXPECT_LT(keep("-1").value(), Duration{0});
  EXPECT_LT(keep(R"("-1m")").value(), Duration{0});
  EXPECT_LT(keep("1e300").value(), Duration{0}) << "for ever";
  for (const char* bad : {R"("")", R"("soon")", R"("5x")", R"("5m-")", "true", "[]"}) {
    EXPECT_NE(chat_error(R"("keep_alive":)" + std::string{bad}), "") << bad;
  }
}

TEST(OllamaRequests, OptionsReachTheAsk) {
  const lucid::Ask ask = chat_ask(
      R"("options":{"num_keep":7,"seed":42,"num_predict":99,"top_k":40,"top_p":0.9,"min_p":0.05,)"
      R"("typical_p":0.7,"repeat_last_n":64,"temperature":0.8,"repeat_penalty":1.1,)"
      R"("presence_penalty":1.5,"frequency_penalty":-1,"stop":["a","","b"],"num_ctx":2048,)"
      R"("num_batch":256,"num_gpu":-1,"num_thread":3,"main_gpu":0,"use_mmap":true})");
  EXPECT_EQ(as_text(ask.prompt), R"({"messages":[{"role":"user","content":"hi"}],"keep":7})");
  EXPECT_EQ(ask.sampling.seed, 42U);
  EXPECT_TRUE(ask.seeded);
  EXPECT_EQ(ask.tokens_max, 99U);
  EXPECT_EQ(ask.sampling.top_k, 40);
  EXPECT_EQ(ask.sampling.top_p_ppm, 900'000);
  EXPECT_EQ(ask.sampling.min_p_ppm, 50'000);
  EXPECT_EQ(ask.sampling.typical_p_ppm, 700'000);
  EXPECT_EQ(ask.sampling.repeat_last_n, 64);
  EXPECT_EQ(ask.sampling.temperature_ppm, 800'000);
  EXPECT_EQ(ask.sampling.repeat_penalty_ppm, 1'100'000);
  EXPECT_EQ(ask.sampling.presence_penalty_ppm, 1'500'000);
  EXPECT_EQ(ask.sampling.frequency_penalty_ppm, -1'000'000);
  EXPECT_EQ(ask.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ask.context_tokens, 2'048U);
  EXPECT_EQ(ask.batch_tokens, 256U);
  EXPECT_EQ(ask.gpu_layers, -1);
  EXPECT_EQ(ask.threads, 3U);

  const lucid::Ask other =
      generate_ask(R"("options":{"num_predict":-2,"seed":-1,"num_keep":-1,"top_k":-1,"stop":"one",)"
                   R"("num_thread":0,"temperature":null})");
  EXPECT_EQ(other.tokens_max, 0U);
  EXPECT_FALSE(other.seeded);
  EXPECT_EQ(other.sampling.top_k, 0);
  EXPECT_EQ(other.stop, (std::vector<std::string>{"one"}));
  EXPECT_EQ(other.threads, std::nullopt);
  EXPECT_EQ(other.sampling.temperature_ppm, std::nullopt);
  EXPECT_NE(as_text(other.prompt).find(R"("keep":2147483647)"), std::string_view::npos);
}

TEST(OllamaRequests, RefusesOptionsWithoutEffect) {
  EXPECT_EQ(chat_error(R"("options":{"main_gpu":1})"),
            "options.main_gpu: only the first GPU is used; leave it at 0");
  EXPECT_EQ(chat_error(R"("options":{"use_mmap":false})"),
            "options.use_mmap: models are always mapped");
  EXPECT_EQ(chat_error(R"("options":{"miro":1})"), "unknown field options.miro");
  EXPECT_EQ(chat_error(R"("options":{"top_p":"high"})"),
            "options.top_p: expected a number from 0 to 1");
  EXPECT_EQ(chat_error(R"("options":{"top_p":1.5})"),
            "options.top_p: expected a number from 0 to 1");
  EXPECT_EQ(chat_error(R"("options":{"num_ctx":0.5})"),
            "options.num_ctx: expected a whole number from 0 to 2147483647");
  EXPECT_EQ(chat_error(R"("options":[])"), "options: expected an object");
  EXPECT_NE(chat_error(R"("options":{"stop":[1]})"), "");
  EXPECT_NE(chat_error(R"("options":{"stop":")" + std::string(4'097, 'x') + R"("})"), "");
}

TEST(OllamaRequests, TakesOptionsOfOlderClients) {
  for (const char* taken :
       {R"({"mirostat":0,"mirostat_eta":0.1,"mirostat_tau":5.0})", R"({"mirostat":null})",
        R"({"tfs_z":1.0})", R"({"tfs_z":null,"vocab_only":false,"embedding_only":false})",
        R"({"penalize_newline":true,"numa":false,"low_vram":true,"f16_kv":true})",
        R"({"use_mlock":true,"logits_all":false,"num_gqa":8})",
        R"({"rope_frequency_base":10000.0,"rope_frequency_scale":1.0})"}) {
    EXPECT_TRUE(read_chat(with(kChat, "\"options\":" + std::string{taken}))) << taken;
  }
  const std::pair<const char*, const char*> refused[] = {
      {R"({"mirostat":2})", "options.mirostat: this sampler is not offered; leave it at 0"},
      {R"({"tfs_z":0.5})", "options.tfs_z: this sampler is not offered; leave it at 1"},
      {R"({"vocab_only":true})", "options.vocab_only: a model without weights answers nothing"},
      {R"({"embedding_only":true})", "options.embedding_only: what a model can stands in its file"},
      {R"({"logits_all":true})", "options.logits_all: ask for logprobs instead"},
      {R"({"numa":"yes"})", "options.numa: expected true or false"},
  };
  for (const auto& [options, why] : refused) {
    EXPECT_EQ(chat_error("\"options\":" + std::string{options}), why);
  }
  for (const char* wrong : {R"({"mirostat_eta":"x"})", R"({"mirostat_tau":[]})",
                            R"({"num_gqa":"8"})", R"({"penalize_newline":1})", R"({"low_vram":1})",
                            R"({"f16_kv":"on"})", R"({"use_mlock":0.5})",
                            R"({"rope_frequency_base":true})", R"({"rope_frequency_scale":{}})"}) {
    EXPECT_NE(chat_error("\"options\":" + std::string{wrong}), "") << wrong;
  }
}

TEST(OllamaRequests, RefusesImagesByName) {
  EXPECT_EQ(read_generate(with(kGenerate, R"("images":["aGk="])")).error().message,
            "model 'm' does not support images");
  EXPECT_EQ(
      read_chat(R"({"model":"m","messages":[{"role":"user","content":"x","images":["aGk="]}]})")
          .error()
          .message,
      "model 'm' does not support images");
  EXPECT_TRUE(read_generate(with(kGenerate, R"("images":[])")));
}

TEST(OllamaRequests, MessagesReachThePrompt) {
  const std::string messages =
      R"([{"role":"system","content":"S"},{"role":"assistant","content":"","thinking":"t",)"
      R"("tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]},)"
      R"({"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}])";
  auto read = read_chat(R"({"model":"m","messages":)" + messages + "}");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json::serialize(read->draft.prompt.at("messages")), messages);
  auto loose = read_chat(
      R"({"model":"m","messages":[{"role":"assistant","content":null,"images":[],"tool_calls":)"
      R"([{"type":"function","function":{"index":0,"name":"f","description":"d"}}]}]})");
  ASSERT_TRUE(loose) << loose.error().message;
  EXPECT_EQ(json::serialize(loose->draft.prompt.at("messages")),
            R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f",)"
            R"("arguments":{}}}]}])");
  for (const char* bad :
       {R"([{"role":"king","content":"x"}])", R"([{"content":"x"}])", R"(["x"])", R"({})",
        R"([{"role":"user","content":["x"]}])", R"([{"role":"user","colour":"x"}])",
        R"([{"role":"assistant","tool_calls":[{}]}])", R"([{"role":"assistant","tool_calls":[1]}])",
        R"([{"role":"assistant","tool_calls":[{"type":"x","function":{"name":"f"}}]}])",
        R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}])"}) {
    EXPECT_FALSE(read_chat(R"({"model":"m","messages":)" + std::string{bad} + "}")) << bad;
  }
}

TEST(OllamaRequests, ToolsReachThePrompt) {
  EXPECT_EQ(chat_prompt(R"("tools":[{"type":"function","function":{"name":"f","description":"d",)"
                        R"("parameters":{"type":"object"},"strict":true}}])"),
            R"({"tools":[{"type":"function","function":{"name":"f","description":"d",)"
            R"("parameters":{"type":"object"}}}]})");
  EXPECT_EQ(chat_prompt(R"("tools":[])"), "{}");
  for (const char* bad :
       {R"([1])", R"([{}])", R"([{"type":"x","function":{"name":"f"}}])", R"([{"function":{}}])",
        R"([{"function":{"name":"f","parameters":1}}])"}) {
    EXPECT_NE(chat_error(R"("tools":)" + std::string{bad}), "") << bad;
  }
  std::string many = R"("tools":[{"function":{"name":"f"}})";
  for (int i = 0; i < 128; ++i) {
    many += R"(,{"function":{"name":"f"}})";
  }
  EXPECT_NE(chat_error(many + "]"), "");
}

TEST(OllamaRequests, EmbedFieldsReachThePrompt) {
  auto read =
      read_embed(R"({"model":"m","input":["a","b"],"truncate":false,"dimensions":3,"keep_alive":5,)"
                 R"("options":{"num_ctx":512}})");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->draft.ask.keep_alive, std::chrono::seconds(5));
  EXPECT_EQ(read->draft.ask.context_tokens, 512U);
  EXPECT_EQ(read->draft.ask.prompt_kind, 2);
  EXPECT_EQ(json::serialize(read->draft.prompt),
            R"({"input":["a","b"],"truncate":false,"dimensions":3})");
  auto old =
      read_embeddings(R"({"model":"m","prompt":"a","keep_alive":5,"options":{"num_ctx":512}})");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->draft.ask.keep_alive, std::chrono::seconds(5));
  EXPECT_EQ(old->draft.ask.context_tokens, 512U);
  EXPECT_FALSE(read_embed(R"({"model":"m","input":[1]})"));
  EXPECT_FALSE(read_embed(R"({"model":"m","input":"a","dimensions":0})"));
}

TEST(OllamaRequests, BoundsWhatItReads) {
  EXPECT_EQ(read_chat(std::string(100, '[')).error().code, Code::malformed);
  std::string deep = R"({"model":"m","format":)";
  for (int i = 0; i < 70; ++i) {
    deep += R"({"a":)";
  }
  EXPECT_EQ(read_chat(deep + "1" + std::string(71, '}')).error().code, Code::malformed);
  auto large = read_generate(R"({"model":"m","prompt":")" + std::string(17'000'000, 'x') + "\"}");
  ASSERT_TRUE(large);
  EXPECT_EQ(faces::finish(std::move(large->draft)).error().code, Code::too_large);
  EXPECT_FALSE(read_chat("{\"model\":\"\xff\"}")) << "not UTF-8";
  EXPECT_FALSE(read_chat(R"({"model":")" + std::string(600, 'm') + "\"}"));
}

TEST(OllamaContext, ComesBackAsItWent) {
  const json::array turns{json::object{{"role", "user"}, {"content", "äöü and more"}},
                          json::object{{"role", "assistant"}, {"content", ""}}};
  const json::value numbers = faces::parse_json(context_text(turns)).value();
  for (const json::value& number : numbers.as_array()) {
    EXPECT_LT(number.to_number<std::uint64_t>(), 1ULL << 48);
  }
  EXPECT_EQ(read_context(numbers.as_array()).value(), turns);
  for (const char* bad : {"[]", "[5]", "[-1]", "[1,2,3]", "[2,281474976710656]", R"(["a"])",
                          "[99,0]", "[2,100252]", "[999999999999]"}) {
    EXPECT_FALSE(read_context(faces::parse_json(bad).value().as_array())) << bad;
  }
}

TEST(OllamaDigest, HasOneSpelling) {
  const std::string hex(64, 'a');
  EXPECT_EQ(read_digest("sha256:" + hex).value(), "sha256:" + hex);
  EXPECT_EQ(read_digest("sha256-" + hex).value(), "sha256:" + hex);
  for (const std::string& bad : {hex, "sha256:" + std::string(64, 'A'), "sha256:" + hex + "a",
                                 std::string{"sha256:"}, std::string{}, "sha512:" + hex}) {
    EXPECT_FALSE(read_digest(bad)) << bad;
  }
}

}  // namespace
}  // namespace phase::ollama
