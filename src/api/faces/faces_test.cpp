// What the faces share, without a socket.
#include <map>
#include <set>

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "api/faces/face.h"
#include "api/faces/fields.h"

namespace phase::faces {
namespace {

// ── JSON ──

TEST(JsonText, RefusesWhatIsAmbiguousOrTooDeep) {
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"));
  for (const char* bad : {"", "{", "[1,]", R"({"a":1,"a":2})", R"([[{"x":1,"x":1}]])", "1 2", "nul",
                          "\"\xff\"", R"({"a":1,"\u0061":2})", "/* */1", "'a'"}) {
    const auto value = parse_json(bad);
    ASSERT_FALSE(value) << bad;
    EXPECT_EQ(value.error().code, Code::malformed) << bad;
  }
  EXPECT_TRUE(parse_json(std::string(60, '[') + std::string(60, ']')));
  EXPECT_FALSE(parse_json(std::string(61, '[') + std::string(61, ']')));
  EXPECT_FALSE(parse_object("[]"));
  EXPECT_EQ(parse_object(" \n").error().message, "missing request body");
}

TEST(JsonText, RefusesWhatPassesALimitWhileItIsRead) {
  JsonLimits limits;
  limits.items = limits.names = 3;
  limits.name_bytes = 8;
  limits.string_bytes = 10;
  limits.long_name = "module";
  const std::string long_text = '"' + std::string(5'000, 'x') + '"';
  for (const std::string& good :
       {std::string{R"([1,2,3])"}, std::string{R"({"a":1,"b":2,"c":3})"},
        std::string{R"({"12345678":"1234567890"})"}, R"({"module":)" + long_text + "}",
        R"({"a":[1],"module":)" + long_text + R"(,"b":"short"})"}) {
    EXPECT_TRUE(parse_json(good, limits)) << good;
  }
  for (const std::string& bad :
       {std::string{R"([1,2,3,4])"}, std::string{R"({"a":1,"b":2,"c":3,"d":4})"},
        std::string{R"({"123456789":1})"}, std::string{R"({"a":"12345678901"})"},
        R"({"x":{"module":)" + long_text + "}}", R"({"module":[)" + long_text + "]}",
        R"({"module":{"a":)" + long_text + "}}", R"({"module":"a","b":)" + long_text + "}"}) {
    const auto value = parse_json(bad, limits);
    ASSERT_FALSE(value) << bad.substr(0, 80);
    EXPECT_EQ(value.error().code, Code::too_large) << bad.substr(0, 80);
  }
}

TEST(JsonText, QuotesWhatComesBackTheSame) {
  rc::check([](const std::string& any) {
    const std::string text = valid_utf8(any);
    RC_ASSERT(is_utf8(as_bytes(text)));
    const auto back = parse_json(faces::quoted(text));
    RC_ASSERT(back.has_value());
    RC_ASSERT(view(back->as_string()) == text);
  });
}

TEST(JsonText, JoinsCharactersHoweverTheyWereCut) {
  rc::check([](const std::vector<std::uint32_t>& raw, const std::vector<std::uint8_t>& cuts) {
    std::string whole;
    for (const std::uint32_t number : raw) {
      static constexpr std::array<std::string_view, 5> kCharacters{"a", "ä", "€", "😀", "\n"};
      whole += kCharacters[number % kCharacters.size()];
    }
    TextJoin join;
    std::string out;
    std::string_view rest = whole;
    for (std::size_t i = 0; !rest.empty(); ++i) {
      const std::size_t size = cuts.empty() ? 1 : cuts[i % cuts.size()] % 4 + 1;
      const std::string part = join.add(rest.substr(0, size));
      RC_ASSERT(is_utf8(as_bytes(part)));
      out += part;
      rest.remove_prefix(std::min(size, rest.size()));
    }
    RC_ASSERT(out + join.end() == whole);
  });
}

// ── Texts ──

TEST(Faces, WriteTimesWithNineDigits) {
  EXPECT_EQ(timestamp({0}), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(timestamp({1'767'323'045'678}), "2026-01-02T03:04:05.678000000Z");
  EXPECT_EQ(timestamp_ns(1'000'000'001), "1970-01-01T00:00:01.000000001Z");
}

TEST(Faces, WriteNumbersInTheFewestDigits) {
  std::string out;
  append_numbers(out, {0.1F, -1.5F, 0, 1e-9F});
  EXPECT_EQ(out, "[0.1,-1.5,0,1e-09]");
  EXPECT_TRUE(parse_json(out));
}

TEST(Faces, SayWhenToComeAgain) {
  EXPECT_EQ(retry_headers({Code::busy, "", "in 12 s"}).at(0).second, "12");
  EXPECT_EQ(retry_headers({Code::busy, "", ""}).at(0).second, "1");
  EXPECT_EQ(retry_headers({Code::unavailable, "", "99999999999999999999"}).at(0).second, "1");
  EXPECT_EQ(retry_headers({Code::busy, "", "86400"}).at(0).second, "3600");
  EXPECT_TRUE(retry_headers({Code::not_found, "", "5"}).empty());
}

TEST(Faces, NameTheVerdict) {
  Summary summary;
  const lucid::Route route{"local", "P", "j\"1"};
  EXPECT_EQ(x_lucid(route, summary),
            R"({"receipt":"j\"1","verified":"pending","routed_via":"local","served_by":"P"})");
  summary.earlier = {{"0a", "12D3KooWOther", "lost"}, {"0b", "12D3KooW", "refused"}};
  EXPECT_TRUE(
      x_lucid(route, summary)
          .ends_with(R"(,"earlier":[{"job":"0a","served_by":"12D3KooWOther","result":"lost"},)"
                     R"({"job":"0b","served_by":"12D3KooW","result":"refused"}]})"));
  EXPECT_EQ(answer_headers(route, &summary).back().second, "pending");
  summary.verdict = lucid::Verdict::verified;
  EXPECT_EQ(answer_headers(route, &summary).back().second, "true");
  EXPECT_EQ(answer_headers(route, nullptr).back().second, "pending") << "a stream's comes later";
}

TEST(Faces, ReadVectorsStrictly) {
  const auto two = read_embeddings(R"({"embeddings":[[1,2.5],[3,4]],"prompt_tokens":7})", 2);
  ASSERT_TRUE(two);
  EXPECT_EQ(two->embeddings[0], (std::vector<float>{1, 2.5F}));
  EXPECT_EQ(two->prompt_tokens, 7U);
  for (const char* bad : {"", "[]", "{}", R"({"embeddings":[[1]]})", R"({"embeddings":[[1],[]]})",
                          R"({"embeddings":[[1],["x"]]})", R"({"embeddings":[[1],[1e300]]})"}) {
    EXPECT_FALSE(read_embeddings(bad, 2)) << bad;
  }
  EXPECT_EQ(read_scores(R"({"scores":[0.5,-1]})", 2)->scores, (std::vector<double>{0.5, -1}));
  EXPECT_FALSE(read_scores(R"({"scores":[0.5]})", 2));
  EXPECT_FALSE(read_scores(R"({"scores":["x","y"]})", 2));
}

// ── Fields ──

TEST(FieldTable, HasEveryFieldOfTheSurface) {
  const std::map<std::string_view, std::string_view> surface{
      {"ollama.generate",
       "model prompt suffix system template context stream raw format keep_alive images options "
       "think truncate shift logprobs top_logprobs"},
      {"ollama.chat",
       "model messages tools stream format keep_alive options think truncate shift logprobs "
       "top_logprobs"},
      {"ollama.message", "role content thinking images tool_calls tool_name tool_call_id"},
      {"ollama.options",
       "num_keep seed num_predict top_k top_p min_p typical_p repeat_last_n temperature "
       "repeat_penalty presence_penalty frequency_penalty stop num_ctx num_batch num_gpu main_gpu "
       "use_mmap num_thread"},
      {"ollama.embed", "model input truncate dimensions keep_alive options"},
      {"ollama.embeddings", "model prompt keep_alive options"},
      {"ollama.show", "model verbose system template options"},
      {"ollama.create",
       "model from files adapters template license system parameters messages quantize renderer "
       "parser requires stream"},
      {"ollama.copy", "source destination"},
      {"ollama.delete", "model"},
      {"ollama.pull", "model insecure stream"},
      {"ollama.push", "model insecure stream"},
      {"openai.chat",
       "model messages tools tool_choice stream stream_options max_tokens max_completion_tokens "
       "seed stop temperature top_p frequency_penalty presence_penalty response_format "
       "reasoning_effort reasoning logprobs top_logprobs n"},
      {"openai.completions",
       "model prompt suffix max_tokens seed stop temperature top_p stream stream_options"},
      {"openai.embeddings", "model input dimensions encoding_format"},
      {"openai.responses",
       "model input instructions tools stream temperature top_p max_output_tokens"},
      {"rerank", "model query documents top_n"},
      {"anthropic.messages",
       "model max_tokens messages system tools thinking stop_sequences top_k stream"}};
  std::map<std::string_view, std::set<std::string_view>> rows;
  for (const FieldRow& row : field_table()) {
    rows[row.section].insert(row.name);
  }
  for (const auto& [section, names] : surface) {
    std::string_view rest = names;
    while (!rest.empty()) {
      const std::string_view name = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      EXPECT_TRUE(rows[section].contains(name)) << section << "." << name;
    }
  }
}

TEST(FieldTable, RefusedFieldsMaySayNothing) {
  for (const char* nothing : {"null", "false", "0", "0.0", R"("")", "[]", "{}"}) {
    json::object body = parse_object(R"({"main_gpu":)" + std::string{nothing} + "}").value();
    EXPECT_TRUE(check_fields(body, "ollama.options", "options.", "m")) << nothing;
  }
  for (const char* something : {"true", "1", "-0.5", R"("x")", "[0]", R"({"a":null})"}) {
    json::object body = parse_object(R"({"main_gpu":)" + std::string{something} + "}").value();
    EXPECT_FALSE(check_fields(body, "ollama.options", "options.", "m")) << something;
  }
}

TEST(Fields, TakeWholeNumbersAsTheyAreWritten) {
  json::object body = parse_object(R"({"top_k":3.0,"seed":18446744073709551615})").value();
  const Fields fields = Fields::open(body, "ollama.options").value();
  EXPECT_EQ(fields.integer("top_k", 0, 9).value(), 3);
  EXPECT_FALSE(fields.integer("seed", 0, INT64_MAX)) << "beyond what is asked for";
  EXPECT_EQ(fields.integer("num_ctx", 0, 9).value(), std::nullopt);
}

}  // namespace
}  // namespace phase::faces
