// Ollama's API over real sockets, from a node that says everything backwards.
#include "api/ollama/ollama.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/faces/face_fixture.h"
#include "protocol/receipt/receipt.h"

namespace phase::ollama {
namespace {

using faces::FaceServer;
using faces::kNow;
using faces::Reply;
namespace json = boost::json;

class Ollama : public testing::Test {
 protected:
  FaceServer server{[](http::Router& router, faces::FaceRef face) { add_routes(router, face); }};
};
using OllamaGenerate = Ollama;
using OllamaChat = Ollama;
using OllamaEmbed = Ollama;
using OllamaModels = Ollama;
using OllamaBlobs = Ollama;
using OllamaReceipts = Ollama;

constexpr std::string_view kXLucid =
    R"("x_lucid":{"receipt":"job-1","verified":true,"routed_via":"local",)"
    R"("served_by":"12D3KooWReversingNodeOfTheTests"})";
constexpr std::string_view kCounts =
    R"("total_duration":9000,"load_duration":7000,"prompt_eval_count":5,)"
    R"("prompt_eval_duration":1000,"eval_count":6,"eval_duration":2000,)";

std::string at_now(std::string_view model) {
  return R"({"model":")" + std::string{model} + R"(","created_at":")" + std::string{kNow} + R"(",)";
}

// ── Small ones ──

TEST_F(Ollama, SaysThatItRuns) {
  EXPECT_EQ(server.get("/").body, "Ollama is running");
  EXPECT_EQ(server.send("HEAD /").status, 200);
  EXPECT_EQ(server.get("/api/version").body, R"({"version":"0.24.0"})");
  EXPECT_EQ(server.send("HEAD /api/version").status, 200);
  EXPECT_EQ(server.get("/api/status").body, R"({"cloud":{"disabled":true,"source":"none"}})");
}

TEST_F(Ollama, HasNoAccount) {
  for (const char* path : {"/api/me", "/api/signout"}) {
    const Reply reply = server.post(path, "{}");
    EXPECT_EQ(reply.status, 501);
    EXPECT_NE(reply.body.find(R"({"error":"there is no cloud account here)"), std::string::npos);
  }
}

TEST_F(Ollama, RefusesAsOllamaDoes) {
  const Reply nowhere = server.get("/api/nowhere");
  EXPECT_EQ(nowhere.status, 404);
  EXPECT_EQ(nowhere.body, "404 page not found");
  const Reply wrong = server.get("/api/generate");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.body, "405 method not allowed");
  EXPECT_TRUE(wrong.has("Allow: POST"));
  EXPECT_EQ(server.get("/", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_TRUE(server.get("/", "Origin: http://localhost:3000\r\n")
                  .has("Access-Control-Allow-Origin: http://localhost:3000"));
  EXPECT_EQ(server.post("/api/chat", "").body, R"({"error":"missing request body"})");
  EXPECT_EQ(server.post("/api/chat", "{").status, 400);
  EXPECT_EQ(server.post("/api/chat", R"({"model":"tiny","model":"tiny"})").body,
            R"({"error":"a name stands twice in one JSON object"})");
  EXPECT_EQ(server.post("/api/chat", R"({"model":"tiny","colour":1})").body,
            R"({"error":"unknown field colour"})");
}

// ── /api/generate ──

TEST_F(OllamaGenerate, Golden) {
  const Reply whole = server.post("/api/generate",
                                  R"({"model":"Tiny","prompt":"hello","stream":false,"raw":true})");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, at_now("Tiny") + R"("response":"olleh","done":true,"done_reason":"stop",)" +
                            std::string{kCounts} + std::string{kXLucid} + "}");
  EXPECT_TRUE(whole.has("X-Lucid-Routed-Via: local"));
  EXPECT_TRUE(whole.has("X-Lucid-Served-By: 12D3KooWReversingNodeOfTheTests"));
  EXPECT_TRUE(whole.has("X-Lucid-Receipt-Verified: true"));
  EXPECT_TRUE(whole.has("Content-Type: application/json; charset=utf-8"));
  EXPECT_EQ(server.post("/api/generate", R"({"prompt":"x"})").status, 404);
  EXPECT_EQ(server.post("/api/generate", R"({"model":"no","prompt":"x"})").body,
            R"({"error":"model 'no' not found"})");
}

TEST_F(OllamaGenerate, StreamsByDefault) {
  const Reply stream =
      server.post("/api/generate", R"({"model":"tiny","prompt":"hello","raw":true})");
  EXPECT_TRUE(stream.has("Content-Type: application/x-ndjson"));
  EXPECT_TRUE(stream.has("X-Lucid-Receipt-Verified: pending"));
  const auto lines = stream.lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], at_now("tiny") + R"("response":"olle","done":false})");
  EXPECT_EQ(lines[1], at_now("tiny") + R"("response":"h","done":false})");
  EXPECT_EQ(lines[2], at_now("tiny") + R"("response":"","done":true,"done_reason":"stop",)" +
                          std::string{kCounts} + std::string{kXLucid} + "}");
}

TEST_F(OllamaGenerate, LoadsAndUnloads) {
  EXPECT_EQ(server.post("/api/generate", R"({"model":"tiny"})").body,
            at_now("tiny") + R"("response":"","done":true,"done_reason":"load"})");
  EXPECT_EQ(server.get("/api/ps").parsed().at("models").as_array().size(), 1U);
  EXPECT_EQ(server.post("/api/generate", R"({"model":"tiny","keep_alive":0})").body,
            at_now("tiny") + R"("response":"","done":true,"done_reason":"unload"})");
  EXPECT_EQ(server.get("/api/ps").body, R"({"models":[]})");
  EXPECT_EQ(server.post("/api/generate", R"({"model":"no"})").status, 404);
}

TEST_F(OllamaGenerate, ContextCarriesTheConversation) {
  const json::value first =
      server.post("/api/generate", R"({"model":"tiny","prompt":"one","system":"S","stream":false})")
          .parsed();
  const std::string again =
      R"({"model":"tiny","prompt":"two","context":)" + json::serialize(first.at("context")) + "}";
  const Reply second = server.post("/api/generate", again);
  EXPECT_EQ(as_text(server.node.asks.back().prompt),
            R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"one"},)"
            R"({"role":"assistant","content":"eno"},{"role":"user","content":"two"}]})");
  EXPECT_NE(second.lines().back().find(R"("context":[)"), std::string::npos);
  EXPECT_EQ(server.post("/api/generate", R"({"model":"tiny","prompt":"x","context":[1,2,3]})").body,
            R"({"error":"context: not one that an answer of this server gave"})");
}

