// What is said to a llama-server and understood of it. Whole nodes before a real one:
// tests/lucid/lucid_upstream.py.
#include "lucid/upstream.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "lucid/lucid_fixture.h"
#include "lucid/upstream_answer.h"

namespace phase::lucid {
namespace {

namespace json = boost::json;
using Shape = UpstreamRequest::Shape;

worker::InferenceRequest asked(job::PromptKind kind, std::string_view prompt) {
  worker::InferenceRequest out;
  out.job.prompt_kind = kind;
  out.job.tokens_max = 7;
  out.job.sampling.seed = 3;
  out.job.sampling.temperature_ppm = 0;
  out.prompt = to_bytes(prompt);
  return out;
}

json::object body_of(const UpstreamRequest& request) {
  return json::parse(request.body).as_object();
}

struct Heard {
  std::string out, notes;
  worker::InferenceEnd end;
};

Heard hear(Shape shape, unsigned status, std::string_view text, std::size_t piece,
           std::size_t dimensions = 0) {
  UpstreamAnswer answer(shape, status, dimensions);
  for (std::size_t at = 0; at < text.size(); at += piece) answer.take(text.substr(at, piece));
  answer.finish();
  Heard heard;
  for (auto& event : answer.events) {
    if (const auto* said = std::get_if<job::OutputPiece>(&event)) {
      (said->stream == job::OutputStream::out ? heard.out : heard.notes) += as_text(said->data);
    } else if (auto* end = std::get_if<worker::InferenceEnd>(&event)) {
      heard.end = *end;
    }
  }
  return heard;
}

TEST(UpstreamUrls, AreReadAsTheyStand) {
  const std::pair<const char*, const char*> good[] = {
      {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
      {"http://box/", "http://box:80"},
      {"http://[::1]:9/llama/", "http://[::1]:9/llama"}};
  for (const auto& [text, again] : good) {
    const auto url = parse_upstream_url(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->text(), again);
  }
  for (const char* text :
       {"", "box", "ftp://box", "http://", "http://a b", "http://[::1", "http://a:0",
        "http://a:70000", "http://a:8x", "http://a/?q", "http://u@a"}) {
    EXPECT_FALSE(parse_upstream_url(text)) << text;
  }
  const auto secure = parse_upstream_url("https://box");
  ASSERT_FALSE(secure);
  EXPECT_EQ(secure.error().code, Code::unsupported);
  EXPECT_NE(secure.error().hint.find("TLS proxy"), std::string::npos);
}

TEST(UpstreamRequests, SayEverythingAJobSays) {
  worker::InferenceRequest chat = asked(job::PromptKind::request,
                                        R"({"messages":[{"role":"user","content":"hi"},
          {"role":"assistant","content":"",
           "tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]},
          {"role":"tool","content":"2","tool_call_id":"c"}],
          "tools":[{"type":"function","function":{"name":"f"}},
                   {"type":"function","function":{"name":"g"}}],
          "tool_choice":"g","format":{"type":"object"},"think":false,"logprobs":2,"keep":5})");
  chat.job.stop = {"end"};
  const auto said = upstream_request(chat);
  ASSERT_TRUE(said) << said.error().text();
  EXPECT_EQ(said->route, "/v1/chat/completions");
  const json::object body = body_of(*said);
  const json::value whole = body;
  EXPECT_EQ(body.at("max_tokens"), 7);
  EXPECT_EQ(body.at("temperature").to_number<double>(), 0);
  EXPECT_EQ(json::serialize(body.at("stop")), R"(["end"])");
  EXPECT_EQ(body.at("tools").as_array().size(), 1U) << "one by name: it alone is offered";
  EXPECT_EQ(body.at("tool_choice"), "required");
  EXPECT_EQ(whole.at_pointer("/messages/1/tool_calls/0/function/arguments"), R"({"a":1})");
  EXPECT_EQ(whole.at_pointer("/response_format/json_schema/schema/type"), "object");
  EXPECT_EQ(whole.at_pointer("/chat_template_kwargs/enable_thinking"), false);
  EXPECT_EQ(body.at("top_logprobs"), 2);
  EXPECT_EQ(body.at("n_keep"), 5);
  EXPECT_EQ(body.at("cache_prompt"), false) << "what one caller computed is not another's";
}

TEST(UpstreamRequests, ChooseTheRouteByThePrompt) {
  const std::tuple<job::PromptKind, const char*, const char*> cases[] = {
      {job::PromptKind::text, "once", "/completion"},
      {job::PromptKind::request, R"({"prompt":"a","raw":true})", "/completion"},
      {job::PromptKind::request, R"({"prompt":"a","system":"s"})", "/v1/chat/completions"},
      {job::PromptKind::request, R"({"prompt":"a","suffix":"b"})", "/infill"},
      {job::PromptKind::embed, R"({"input":["a"]})", "/v1/embeddings"},
      {job::PromptKind::rerank, R"({"query":"a","documents":["b"]})", "/v1/rerank"}};
  for (const auto& [kind, prompt, route] : cases) {
    const auto said = upstream_request(asked(kind, prompt));
    ASSERT_TRUE(said) << prompt;
    EXPECT_EQ(said->route, route);
  }
}

TEST(UpstreamRequests, RefuseByNameWhatCannotBeSaid) {
  const auto with_template =
      upstream_request(asked(job::PromptKind::request, R"({"prompt":"a","template":"b"})"));
  ASSERT_FALSE(with_template);
  EXPECT_EQ(with_template.error().code, Code::unsupported);
  for (const char* prompt :
       {"", "[]", "{}", R"({"prompt":"a","messages":[]})", R"({"prompt":"a","x":1})",
        R"({"prompt":"a","format":3})", R"({"messages":[{"role":"user","y":1}]})"}) {
    const auto said = upstream_request(asked(job::PromptKind::request, prompt));
    ASSERT_FALSE(said) << prompt;
    EXPECT_EQ(said.error().code, Code::malformed) << prompt;
  }
}

constexpr std::string_view kChat =
    "data: "
    "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":null}]}"
    "\n\n"
    ": still here\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"He\"}}]}\r\n\r\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"llo\"}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":"
    "\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}"
    "]}"
    "\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n"
    "data: [DONE]\n\n";

