// The /v1 API over real sockets, from a node that says everything backwards.
#include "api/openai/openai.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/faces/face_fixture.h"
#include "protocol/receipt/receipt.h"

namespace phase::openai {
namespace {

using faces::FaceServer;
using faces::Reply;
namespace json = boost::json;

class OpenAi : public testing::Test {
 protected:
  FaceServer server{[](http::Router& router, faces::FaceRef face) { add_routes(router, face); }};
};
using OpenAiChat = OpenAi;
using OpenAiCompletions = OpenAi;
using OpenAiEmbeddings = OpenAi;
using OpenAiModels = OpenAi;
using OpenAiResponses = OpenAi;
using Rerank = OpenAi;
using Anthropic = OpenAi;

constexpr std::string_view kXLucid =
    R"("x_lucid":{"receipt":"job-1","verified":true,"routed_via":"local",)"
    R"("served_by":"12D3KooWReversingNodeOfTheTests"})";
constexpr std::string_view kUsage =
    R"("usage":{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11,)"
    R"("prompt_tokens_details":{"cached_tokens":2}})";
constexpr std::string_view kTools = R"(,"tools":[{"type":"function","function":{"name":"reverse",)"
                                    R"("parameters":{"type":"object"}}}])";

std::string chat(std::string_view more) {
  return R"({"model":"tiny","messages":[{"role":"user","content":"hello"}])" + std::string{more} +
         "}";
}

/// The events of a stream, without "data: ".
std::vector<std::string> events(const Reply& reply) {
  std::vector<std::string> out;
  for (const std::string& line : reply.lines()) {
    if (line.starts_with("data: ")) {
      out.push_back(line.substr(6));
    }
  }
  return out;
}
/// The names of a stream's events; each must stand in its data as `type`, in order of numbers.
std::vector<std::string> names(const Reply& reply, bool numbered) {
  std::vector<std::string> out;
  for (const std::string& line : reply.lines()) {
    if (line.starts_with("event: ")) {
      out.push_back(line.substr(7));
    } else if (line.starts_with("data: ")) {
      const json::value data = faces::parse_json(line.substr(6)).value();
      EXPECT_EQ(faces::view(data.at("type").as_string()), out.back());
      if (numbered) {
        EXPECT_EQ(data.at("sequence_number").to_number<std::size_t>(), out.size() - 1);
      }
    }
  }
  return out;
}

std::string chunk(std::string_view choice) {
  return R"({"id":"chatcmpl-job-1","object":"chat.completion.chunk","created":1767323045,)"
         R"("model":"tiny","system_fingerprint":"fp_lucid","choices":[)" +
         std::string{choice} + "]";
}

// ── Chat completions ──

TEST_F(OpenAiChat, Golden) {
  const Reply reply = server.post("/v1/chat/completions", chat(""));
  EXPECT_EQ(
      reply.body,
      R"({"id":"chatcmpl-job-1","object":"chat.completion","created":1767323045,"model":"tiny",)"
      R"("system_fingerprint":"fp_lucid","choices":[{"index":0,"message":{"role":"assistant",)"
      R"("content":"olleh"},"finish_reason":"stop"}],)" +
          std::string{kUsage} + "," + std::string{kXLucid} + "}");
  EXPECT_TRUE(reply.has("X-Lucid-Receipt-Verified: true"));
  EXPECT_TRUE(reply.has("Content-Type: application/json"));
}

TEST_F(OpenAiChat, Streams) {
  const Reply reply = server.post("/v1/chat/completions", chat(R"(,"stream":true)"));
  EXPECT_TRUE(reply.has("Content-Type: text/event-stream"));
  EXPECT_TRUE(reply.has("X-Lucid-Receipt-Verified: pending"));
  const auto all = events(reply);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(
      all[0],
      chunk(R"({"index":0,"delta":{"role":"assistant","content":"olle"},"finish_reason":null})") +
          "}");
  EXPECT_EQ(
      all[1],
      chunk(R"({"index":0,"delta":{"role":"assistant","content":"h"},"finish_reason":null})") +
          "}");
  EXPECT_EQ(
      all[2],
      chunk(R"({"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"})") +
          "," + std::string{kXLucid} + "}");
  EXPECT_EQ(all[3], "[DONE]");
  const auto counted = events(server.post(
      "/v1/chat/completions", chat(R"(,"stream":true,"stream_options":{"include_usage":true})")));
  ASSERT_EQ(counted.size(), 5U);
  EXPECT_NE(counted[3].find(R"("choices":[],)" + std::string{kUsage}), std::string::npos);
  EXPECT_NE(counted[3].find(R"("x_lucid":{"receipt":"job-2")"), std::string::npos);
}

TEST_F(OpenAiChat, ToolCallsHaveTextsAsArguments) {
  const Reply whole = server.post("/v1/chat/completions", chat(kTools));
  EXPECT_NE(whole.body.find(
                R"("message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1",)"
                R"("type":"function",)"
                R"("function":{"name":"reverse","arguments":"{\"text\":\"hello\"}"}}]},)"
                R"("finish_reason":"tool_calls")"),
            std::string::npos)
      << whole.body;
  const auto all =
      events(server.post("/v1/chat/completions", chat(std::string{kTools} + R"(,"stream":true)")));
  EXPECT_NE(all[0].find(R"("tool_calls":[{"index":0,"id":"call_1","type":"function",)"),
            std::string::npos);
  EXPECT_NE(all[1].find(R"("finish_reason":"tool_calls")"), std::string::npos);
}