// ── /api/chat ──

constexpr std::string_view kHello =
    R"("model":"tiny","messages":[{"role":"user","content":"hello"}])";

std::string chat(std::string_view more, std::string_view begin = kHello) {
  return "{" + std::string{begin} + std::string{more} + "}";
}

TEST_F(OllamaChat, Golden) {
  const Reply whole = server.post("/api/chat", chat(R"(,"stream":false)"));
  EXPECT_EQ(
      whole.body,
      at_now("tiny") +
          R"("message":{"role":"assistant","content":"olleh"},"done":true,"done_reason":"stop",)" +
          std::string{kCounts} + std::string{kXLucid} + "}");
  const auto lines = server.post("/api/chat", chat("")).lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0],
            at_now("tiny") + R"("message":{"role":"assistant","content":"olle"},"done":false})");
  EXPECT_NE(lines[2].find(R"("message":{"role":"assistant","content":""},"done":true)"),
            std::string::npos);
  EXPECT_EQ(server.post("/api/chat", R"({"messages":[]})").body,
            R"({"error":"model is required"})");
  EXPECT_EQ(server.post("/api/chat", chat("", R"("model":"no","messages":[{"role":"user"}])")).body,
            R"({"error":"model 'no' not found"})");
}

TEST_F(OllamaChat, LoadsAndUnloads) {
  EXPECT_EQ(server.post("/api/chat", R"({"model":"tiny","messages":[],"keep_alive":"5m"})").body,
            at_now("tiny") +
                R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"load"})");
  EXPECT_EQ(server.node.loads.back().second, std::chrono::minutes(5));
  EXPECT_NE(server.post("/api/chat", R"({"model":"tiny","keep_alive":0})").body.find("\"unload\""),
            std::string::npos);
}

