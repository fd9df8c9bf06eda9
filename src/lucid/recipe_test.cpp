#include "lucid/recipe.h"

#include <gtest/gtest.h>

namespace phase::lucid {
namespace {

Ask request(std::string_view prompt) {
  Ask out;
  out.model = "m";
  out.prompt = to_bytes(prompt);
  return out;
}

std::string applied(const ModelRecipe& recipe, std::string_view prompt) {
  Ask ask = request(prompt);
  const auto done = apply_recipe(recipe, ask);
  EXPECT_TRUE(done) << (done ? "" : done.error().text());
  return std::string(as_text(ask.prompt));
}

constexpr std::string_view kHello = R"({"messages":[{"role":"user","content":"hi"}]})";

TEST(Recipe, NothingChangesNothing) {
  EXPECT_EQ(applied({}, kHello), kHello);
  EXPECT_EQ(applied({}, "not JSON"), "not JSON") << "what is wrong is said by who reads it";
}

TEST(Recipe, SystemMessageGoesFirstUnlessTheRequestHasOne) {
  ModelRecipe recipe;
  recipe.system = "S";
  EXPECT_EQ(applied(recipe, kHello),
            R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}]})");
  constexpr std::string_view own =
      R"({"messages":[{"role":"system","content":"T"},{"role":"user","content":"hi"}]})";
  EXPECT_EQ(applied(recipe, own), own);
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi"})"), R"({"prompt":"hi","system":"S"})");
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi","system":"T"})"), R"({"prompt":"hi","system":"T"})");
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi","raw":true})"), R"({"prompt":"hi","raw":true})");
}

TEST(Recipe, TemplateUnlessTheRequestHasOne) {
  ModelRecipe recipe;
  recipe.template_text = "T";
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi"})"), R"({"prompt":"hi","template":"T"})");
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi","template":"U"})"),
            R"({"prompt":"hi","template":"U"})");
}

TEST(Recipe, FirstTurnsGoBetweenSystemAndRequest) {
  ModelRecipe recipe;
  recipe.system = "S";
  recipe.messages = R"([{"role":"user","content":"1"},{"role":"assistant","content":"2"}])";
  const std::string turns = R"({"role":"user","content":"1"},{"role":"assistant","content":"2"},)";
  const std::string hi = R"({"role":"user","content":"hi"}]})";
  EXPECT_EQ(applied(recipe, kHello),
            R"({"messages":[{"role":"system","content":"S"},)" + turns + hi);
  EXPECT_EQ(applied(recipe, R"({"prompt":"hi","system":"T"})"),
            R"({"messages":[{"role":"system","content":"T"},)" + turns + hi);
  EXPECT_EQ(applied(recipe, R"({"prompt":"a","suffix":"b"})"),
            R"({"prompt":"a","suffix":"b","system":"S"})");
}