TEST_F(OpenAiChat, ThoughtIsReasoning) {
  EXPECT_NE(server.post("/v1/chat/completions", chat(R"(,"reasoning_effort":"low")"))
                .body.find(R"("content":"olleh","reasoning":"backwards, then"})"),
            std::string::npos);
}

TEST_F(OpenAiChat, Logprobs) {
  const Reply whole =
      server.post("/v1/chat/completions", chat(R"(,"logprobs":true,"top_logprobs":1)"));
  EXPECT_NE(
      whole.body.find(
          R"("logprobs":{"content":[{"token":"olle","logprob":-5E-1,"bytes":[111,108,108,101],)"
          R"("top_logprobs":[{"token":"olle","logprob":-5E-1,"bytes":[111,108,108,101]}]},)"
          R"({"token":"h",)"),
      std::string::npos)
      << whole.body;
  const auto all =
      events(server.post("/v1/chat/completions", chat(R"(,"logprobs":true,"stream":true)")));
  EXPECT_NE(all[1].find(R"("content":"h"},"logprobs":{"content":[{"token":"h")"), std::string::npos)
      << "with the text they belong to";
}

TEST_F(OpenAi, ErrorsAreObjects) {
  const Reply unknown = server.post("/v1/chat/completions",
                                    R"({"model":"no","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, R"({"error":{"message":"model 'no' not found","type":"not_found_error",)"
                          R"("param":null,"code":"model_not_found"}})");
  EXPECT_EQ(server.post("/v1/chat/completions", chat(R"(,"temperature":"hot")")).body,
            R"({"error":{"message":"temperature: expected a number from 0 to 100",)"
            R"("type":"invalid_request_error","param":"temperature","code":null}})");
  EXPECT_EQ(server.post("/v1/chat/completions", chat(R"(,"colour":1)")).body,
            R"({"error":{"message":"unknown field colour","type":"invalid_request_error",)"
            R"("param":"colour","code":null}})");
  EXPECT_EQ(server.get("/v1/nowhere").status, 404);
  EXPECT_EQ(server.get("/v1/chat/completions").status, 405);
  EXPECT_NE(server.get("/v1/nowhere").body.find(R"("error":{"message")"), std::string::npos);
  server.node.refuses = Error{Code::busy, "busy", "2 s"};
  const Reply busy = server.post("/v1/chat/completions", chat(""));
  EXPECT_EQ(busy.status, 503);
  EXPECT_TRUE(busy.has("Retry-After: 2"));
}

TEST_F(OpenAi, ErrorsInsideAStreamAreItsLastEvent) {
  server.node.script = [](const lucid::Ask&) {
    using enum receipt::CompletionKind;
    return std::vector<lucid::AnswerEvent>{
        job::OutputPiece{job::OutputStream::out, to_bytes("some")},
        lucid::Finished{{failed, 0, "worker_lost"}, lucid::Verdict::verified, "", "", {}}};
  };
  const auto all = events(server.post("/v1/chat/completions", chat(R"(,"stream":true)")));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1],
            R"({"error":{"message":"the model's process was lost; try again","type":"api_error",)"
            R"("param":null,"code":null}})");
  EXPECT_EQ(all[2], "[DONE]");
  const auto failed =
      names(server.post("/v1/responses", R"({"model":"tiny","input":"x","stream":true})"), true);
  EXPECT_EQ(failed.back(), "response.failed");
  EXPECT_NE(
      server
          .post("/v1/messages",
                R"({"model":"tiny","max_tokens":9,"stream":true,"messages":[{"role":"user",)"
                R"("content":"x"}]})")
          .body.find("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""),
      std::string::npos);
}