constexpr std::string_view kTool = R"(,"tools":[{"type":"function","function":{"name":"reverse",)"
                                   R"("parameters":{"type":"object"}}}])";

TEST_F(OllamaChat, ToolCallsHaveObjectsAsArguments) {
  const std::string expected =
      R"("message":{"role":"assistant","content":"","tool_calls":[{"id":"call_1","function":)"
      R"({"index":0,"name":"reverse","arguments":{"text":"hello"}}}]},"done":)";
  const auto lines = server.post("/api/chat", chat(kTool)).lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], at_now("tiny") + expected + "false}");
  const Reply whole = server.post("/api/chat", chat(std::string{kTool} + R"(,"stream":false)"));
  EXPECT_NE(whole.body.find(expected + "true"), std::string::npos) << whole.body;
}

TEST_F(OllamaChat, ThoughtStandsBesideTheContent) {
  const auto lines = server.post("/api/chat", chat(R"(,"think":"high")")).lines();
  EXPECT_NE(
      lines[0].find(R"("message":{"role":"assistant","content":"","thinking":"backwards, then"})"),
      std::string::npos);
  EXPECT_NE(
      server.post("/api/generate", R"({"model":"tiny","prompt":"x","think":true,"stream":false})")
          .body.find(R"("response":"x","thinking":"backwards, then",)"),
      std::string::npos);
}

TEST_F(OllamaChat, LogprobsComeWithTheirText) {
  const auto lines = server.post("/api/chat", chat(R"(,"logprobs":true,"top_logprobs":1)")).lines();
  EXPECT_EQ(
      lines[1],
      at_now("tiny") +
          R"("message":{"role":"assistant","content":"h"},"done":false,"logprobs":[{"token":"h",)"
          R"("logprob":-5E-1,"bytes":[104],"top_logprobs":[{"token":"h","logprob":-5E-1,)"
          R"("bytes":[104]}]}]})");
  EXPECT_NE(
      server
          .post("/api/generate", R"({"model":"tiny","prompt":"x","logprobs":true,"stream":false})")
          .body.find(R"("logprobs":[{"token":"x","logprob":-5E-1,"bytes":[120]}])"),
      std::string::npos);
  EXPECT_EQ(server.post("/api/chat", chat(R"(,"top_logprobs":2)")).status, 400);
  EXPECT_EQ(server.post("/api/chat", chat(R"(,"logprobs":true,"top_logprobs":21)")).status, 400);
}

TEST_F(OllamaChat, TextIsCutBetweenCharacters) {
  const auto lines =
      server.post("/api/chat", R"({"model":"tiny","messages":[{"role":"user","content":"äöü€"}]})")
          .lines();
  std::string all;
  for (const std::string& line : lines) {
    const auto value = faces::parse_json(line);
    ASSERT_TRUE(value) << line;
    all += faces::view(value->at("message").at("content").as_string());
  }
  EXPECT_EQ(all, "€üöä");
}

TEST_F(OllamaChat, HeadersReachTheAsk) {
  server.post("/api/chat", chat(""),
              "X-Lucid-Local-Only: Yes\r\nX-Lucid-Conversation: c7\r\nX-Lucid-Hedge: 1\r\n");
  EXPECT_TRUE(server.node.asks.back().local_only);
  EXPECT_TRUE(server.node.asks.back().hedge);
  EXPECT_EQ(server.node.asks.back().conversation, "c7");
  server.post("/api/chat", chat(""), "X-Lucid-Local-Only: no\r\n");
  EXPECT_FALSE(server.node.asks.back().local_only);
  EXPECT_FALSE(server.node.asks.back().hedge);
}