TEST(UpstreamAnswers, AreTheSameHoweverTheBytesCome) {
  for (const int bytes : {1, 7, 10'000}) {
    const auto piece = static_cast<std::size_t>(bytes);
    const Heard heard = hear(Shape::text, 200, kChat, piece);
    EXPECT_EQ(heard.out, "Hello");
    EXPECT_EQ(heard.notes,
              "{\"thinking\":\"hm\"}\n"
              "{\"tool_call\":{\"index\":0,\"id\":\"c\",\"name\":\"f\",\"arguments\":{\"a\":1}}}\n"
              "{\"done\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"reason\":\"stop\"}}\n");
    EXPECT_EQ(heard.end.completion.kind, receipt::CompletionKind::exited);
  }
}

TEST(UpstreamAnswers, SayHowTheyEnded) {
  const Heard whole = hear(Shape::text, 200,
                           "data: {\"content\":\"a\",\"stop\":false}\n\n"
                           "data: {\"content\":\"\",\"stop\":true,\"stop_type\":\"limit\","
                           "\"tokens_evaluated\":2,\"tokens_predicted\":1}\n\n",
                           9);
  EXPECT_EQ(whole.end.completion.kind, receipt::CompletionKind::limited);
  EXPECT_EQ(whole.end.completion.reason, "tokens");

  const Heard cut = hear(Shape::text, 200, "data: {\"content\":\"a\",\"stop\":false}\n\n", 9);
  EXPECT_EQ(cut.end.completion.kind, receipt::CompletionKind::failed) << "an answer that broke off";

  const Heard long_prompt =
      hear(Shape::text, 400,
           R"({"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}})", 9);
  EXPECT_EQ(long_prompt.end.completion.reason, "prompt_too_long");

  const Heard none = hear(Shape::text, 502, "<html>", 9);
  EXPECT_EQ(none.end.completion.kind, receipt::CompletionKind::failed);
  EXPECT_NE(none.end.message.find("502"), std::string::npos);

  UpstreamAnswer endless(Shape::text, 200, 0);
  const std::string piece(1_MiB, 'x');
  for (int i = 0; i < 8 && !endless.over(); ++i) endless.take(piece);
  EXPECT_TRUE(endless.over()) << "a line without end is cut off";
}

TEST(UpstreamAnswers, VectorsAreOfLengthOneInTheOrderOfTheInput) {
  const Heard heard =
      hear(Shape::embeddings, 200,
           R"({"data":[{"index":1,"embedding":[0,2,5]},{"index":0,"embedding":[3,4,9]}],
                               "usage":{"prompt_tokens":6}})",
           5, 2);
  EXPECT_EQ(json::parse(heard.out).at_pointer("/embeddings"),
            json::parse("[[6E-1,8E-1],[0E0,1E0]]"));
  EXPECT_EQ(json::parse(heard.out).at_pointer("/prompt_tokens"), 6);
  const Heard ranks = hear(
      Shape::ranks, 200,
      R"({"results":[{"index":1,"relevance_score":-2.5},{"index":0,"relevance_score":4}]})", 5);
  EXPECT_EQ(json::parse(ranks.out).at_pointer("/scores"), json::parse("[4E0,-2.5E0]"));
  for (const char* wrong :
       {R"({"data":[{"index":7,"embedding":[1]}]})", R"({"data":3})", "[]", "{}"}) {
    EXPECT_EQ(hear(Shape::embeddings, 200, wrong, 5).end.completion.kind,
              receipt::CompletionKind::failed)
        << wrong;
  }
}

TEST(UpstreamModels, AreNamedByTheirFileOrAlias) {
  const auto read = read_upstream_models(
      R"({"data":[{"id":"/models/tiny-chat.f16.gguf","meta":{"n_params":460000,"n_embd":128}}]})",
      R"({"chat_template":"x","default_generation_settings":{"n_ctx":512}})");
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->front().name.text(), "tiny-chat.f16:latest");
  EXPECT_EQ(read->front().info.context_tokens, 512U);
  EXPECT_EQ(read->front().info.parameters, 460'000U);
  EXPECT_FALSE(read_upstream_models("[]", "{}"));
  EXPECT_FALSE(read_upstream_models(R"({"data":[]})", "{}"));
}

class UpstreamTest : public LucidTest {};

TEST_F(UpstreamTest, WithoutOneTheNextStepIsSaid) {
  UpstreamUrl nobody;
  nobody.host = "127.0.0.1";
  nobody.port = 9;  // discard: nothing listens there
  const auto models = run(upstream_models(context_.get_executor(), clock_, nobody));
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, Code::unavailable);
  EXPECT_NE(models.error().text().find("llama-server"), std::string::npos);
}

}  // namespace
}  // namespace phase::lucid