TEST_F(OpenAi, AClientThatLeavesCancelsTheAnswer) {
  server.loop.run([&] { server.node.holds = true; });
  const std::string messages =
      R"({"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"hello"}])";
  const std::vector<std::pair<std::string, std::string>> requests{
      {"POST /v1/chat/completions", chat(R"(,"stream":true)")},
      {"POST /v1/chat/completions", chat("")},
      {"POST /v1/responses", R"({"model":"tiny","input":"hello","stream":true})"},
      {"POST /v1/responses", R"({"model":"tiny","input":"hello"})"},
      {"POST /v1/messages", messages + R"(,"stream":true})"},
      {"POST /v1/messages", messages + "}"}};
  for (const auto& [line, body] : requests) {
    http::Wire wire(server.port);
    wire.send(FaceServer::request(line, body, ""));
    server.until([&] { return server.node.open_answers == 1; });
    wire.leave();
    server.until([&] { return server.node.open_answers == 0; });
  }
}

// ── Completions ──

TEST_F(OpenAiCompletions, Golden) {
  const Reply whole = server.post("/v1/completions",
                                  R"({"model":"tiny","prompt":"hello","echo":true,"logprobs":1})");
  EXPECT_EQ(whole.body,
            R"({"id":"cmpl-job-1","object":"text_completion","created":1767323045,"model":"tiny",)"
            R"("system_fingerprint":"fp_lucid",)"
            R"("choices":[{"index":0,"text":"helloolleh","logprobs":{"tokens":["olle","h"],)"
            R"("token_logprobs":[-5E-1,-5E-1],)"
            R"("top_logprobs":[{"olle":-5E-1},{"h":-5E-1}],"text_offset":[0,4]},)"
            R"("finish_reason":"stop"}],)" +
                std::string{kUsage} + "," + std::string{kXLucid} + "}");
  const auto all =
      events(server.post("/v1/completions", R"({"model":"tiny","prompt":["hello"],"stream":true,)"
                                            R"("stream_options":{"include_usage":true}})"));
  ASSERT_EQ(all.size(), 5U);
  EXPECT_NE(all[0].find(R"("choices":[{"index":0,"text":"olle","finish_reason":null}])"),
            std::string::npos);
  EXPECT_NE(all[3].find(kUsage), std::string::npos);
  EXPECT_EQ(all[4], "[DONE]");
}

// ── Embeddings and ranks ──

TEST_F(OpenAiEmbeddings, Golden) {
  EXPECT_EQ(server.post("/v1/embeddings", R"({"model":"tiny","input":"ab","user":"u"})").body,
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.7578125,)"
            R"(0.765625,0,0]}],)"
            R"("model":"tiny","usage":{"prompt_tokens":2,"total_tokens":2},)" +
                std::string{kXLucid} + "}");
  const json::value packed =
      server
          .post("/v1/embeddings",
                R"({"model":"tiny","input":["a","ab"],"encoding_format":"base64","dimensions":2})")
          .parsed();
  const Bytes bytes =
      from_base64(faces::view(packed.at("data").as_array().at(1).at("embedding").as_string()))
          .value();
  EXPECT_EQ(to_hex(bytes),
            "0000e13f"
            "0000443f")
      << "1.7578125 and 0.765625";
  for (const char* bad : {R"({"model":"tiny"})", R"({"model":"tiny","input":[1,2]})",
                          R"({"model":"tiny","input":"a","encoding_format":"int8"})",
                          R"({"input":"a"})", R"({"model":"tiny","input":"a","user":1})"}) {
    EXPECT_EQ(server.post("/v1/embeddings", bad).status, 400) << bad;
  }
}