TEST_F(OllamaChat, ErrorsBeforeTheFirstLineKeepTheirStatus) {
  server.node.refuses = Error{Code::busy, "server busy", "come again in 7 s"};
  const Reply busy = server.post("/api/chat", chat(""));
  EXPECT_EQ(busy.status, 503);
  EXPECT_TRUE(busy.has("Retry-After: 7"));
  EXPECT_EQ(busy.body, R"({"error":"server busy"})");
  server.node.refuses.reset();
  server.node.script = [](const lucid::Ask&) {
    using enum receipt::CompletionKind;
    return std::vector<lucid::AnswerEvent>{
        lucid::Finished{{invalid, 0, "prompt_too_long"}, lucid::Verdict::verified, "", "", {}}};
  };
  const Reply invalid = server.post("/api/chat", chat(""));
  EXPECT_EQ(invalid.status, 400);
  EXPECT_EQ(invalid.body, R"({"error":"the input length exceeds the context length"})");
}

TEST_F(OllamaChat, ErrorsAfterItAreTheLastLine) {
  server.node.script = [](const lucid::Ask&) {
    using enum receipt::CompletionKind;
    return std::vector<lucid::AnswerEvent>{
        job::OutputPiece{job::OutputStream::out, to_bytes("some")},
        lucid::Finished{{failed, 0, "worker_lost"}, lucid::Verdict::verified, "", "", {}}};
  };
  const Reply reply = server.post("/api/chat", chat(""));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.lines().back(), R"({"error":"the model's process was lost; try again"})");
  EXPECT_EQ(server.post("/api/chat", chat(R"(,"stream":false)")).status, 500);
}

TEST_F(OllamaChat, TheVerdictIsTheLastObjects) {
  server.node.script = [](const lucid::Ask&) {
    return std::vector<lucid::AnswerEvent>{
        lucid::Route{"peer:deadbeef", "P", "j"},
        job::OutputPiece{job::OutputStream::out, to_bytes("lies")},
        lucid::Finished{{}, lucid::Verdict::refused, "output_commitment", "", {}}};
  };
  const Reply whole = server.post("/api/chat", chat(R"(,"stream":false)"));
  EXPECT_TRUE(whole.has("X-Lucid-Receipt-Verified: false"));
  EXPECT_TRUE(whole.has("X-Lucid-Routed-Via: peer:deadbeef"));
  EXPECT_NE(
      whole.body.find(R"("x_lucid":{"receipt":"j","verified":false,"routed_via":"peer:deadbeef",)"
                      R"("served_by":"P","failed_check":"output_commitment"})"),
      std::string::npos);
}

TEST_F(OllamaChat, AClientThatLeavesCancelsTheAnswer) {
  server.loop.run([&] { server.node.holds = true; });
  for (const std::string_view more : {"", R"(,"stream":false)"}) {
    http::Wire wire(server.port);
    wire.send(FaceServer::request("POST /api/chat", chat(more), ""));
    server.until([&] { return server.node.open_answers == 1; });
    if (more.empty()) {
      EXPECT_NE(wire.read("\"olle\"").find("200 OK"), std::string::npos);
    }
    wire.leave();
    server.until([&] { return server.node.open_answers == 0; });
  }
}

TEST_F(OllamaChat, ManyRequestsOnOneConnection) {
  const http::Wire wire(server.port);
  for (int i = 0; i < 20; ++i) {
    wire.send(FaceServer::request("POST /api/chat", chat(""), ""));
    EXPECT_NE(wire.read("\r\n0\r\n\r\n").find("\"done\":true"), std::string::npos);
  }
  server.until([&] { return server.node.open_answers == 0; });
}

// ── Embeddings ──