TEST(Recipe, OptionsGoUnderThoseOfTheRequest) {
  ModelRecipe recipe;
  recipe.parameters =
      R"({"temperature":0.5,"top_p":0.25,"min_p":0,"typical_p":1,"repeat_penalty":1.5,)"
      R"("presence_penalty":-1,"frequency_penalty":2,"top_k":-1,"repeat_last_n":7,"seed":9,)"
      R"("num_predict":11,"stop":"x","num_ctx":256,"num_batch":32,"num_thread":2,"num_gpu":0,)"
      R"("num_keep":-1,"mirostat":2,"unknown":{},"tfs_z":null})";
  Ask ask = request(kHello);
  ASSERT_TRUE(apply_recipe(recipe, ask));
  EXPECT_EQ(ask.sampling.temperature_ppm, 500'000);
  EXPECT_EQ(ask.sampling.top_p_ppm, 250'000);
  EXPECT_EQ(ask.sampling.min_p_ppm, 0);
  EXPECT_EQ(ask.sampling.typical_p_ppm, 1'000'000);
  EXPECT_EQ(ask.sampling.repeat_penalty_ppm, 1'500'000);
  EXPECT_EQ(ask.sampling.presence_penalty_ppm, -1'000'000);
  EXPECT_EQ(ask.sampling.frequency_penalty_ppm, 2'000'000);
  EXPECT_EQ(ask.sampling.top_k, 0);
  EXPECT_EQ(ask.sampling.repeat_last_n, 7);
  EXPECT_TRUE(ask.seeded);
  EXPECT_EQ(ask.sampling.seed, 9U);
  EXPECT_EQ(ask.tokens_max, 11U);
  EXPECT_EQ(ask.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(ask.context_tokens, 256U);
  EXPECT_EQ(ask.batch_tokens, 32U);
  EXPECT_EQ(ask.threads, 2U);
  EXPECT_EQ(ask.gpu_layers, 0);
  EXPECT_NE(as_text(ask.prompt).find(R"("keep":2147483647)"), std::string_view::npos);

  Ask own = request(R"({"prompt":"hi","keep":1})");
  own.sampling.temperature_ppm = 1;
  own.seeded = true;
  own.sampling.seed = 3;
  own.tokens_max = 5;
  own.stop = {"y", "z"};
  own.context_tokens = 64;
  own.gpu_layers = -1;
  ASSERT_TRUE(apply_recipe(recipe, own));
  EXPECT_EQ(own.sampling.temperature_ppm, 1);
  EXPECT_EQ(own.sampling.seed, 3U);
  EXPECT_EQ(own.tokens_max, 5U);
  EXPECT_EQ(own.stop, (std::vector<std::string>{"y", "z"}));
  EXPECT_EQ(own.context_tokens, 64U);
  EXPECT_EQ(own.gpu_layers, -1);
  EXPECT_EQ(as_text(own.prompt), R"({"prompt":"hi","keep":1})");
}

TEST(Recipe, EmbeddingsTakeWhatTheModelIsLoadedWith) {
  ModelRecipe recipe;
  recipe.system = "S";
  recipe.parameters = R"({"temperature":0.5,"num_ctx":256,"stop":"x"})";
  Ask ask = request(R"({"input":["x"]})");
  ask.prompt_kind = 2;
  ASSERT_TRUE(apply_recipe(recipe, ask));
  EXPECT_EQ(ask.context_tokens, 256U);
  EXPECT_FALSE(ask.sampling.temperature_ppm);
  EXPECT_TRUE(ask.stop.empty());
  EXPECT_EQ(as_text(ask.prompt), R"({"input":["x"]})");
}

TEST(Recipe, WhatIsBrokenIsAnError) {
  for (const char* parameters :
       {"{", "[]", R"({"temperature":"hot"})", R"({"temperature":1e99})", R"({"top_p":-1})",
        R"({"top_k":1.5})", R"({"stop":[1]})", R"({"num_ctx":-1})", R"({"num_batch":0})",
        R"({"seed":{}})", R"({"stop":["","","","","","","","","","","","","","","","",""]})"}) {
    ModelRecipe recipe;
    recipe.parameters = parameters;
    Ask ask = request(kHello);
    const auto done = apply_recipe(recipe, ask);
    ASSERT_FALSE(done) << parameters;
    EXPECT_EQ(done.error().code, Code::malformed);
  }
  for (const char* messages : {"{", "{}", "1"}) {
    ModelRecipe recipe;
    recipe.messages = messages;
    Ask ask = request(kHello);
    EXPECT_FALSE(apply_recipe(recipe, ask)) << messages;
  }
  ModelRecipe recipe;
  recipe.system = std::string(job::kPromptBytesMax, 'x');
  Ask ask = request(kHello);
  EXPECT_EQ(apply_recipe(recipe, ask).error().code, Code::too_large);
}

TEST(Fitness, NamesWhatIsMissing) {
  worker::ModelInfo chats;
  chats.completes = chats.chats = true;
  worker::ModelInfo embeds;
  embeds.embeds = true;
  const auto said = [](const worker::ModelInfo& info, std::string_view prompt, int kind = 1) {
    Ask ask = request(prompt);
    ask.prompt_kind = static_cast<std::uint8_t>(kind);
    const auto fits = check_fitness(info, "m", ask);
    return fits ? "" : fits.error().message;
  };
  EXPECT_EQ(said(embeds, kHello), R"("m" does not support chat)");
  EXPECT_EQ(said(embeds, R"({"prompt":"x"})"), R"("m" does not support generate)");
  EXPECT_EQ(said(embeds, "x", 0), R"("m" does not support generate)");
  EXPECT_EQ(said(embeds, "{}", 2), "");
  EXPECT_EQ(said(chats, "{}", 2), R"("m" does not support embeddings)");
  EXPECT_EQ(said(chats, "{}", 3), R"("m" does not support reranking)");
  EXPECT_EQ(said(chats, kHello), "");
  EXPECT_EQ(said(chats, R"({"prompt":"x","think":true})"), R"("m" does not support thinking)");
  EXPECT_EQ(said(chats, R"({"prompt":"x","think":"low"})"), R"("m" does not support thinking)");
  EXPECT_EQ(said(chats, R"({"prompt":"x","think":false})"), "");
  EXPECT_EQ(said(chats, R"({"messages":[],"tools":[{}]})"), R"("m" does not support tools)");
  EXPECT_EQ(said(chats, R"({"messages":[],"tools":[]})"), "");
  EXPECT_EQ(said(chats, R"({"prompt":"x","suffix":"y"})"), R"("m" does not support insert)");
  EXPECT_NE(said(chats, "{"), "");
  chats.thinks = chats.calls_tools = chats.infills = true;
  EXPECT_EQ(said(chats, R"({"prompt":"x","think":true,"tools":[{}],"suffix":"y"})"), "");
}

}  // namespace
}  // namespace phase::lucid