TEST_F(Rerank, Golden) {
  EXPECT_EQ(
      server
          .post("/v1/rerank",
                R"({"model":"tiny","query":"abcd","documents":["x",{"text":"abc"},"ab"],"top_n":2,)"
                R"("return_documents":true})")
          .body,
      R"({"object":"list","model":"tiny","results":[{"index":1,"relevance_score":7.5E-1,)"
      R"("document":{"text":"abc"}},)"
      R"({"index":2,"relevance_score":5E-1,"document":{"text":"ab"}}],)"
      R"("usage":{"prompt_tokens":4,"total_tokens":4},)" +
          std::string{kXLucid} + "}");
  EXPECT_EQ(server.node.asks.back().prompt_kind, 3);
  EXPECT_EQ(as_text(server.node.asks.back().prompt),
            R"({"query":"abcd","documents":["x","abc","ab"]})");
  EXPECT_EQ(server.post("/v1/rerank", R"({"model":"tiny","query":"a","documents":["b","a"]})")
                .parsed()
                .at("results")
                .as_array()
                .size(),
            2U);
  for (const char* bad :
       {R"({"model":"tiny","query":"a","documents":[]})", R"({"model":"tiny","documents":["a"]})",
        R"({"model":"tiny","query":"a","documents":[1]})",
        R"({"model":"tiny","query":"a","documents":["a"],"top_n":0})"}) {
    EXPECT_EQ(server.post("/v1/rerank", bad).status, 400) << bad;
  }
}

// ── Models ──

TEST_F(OpenAiModels, AreListed) {
  EXPECT_EQ(server.get("/v1/models").body,
            R"({"object":"list","data":[{"id":"tiny:latest","object":"model","created":1767225600,)"
            R"("owned_by":"library"}]})");
  EXPECT_EQ(server.get("/v1/models/tiny").body,
            R"({"id":"tiny","object":"model","created":1767225600,"owned_by":"library"})");
  EXPECT_EQ(server.get("/v1/models/library/tiny%3Alatest").status, 200);
  EXPECT_EQ(server.get("/v1/models/no").status, 404);
}

TEST_F(OpenAiModels, RefusesAudio) {
  const Reply reply =
      server.post("/v1/audio/transcriptions",
                  "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b\r\n"
                  "Content-Disposition: form-data; name=\"file\"\r\n\r\nRIFF\r\n--b--\r\n");
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find(R"("message":"model 'whisper' does not support audio")"),
            std::string::npos);
}

// ── Responses ──

TEST_F(OpenAiResponses, Golden) {
  const json::value whole =
      server.post("/v1/responses", R"({"model":"tiny","input":"hello","metadata":{"k":"v"}})")
          .parsed();
  EXPECT_EQ(whole.at("id"), "resp_job-1");
  EXPECT_EQ(whole.at("object"), "response");
  EXPECT_EQ(whole.at("status"), "completed");
  EXPECT_EQ(whole.at("metadata").at("k"), "v");
  EXPECT_EQ(whole.at("created_at"), 1'767'323'045);
  EXPECT_EQ(
      json::serialize(whole.at("output")),
      R"([{"id":"msg_job-1_0","type":"message","status":"completed","role":"assistant","content":)"
      R"([{"type":"output_text","text":"olleh","annotations":[],"logprobs":[]}]}])");
  EXPECT_EQ(json::serialize(whole.at("usage")),
            R"({"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":6,)"
            R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":11})");
  EXPECT_EQ(whole.at("x_lucid").at("receipt"), "job-1");
  EXPECT_EQ(whole.at("store"), false);
}

TEST_F(OpenAiResponses, Streams) {
  const Reply reply = server.post(
      "/v1/responses",
      R"({"model":"tiny","input":"hello","stream":true,"reasoning":{"effort":"high"}})");
  EXPECT_EQ(
      names(reply, true),
      (std::vector<std::string>{
          "response.created", "response.in_progress", "response.output_item.added",
          "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
          "response.reasoning_summary_text.done", "response.reasoning_summary_part.done",
          "response.output_item.done", "response.output_item.added", "response.content_part.added",
          "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
          "response.content_part.done", "response.output_item.done", "response.completed"}));
  const json::value last = faces::parse_json(events(reply).back()).value();
  EXPECT_EQ(last.at("response").at("output").as_array().size(), 2U);
  EXPECT_EQ(
      last.at("response").at("output").as_array().at(1).at("content").as_array().at(0).at("text"),
      "olleh");
  EXPECT_EQ(last.at("response").at("x_lucid").at("verified"), true);
}

TEST_F(OpenAiResponses, CallsAreItems) {
  const Reply reply =
      server.post("/v1/responses",
                  R"({"model":"tiny","input":"hello","stream":true,"tools":[{"type":"function",)"
                  R"("name":"reverse","parameters":{}}]})");
  EXPECT_EQ(names(reply, true),
            (std::vector<std::string>{
                "response.created", "response.in_progress", "response.output_item.added",
                "response.function_call_arguments.delta", "response.function_call_arguments.done",
                "response.output_item.done", "response.completed"}));
  const json::value last = faces::parse_json(events(reply).back()).value();
  EXPECT_EQ(json::serialize(last.at("response").at("output")),
            R"([{"id":"fc_job-1_0","type":"function_call","status":"completed","call_id":"call_1",)"
            R"("name":"reverse","arguments":"{\"text\":\"hello\"}"}])");
}