TEST_F(OllamaEmbed, Golden) {
  EXPECT_EQ(
      server.post("/api/embed", R"({"model":"tiny","input":["ab","abcd"]})").body,
      R"({"model":"tiny","embeddings":[[1.7578125,0.765625,0,0],[1.7578125,0.765625,0.7734375,)"
      R"(0.78125]],)"
      R"("total_duration":9000,"load_duration":7000,"prompt_eval_count":6,)" +
          std::string{kXLucid} + "}");
  EXPECT_NE(server.post("/api/embed", R"({"model":"tiny","input":"ab"})").body.find("[[1.7578125"),
            std::string::npos);
  EXPECT_EQ(server.post("/api/embed", R"({"model":"tiny","input":[]})").body,
            R"({"model":"tiny","embeddings":[]})");
  EXPECT_EQ(server.post("/api/embed", R"({"model":"no","input":"x"})").body,
            R"({"error":"model \"no\" not found, try pulling it first"})");
  const Reply old = server.post("/api/embeddings", R"({"model":"tiny","prompt":"ab"})");
  EXPECT_TRUE(old.body.starts_with(R"({"embedding":[1.7578125,0.765625,0,0],"x_lucid":)"));
  EXPECT_EQ(server.post("/api/embeddings", R"({"model":"tiny","prompt":""})").body,
            R"({"embedding":[]})");
  EXPECT_EQ(server.post("/api/embeddings", R"({"prompt":"x"})").status, 400);
  server.node.script = [](const lucid::Ask&) {
    return std::vector<lucid::AnswerEvent>{
        job::OutputPiece{job::OutputStream::out, to_bytes(R"({"embeddings":[[1]]})")},
        lucid::Finished{}};
  };
  EXPECT_EQ(server.post("/api/embed", R"({"model":"tiny","input":["a","b"]})").status, 502)
      << "one for each input";
}

// ── Models ──

TEST_F(OllamaModels, Tags) {
  EXPECT_EQ(
      server.get("/api/tags").body,
      R"({"models":[{"name":"tiny:latest","model":"tiny:latest",)"
      R"("modified_at":"2026-01-01T00:00:00.123456789Z","size":1234567,)"
      R"("digest":"54484f4cba8e26a5ef0f0aee2b21658acd0783a081d52705d946da3bd31c0c7f",)"
      R"("details":{"parent_model":"","format":"gguf","family":"reverse","families":["reverse"],)"
      R"("parameter_size":"20M","quantization_level":"F16","context_length":2048,)"
      R"("embedding_length":4}}]})");
  EXPECT_EQ(server.send("HEAD /api/tags").status, 200);
}

TEST_F(OllamaModels, Ps) {
  server.post("/api/chat", chat(R"(,"stream":false)"));
  const json::value one = server.get("/api/ps").parsed().at("models").as_array().at(0);
  EXPECT_EQ(one.at("name"), "tiny:latest");
  EXPECT_EQ(one.at("size"), 2'000'000);
  EXPECT_EQ(one.at("size_vram"), 0);
  EXPECT_EQ(one.at("context_length"), 4'096);
  EXPECT_EQ(one.at("expires_at"), "2026-01-01T00:05:00.123456789Z");
  server.post("/api/chat", chat(R"(,"stream":false,"keep_alive":-1)"));
  EXPECT_EQ(server.get("/api/ps").parsed().at("models").as_array().at(0).at("expires_at"),
            "2262-04-11T23:47:16.854775807Z");
}

TEST_F(OllamaModels, Show) {
  const json::value plain = server.post("/api/show", R"({"model":"tiny"})").parsed();
  EXPECT_EQ(plain.at("template"), "{{ messages }}");
  EXPECT_EQ(plain.at("details").at("family"), "reverse");
  EXPECT_EQ(json::serialize(plain.at("model_info")),
            R"({"general.architecture":"reverse","general.parameter_count":20000000})");
  EXPECT_EQ(json::serialize(plain.at("capabilities")), R"(["completion","tools","thinking"])");
  EXPECT_EQ(plain.at("modified_at"), "2026-01-01T00:00:00.123456789Z");
  EXPECT_FALSE(plain.as_object().contains("license"));
  EXPECT_NE(faces::view(plain.at("modelfile").as_string()).find("\nFROM tiny:latest\n"),
            std::string::npos);
  const json::value full =
      server
          .post("/api/show",
                R"({"name":"tiny","verbose":true,"system":"S","template":"T","options":{"top_k":3,)"
                R"("stop":["a","b"]}})")
          .parsed();
  EXPECT_EQ(full.at("model_info").at("general.name"), "Tiny");
  EXPECT_EQ(full.at("system"), "S");
  EXPECT_EQ(full.at("template"), "T");
  EXPECT_EQ(full.at("parameters"),
            "top_k                          3\nstop                           \"a\"\n"
            "stop                           \"b\"");
  EXPECT_NE(faces::view(full.at("modelfile").as_string()).find("PARAMETER stop \"b\"\n"),
            std::string::npos);
  EXPECT_EQ(server.post("/api/show", R"({"model":"no"})").body,
            R"({"error":"model 'no' not found"})");
  EXPECT_EQ(server.post("/api/show", "{}").status, 400);
}

TEST_F(OllamaModels, CopyAndDelete) {
  const Reply copied = server.post("/api/copy", R"({"source":"tiny","destination":"mine"})");
  EXPECT_EQ(copied.status, 200);
  EXPECT_EQ(copied.body, "");
  EXPECT_EQ(server.get("/api/tags").parsed().at("models").as_array().size(), 2U);
  EXPECT_EQ(server.send("DELETE /api/delete", R"({"model":"MINE:latest"})").status, 200);
  EXPECT_EQ(server.post("/api/copy", R"({"source":"mine","destination":"x"})").body,
            R"({"error":"model \"mine\" not found"})");
  const Reply gone = server.send("DELETE /api/delete", R"({"name":"mine"})");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.body, R"({"error":"model 'mine' not found"})");
}

