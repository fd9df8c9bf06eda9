#include <gtest/gtest.h>

#include "api/control/job_book.h"

namespace phase::control {
namespace {

const std::string kModule(64, 'a');

std::string with(std::string_view more) {
  return R"({"module":")" + kModule + "\"" + std::string{more} + "}";
}

TEST(Submission, NeedsOnlyAModule) {
  const auto read = parse_submission(with(""), {});
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(std::get<Sha256>(read->module).hex(), kModule);
  EXPECT_EQ(read->job.entry, "_start");
  EXPECT_EQ(read->target, Target::local);
  EXPECT_EQ(read->timeout_ms, 30'000U);
  ASSERT_TRUE(read->stdin_given.has_value()) << "left out: empty, not streamed";
  EXPECT_TRUE(read->stdin_given->empty());
}

TEST(Submission, TakesAModuleByItsArtifactId) {
  const std::string digits(64, 'b');
  const auto read = parse_submission(R"({"module":"artifact:)" + digits + R"("})", {});
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(std::get<ArtifactId>(read->module).hex(), digits);
  const auto wrong = parse_submission(R"({"module":"artifact:1234"})", {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::invalid_argument);
  EXPECT_NE(wrong.error().message.find("module"), std::string::npos);
}

TEST(Submission, ReadsEveryKey) {
  const auto read = parse_submission(
      with(R"(,"entry":"main","args":["a","b c"],"env":{"K":"V"},"stdin":null,"fuel":7,)"
           R"("memory_bytes":65536,"table_elements":8,"output_bytes":9,"timeout_ms":10,)"
           R"("cpu_cores":2,"arch":"x86_64","runtime":"wasmtime","region":"","profile":"det-1",)"
           R"("level":"proof","private":true,"checkpoint_bytes":11,)"
           R"("target":"12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV")"),
      {});
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->job.entry, "main");
  EXPECT_EQ(read->job.args, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(read->job.env.at("K"), "V");
  EXPECT_FALSE(read->stdin_given.has_value());
  EXPECT_EQ(read->job.limits.fuel, 7U);
  EXPECT_EQ(read->job.limits.memory_bytes, 65536U);
  EXPECT_EQ(read->job.limits.table_elements, 8U);
  EXPECT_EQ(read->job.limits.output_bytes, 9U);
  EXPECT_EQ(read->timeout_ms, 10U);
  EXPECT_EQ(read->requirements.cpu_cores, 2U);
  EXPECT_EQ(read->requirements.arch, "x86_64");
  EXPECT_EQ(read->requirements.runtime, "wasmtime");
  EXPECT_FALSE(read->requirements.region.has_value()) << "an empty text asks for nothing";
  EXPECT_EQ(read->job.profile, job::Profile::det_1);
  EXPECT_EQ(read->level, manifest::Level::proof);
  EXPECT_TRUE(read->is_private);
  EXPECT_EQ(read->checkpoint_bytes, 11U);
  EXPECT_EQ(read->target, Target::peer);
  EXPECT_EQ(read->provider->hex(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST(Submission, NamesTheKeyThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(,"modul":1)", "modul"},
      {R"(,"fuel":0)", "fuel"},
      {R"(,"fuel":-1)", "fuel"},
      {R"(,"fuel":1.5)", "fuel"},
      {R"(,"fuel":"1")", "fuel"},
      {R"(,"memory_bytes":4294967297)", "memory_bytes"},
      {R"(,"output_bytes":99999999999)", "output_bytes"},
      {R"(,"timeout_ms":0)", "timeout_ms"},
      {R"(,"timeout_ms":3600001)", "timeout_ms"},
      {R"(,"cpu_cores":0)", "cpu_cores"},
      {R"(,"args":"a")", "args"},
      {R"(,"args":[1])", "args"},
      {R"(,"args":["a\u0000b"])", "args"},
      {R"(,"env":["a"])", "env"},
      {R"(,"env":{"a=b":"c"})", "env"},
      {R"(,"env":{"":"c"})", "env"},
      {R"(,"entry":"")", "entry"},
      {R"(,"stdin":"no base64!")", "stdin"},
      {R"(,"stdin":5)", "stdin"},
      {R"(,"private":1)", "private"},
      {R"(,"profile":"quick")", "profile"},
      {R"(,"level":"faith")", "level"},
      {R"(,"target":"nowhere")", "target"},
  };
  const std::string long_region = R"(,"region":")" + std::string(129, 'x') + '"';
  EXPECT_FALSE(parse_submission(with(long_region), {}));
  for (const auto& [more, key] : cases) {
    const auto read = parse_submission(with(more), {});
    ASSERT_FALSE(read) << more;
    EXPECT_NE(read.error().message.find(key), std::string::npos)
        << more << ": " << read.error().message;
  }
  EXPECT_FALSE(parse_submission("{}", {}));
  EXPECT_FALSE(parse_submission(R"({"module":"abc"})", {}));
}

TEST(Submission, RefusesWhatIsNoObjectOrTooMuch) {
  for (const char* text : {"", "[]", "null", "{", "{\"module\":", "\xff", "{} {}"}) {
    EXPECT_FALSE(parse_submission(text, {})) << text;
  }
  std::string deep(100, '[');
  EXPECT_FALSE(parse_submission(with(",\"args\":" + deep), {}));
  std::string args;
  for (int i = 0; i < 12; ++i) {
    args += (args.empty() ? "\"" : ",\"") + std::string(4000, 'x') + "\"";
  }
  EXPECT_EQ(parse_submission(with(",\"args\":[" + args + "]"), {}).error().code, Code::too_large);
  JobBookLimits small;
  small.stdin_given_max = 2;
  EXPECT_EQ(parse_submission(with(R"(,"stdin":"YWJj")"), small).error().code, Code::too_large);
  EXPECT_TRUE(parse_submission(with(R"(,"stdin":"YWI=")"), small));
}

TEST(Submission, TakesAnEmptyEnvAsPhpWritesIt) {
  EXPECT_TRUE(parse_submission(with(R"(,"env":[])"), {}));
}

}  // namespace
}  // namespace phase::control