TEST_F(OpenAiResponses, SayWhenALimitEndedThem) {
  server.node.script = [](const lucid::Ask&) {
    using enum receipt::CompletionKind;
    return std::vector<lucid::AnswerEvent>{
        job::OutputPiece{job::OutputStream::out, to_bytes("cut")},
        lucid::Finished{{limited, 0, "tokens"}, lucid::Verdict::verified, "", "", {}}};
  };
  const json::value whole =
      server.post("/v1/responses", R"({"model":"tiny","input":"x"})").parsed();
  EXPECT_EQ(whole.at("status"), "incomplete");
  EXPECT_EQ(whole.at("incomplete_details").at("reason"), "max_output_tokens");
  EXPECT_NE(server.post("/v1/chat/completions", chat("")).body.find(R"("finish_reason":"length")"),
            std::string::npos);
}

// ── Anthropic ──

std::string message(std::string_view more) {
  return R"({"model":"tiny","max_tokens":99,"messages":[{"role":"user","content":"hello"}])" +
         std::string{more} + "}";
}

TEST_F(Anthropic, NamesTheStopStringThatEndedIt) {
  server.node.script = [](const lucid::Ask& ask) {
    EXPECT_EQ(ask.stop, std::vector<std::string>{"END"});
    return std::vector<lucid::AnswerEvent>{
        job::OutputPiece{job::OutputStream::out, to_bytes("so far")},
        job::OutputPiece{job::OutputStream::err,
                         to_bytes("{\"done\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
                                  "\"reason\":\"stop\",\"stop\":\"END\"}}\n")},
        lucid::Finished{{}, lucid::Verdict::verified, "", "", {}}};
  };
  const std::string more = R"(,"stop_sequences":["END"])";
  const json::value whole = server.post("/v1/messages", message(more)).parsed();
  EXPECT_EQ(whole.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(whole.at("stop_sequence"), "END");
  EXPECT_NE(server.post("/v1/messages", message(more + R"(,"stream":true)"))
                .body.find(R"({"stop_reason":"stop_sequence","stop_sequence":"END"})"),
            std::string::npos);
}

TEST_F(Anthropic, Golden) {
  EXPECT_EQ(server.post("/v1/messages", message("")).body,
            R"({"id":"msg_job-1","type":"message","role":"assistant","model":"tiny",)"
            R"("content":[{"type":"text","text":"olleh"}],)"
            R"("stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,)"
            R"("cache_read_input_tokens":2,"output_tokens":6},)" +
                std::string{kXLucid} + "}");
  const json::value called =
      server.post("/v1/messages", message(R"(,"tools":[{"name":"reverse","input_schema":{}}])"))
          .parsed();
  EXPECT_EQ(json::serialize(called.at("content")),
            R"([{"type":"tool_use","id":"call_1","name":"reverse","input":{"text":"hello"}}])");
  EXPECT_EQ(called.at("stop_reason"), "tool_use");
  const Reply unknown =
      server.post("/v1/messages",
                  R"({"model":"no","max_tokens":1,"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(
      unknown.body,
      R"({"type":"error","error":{"type":"not_found_error","message":"model 'no' not found"}})");
  EXPECT_EQ(server.get("/v1/messages").status, 405);
}

TEST_F(Anthropic, Streams) {
  const Reply reply = server.post(
      "/v1/messages", message(R"(,"stream":true,"thinking":{"type":"enabled","budget_tokens":9})"));
  EXPECT_EQ(names(reply, false),
            (std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                      "content_block_stop", "content_block_start",
                                      "content_block_delta", "content_block_delta",
                                      "content_block_stop", "message_delta", "message_stop"}));
  const Reply called = server.post(
      "/v1/messages", message(R"(,"stream":true,"tools":[{"name":"reverse","input_schema":{}}])"));
  EXPECT_NE(called.body.find(R"("delta":{"type":"input_json_delta","partial_json":"{\"text\":)"),
            std::string::npos);
  EXPECT_NE(called.body.find(R"("stop_reason":"tool_use")"), std::string::npos);
}

}  // namespace
}  // namespace phase::openai