TEST_F(OllamaModels, Create) {
  const std::string digest = "sha256:" + sha256(as_bytes(std::string_view{"GGUF"})).hex();
  ASSERT_EQ(server.post("/api/blobs/" + digest, "GGUF").status, 201);
  const Reply made =
      server.post("/api/create",
                  R"({"model":"mine","files":{"m.gguf":")" + digest +
                      R"("},"template":"T","system":"S","license":["L1","L2"],)"
                      R"("parameters":{"top_k":3},"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(made.body, "{\"status\":\"writing manifest\"}\n{\"status\":\"success\"}\n");
  const lucid::ModelRecipe& recipe = server.node.recipes.at("mine:latest");
  EXPECT_EQ(recipe.template_text, "T");
  EXPECT_EQ(recipe.system, "S");
  EXPECT_EQ(recipe.license, "L1\nL2");
  EXPECT_EQ(recipe.parameters, R"({"top_k":3})");
  EXPECT_EQ(recipe.messages, R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(server.post("/api/create", R"({"name":"b","from":"tiny","stream":false})").body,
            R"({"status":"success"})");
  EXPECT_EQ(server.node.recipes.at("b:latest").from, "tiny");
  const json::value shown = server.post("/api/show", R"({"model":"mine"})").parsed();
  EXPECT_EQ(shown.at("license"), "L1\nL2");
  EXPECT_EQ(shown.at("messages").as_array().size(), 1U);
}

TEST_F(OllamaModels, CreateRefuses) {
  for (const char* more :
       {R"("adapters":{"a":"b"})", R"("quantize":"q4_K_M")", R"("renderer":"x")", R"("parser":"x")",
        R"("requires":"0.99.0")", R"("parameters":{"colour":1})", R"("files":{"a":"sha256:12"})"}) {
    EXPECT_EQ(server.post("/api/create", R"({"model":"b","from":"tiny",)" + std::string{more} + "}")
                  .status,
              400)
        << more;
  }
  EXPECT_EQ(server.post("/api/create", R"({"model":"b"})").status, 400);
  EXPECT_EQ(
      server
          .post("/api/create",
                R"({"model":"b","from":"tiny","quantize":"","adapters":{},"requires":"0.5.0"})")
          .status,
      200)
      << "what says nothing is taken";
}

TEST_F(OllamaModels, PullAndPush) {
  const Reply pulled = server.post("/api/pull", R"({"model":"other"})");
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(pulled.body,
            "{\"status\":\"pulling manifest\"}\n"
            R"({"status":"pulling aaaa","digest":")" +
                digest +
                "\",\"total\":100}\n"
                R"({"status":"pulling aaaa","digest":")" +
                digest +
                "\",\"total\":100,\"completed\":100}\n"
                "{\"status\":\"success\"}\n");
  EXPECT_EQ(server.post("/api/pull", R"({"name":"other","insecure":false,"stream":false})").body,
            R"({"status":"success"})");
  EXPECT_EQ(server.post("/api/push", R"({"model":"tiny"})").body, "{\"status\":\"success\"}\n")
      << "one success, not two";
  EXPECT_EQ(server.post("/api/push", R"({"name":"tiny","stream":false})").status, 200);
  EXPECT_EQ(server.post("/api/pull", R"({"model":"other","insecure":true})").body,
            R"({"error":"insecure: every transfer is checked"})");
  EXPECT_EQ(server.post("/api/push", R"({"model":"tiny","insecure":true})").status, 400);
  const Reply nobody = server.post("/api/pull", R"({"model":"nobody-has-it"})");
  EXPECT_EQ(nobody.status, 404);
  EXPECT_EQ(nobody.body, R"({"error":"nobody serves nobody-has-it"})");
  server.node.transfer_fails = Error{Code::io, "the disk is full", ""};
  EXPECT_EQ(server.post("/api/pull", R"({"model":"other"})").lines().back(),
            R"({"error":"the disk is full"})");
  EXPECT_EQ(server.post("/api/pull", R"({"model":"other","stream":false})").status, 500);
  EXPECT_EQ(server.node.open_transfers, 0);
}

TEST_F(OllamaBlobs, AreCheckedAndKeptOnce) {
  const std::string content(300'000, 'z');
  const std::string digest = "sha256:" + sha256(as_bytes(content)).hex();
  EXPECT_EQ(server.send("HEAD /api/blobs/" + digest).status, 404);
  EXPECT_EQ(server.post("/api/blobs/" + digest, content).status, 201);
  EXPECT_EQ(server.send("HEAD /api/blobs/" + digest).status, 200);
  EXPECT_EQ(server.post("/api/blobs/" + digest, content).status, 200);
  EXPECT_EQ(server.node.blobs.at(digest), 300'000U);
  EXPECT_EQ(server.post("/api/blobs/sha256:" + std::string(64, '0'), "x").status, 400);
  EXPECT_EQ(server.post("/api/blobs/sha256:12", "x").status, 400);
  EXPECT_EQ(server.send("HEAD /api/blobs/x").status, 400);
  const http::Wire wire(server.port);  // the connection goes on after both kinds of answer
  for (int i = 0; i < 2; ++i) {
    wire.send(FaceServer::request("POST /api/blobs/" + digest, content, ""));
    EXPECT_NE(wire.read("\r\n\r\n").find("200 OK"), std::string::npos);
  }
}

// ── Receipts ──

TEST_F(OllamaReceipts, AreGivenWithWhatItTakesToCheckThem) {
  const json::value answer = server.post("/api/chat", chat(R"(,"stream":false)")).parsed();
  const std::string path =
      "/api/receipts/" + std::string{faces::view(answer.at("x_lucid").at("receipt").as_string())};
  const Reply receipt = server.get(path);
  EXPECT_EQ(receipt.body, "receipt of job-1");
  EXPECT_TRUE(receipt.has("Content-Type: application/cose"));
  EXPECT_EQ(server.get(path + "?part=manifest").body, "manifest of job-1");
  EXPECT_EQ(server.get(path + "?part=prompt").body, as_text(server.node.asks[0].prompt));
  const json::value output = server.get(path + "?part=output").parsed();
  EXPECT_EQ(output.at("transcript").as_array().at(0).at("data"),
            json::string(to_base64(to_bytes("olle"))));
  EXPECT_EQ(output.at("transcript").as_array().at(0).at("stream"), 1);
  const json::value all = server.get(path, "Accept: application/json\r\n").parsed();
  EXPECT_EQ(all.at("job"), "job-1");
  EXPECT_EQ(all.at("receipt"), json::string(to_base64(to_bytes("receipt of job-1"))));
  EXPECT_EQ(all.at("transcript"), output.at("transcript"));
  EXPECT_EQ(server.get(path + "?part=other").status, 400);
  const Reply unknown = server.get("/api/receipts/job-77");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, R"({"error":"there is no receipt of job job-77"})");
}

}  // namespace
}  // namespace phase::ollama
