// Answers out of pieces and notes.
#include "api/faces/answers.h"

#include <deque>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace phase::faces {
namespace {

using lucid::AnswerEvent;
using Mode = AnswerReader::Mode;

AnswerEvent text(std::string_view bytes) {
  return job::OutputPiece{job::OutputStream::out, to_bytes(bytes)};
}
AnswerEvent note(std::string_view bytes) {
  return job::OutputPiece{job::OutputStream::err, to_bytes(bytes)};
}
AnswerEvent done() {
  return lucid::Finished{{}, lucid::Verdict::verified, "", "", Duration{5}};
}
AnswerEvent ended(receipt::CompletionKind kind, std::string reason, std::string message = {}) {
  return lucid::Finished{
      {kind, 0, std::move(reason)}, lucid::Verdict::verified, "", std::move(message), {}};
}

class Told final : public lucid::Answer {
 public:
  explicit Told(std::vector<AnswerEvent> events) : events_(events.begin(), events.end()) {}
  Task<Result<AnswerEvent>> next() override {
    if (events_.empty()) {
      co_return fail(Code::connection_closed, "the provider went away");
    }
    AnswerEvent event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }

 private:
  std::deque<AnswerEvent> events_;
};

struct Heard {
  std::vector<Part> parts;
  std::optional<Error> error;
  Summary summary;
  lucid::Route route;
  std::string content() const {
    std::string out;
    for (const Part& part : parts) {
      out += part.content;
    }
    return out;
  }
};

Task<void> hear(AnswerReader& reader, Heard& heard) {
  bool more = true;
  while (more) {
    Result<Part> part = co_await reader.next();
    more = part && !part->done;
    if (part) {
      heard.parts.push_back(std::move(*part));
    } else {
      heard.error = part.error();
    }
  }
}

Heard hear(std::vector<AnswerEvent> events, Mode mode = Mode::stream, bool logprobs = false) {
  AnswerReader reader(std::make_unique<Told>(std::move(events)), mode, logprobs);
  Heard out;
  asio::io_context context;
  asio::co_spawn(context, hear(reader, out), asio::detached);
  context.run();
  out.summary = reader.summary();
  out.route = reader.route();
  return out;
}

TEST(Answers, TellTextAsItComes) {
  const Heard heard = hear(
      {lucid::Route{"local", "P", "j"}, lucid::Progress{"load", 1, 0},
       lucid::Progress{"prompt", 2, 3}, lucid::Progress{"eval", 4, 5},
       lucid::Progress{"cached", 6, 6}, text("ab"), text("c"),
       note("{\"done\":{\"prompt_tokens\":7,\"completion_tokens\":8,\"reason\":\"length\"}}\n"),
       done()});
  ASSERT_EQ(heard.parts.size(), 3U);
  EXPECT_EQ(heard.parts[0].content, "ab");
  EXPECT_EQ(heard.parts[1].content, "c");
  EXPECT_TRUE(heard.parts[2].done);
  EXPECT_EQ(heard.route.job_id, "j");
  EXPECT_EQ(heard.summary.load, Duration{1});
  EXPECT_EQ(heard.summary.prompt, Duration{2});
  EXPECT_EQ(heard.summary.eval, Duration{4});
  EXPECT_EQ(heard.summary.cached_tokens, 6U);
  EXPECT_EQ(heard.summary.prompt_tokens, 7U);
  EXPECT_EQ(heard.summary.completion_tokens, 8U);
  EXPECT_TRUE(heard.summary.length);
  EXPECT_EQ(heard.summary.total, Duration{5});
  EXPECT_EQ(heard.summary.verdict, lucid::Verdict::verified);
}

TEST(Answers, CutBetweenCharacters) {
  const Heard heard = hear({text("\xc3"), text("\xa4\xe2\x82"), text("\xac\xf0\x9f"), done()});
  EXPECT_EQ(heard.content(), "ä€\xef\xbf\xbd\xef\xbf\xbd") << "what never ends is replaced";
  for (const Part& part : heard.parts) {
    EXPECT_TRUE(is_utf8(as_bytes(part.content)));
  }
}

TEST(Answers, TakeContentFromNotesWhereTheySaySo) {
  const Heard heard = hear(
      {note("{\"parsed\":true}\n"), text("<think>"), note("{\"thinking\":\"hm\"}\n{\"cont"),
       note("ent\":\"x\"}\n"),
       note("{\"tool_call\":{\"index\":0,\"id\":\"c\",\"name\":\"f\",\"arguments\":{\"a\":1}}}\n"),
       done()});
  EXPECT_EQ(heard.content(), "x");
  EXPECT_EQ(heard.parts[0].thinking, "hm");
  EXPECT_EQ(heard.parts[2].calls.at(0).arguments, R"({"a":1})");
  EXPECT_EQ(heard.parts[2].calls.at(0).id, "c");
}

TEST(Answers, HoldTextForItsLogprobs) {
  const std::string chances =
      "{\"logprobs\":[{\"token\":\"a\",\"bytes\":[97],\"logprob\":-1,\"top\":[{\"token\":\"b\","
      "\"logprob\":-2}]}]}\n";
  const Heard heard = hear({text("a"), note(chances), text("b"), done()}, Mode::stream, true);
  ASSERT_EQ(heard.parts.size(), 2U);
  EXPECT_EQ(heard.parts[0].content, "a");
  EXPECT_EQ(heard.parts[0].logprobs.at(0).chosen.logprob, -1);
  EXPECT_EQ(heard.parts[0].logprobs.at(0).top.at(0).bytes, (std::vector<std::uint8_t>{'b'}));
  EXPECT_EQ(heard.parts[1].content, "b");
}

TEST(Answers, GoOnAfterARestartWithTheSameWords) {
  const Heard same =
      hear({text("hello wo"), lucid::Restart{}, text("hel"), text("lo world"), done()});
  EXPECT_EQ(same.content(), "hello world");
  const Heard other = hear({text("hello"), lucid::Restart{}, text("help"), done()});
  ASSERT_TRUE(other.error);
  EXPECT_EQ(other.error->code, Code::connection_closed);
  EXPECT_EQ(other.content(), "hello");
  const Heard shorter = hear({text("hello"), lucid::Restart{}, text("he"), done()});
  EXPECT_TRUE(shorter.error);
  const std::string call =
      "{\"tool_call\":{\"index\":0,\"id\":\"c\",\"name\":\"f\",\"arguments\":{}}}\n";
  std::size_t calls = 0;
  for (const Part& part :
       hear({note(call), lucid::Restart{}, note(call), note(call), done()}).parts) {
    calls += part.calls.size();
  }
  EXPECT_EQ(calls, 2U);
}

TEST(Answers, ASpoiledNoteIsCuredByARestart) {
  for (const Mode mode : {Mode::stream, Mode::whole}) {
    const Heard cured = hear(
        {text("he"), note("no note\n"), text("?"), lucid::Restart{}, text("hello"), done()}, mode);
    EXPECT_FALSE(cured.error);
    EXPECT_TRUE(cured.content().ends_with("hello")) << cured.content();
    EXPECT_EQ(cured.content().find('?'), std::string::npos);
    const Heard alone = hear({text("he"), note("no note\n"), text("?"), done()}, mode);
    ASSERT_TRUE(alone.error);
    EXPECT_EQ(alone.error->code, Code::protocol);
  }
}

/// Each attempt may be as long as an answer may be: who floods does not use up the next one's.
TEST(Answers, AFloodDoesNotCountAfterARestart) {
  const std::string flood(kAnswerBytesMax / 4, 'x');
  std::vector<AnswerEvent> events(4, text(flood));
  events.emplace_back(lucid::Restart{});
  events.push_back(text("truth"));
  events.push_back(done());
  const Heard heard = hear(std::move(events), Mode::whole);
  EXPECT_FALSE(heard.error) << heard.error->text();
  EXPECT_TRUE(heard.content().ends_with("truth"));
  const Heard over =
      hear({text(flood), text(flood), text(flood), text(flood), text("x"), done()}, Mode::whole);
  ASSERT_TRUE(over.error);
  EXPECT_EQ(over.error->code, Code::too_large);
}

TEST(Answers, StartOverWhenNothingWasTold) {
  const Heard heard = hear({text("lies"), lucid::Restart{}, text("truth"), done()}, Mode::whole);
  ASSERT_EQ(heard.parts.size(), 4U);
  EXPECT_TRUE(heard.parts[1].restart);
  AnswerReader reader(std::make_unique<Told>(std::vector<AnswerEvent>{
                          text("lies"), lucid::Restart{}, text("truth"), done()}),
                      Mode::whole, false);
  Result<Part> all = fail(Code::internal, "");
  asio::io_context context;
  asio::co_spawn(context, [&]() -> Task<void> { all = co_await collect(reader); }, asio::detached);
  context.run();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->content, "truth");
}

TEST(Answers, SayWhyTheyEnded) {
  using enum receipt::CompletionKind;
  EXPECT_TRUE(hear({text("x"), ended(limited, "tokens")}).summary.length);
  EXPECT_EQ(hear({ended(invalid, "prompt_too_long", "8 of 4")}).error->message,
            "the input length exceeds the context length");
  const Error unfit = hear({ended(invalid, "model_unfit", "no \x1b[31mchat")}).error.value();
  EXPECT_EQ(unfit.code, Code::invalid_argument);
  EXPECT_EQ(unfit.message, "this model does not support this kind of request: no ?[31mchat");
  EXPECT_EQ(hear({ended(failed, "worker_lost")}).error->code, Code::internal);
  EXPECT_EQ(hear({ended(cancelled, "")}).error->code, Code::cancelled);
  EXPECT_EQ(hear({text("x")}).error->code, Code::connection_closed);
}

TEST(Answers, RefuseNotesThatAreNone) {
  for (const char* bad : {"x\n", "[]\n", "{\"a\":1,\"a\":2}\n", "{\"tool_call\":1}\n",
                          "{\"tool_call\":{\"name\":\"f\",\"arguments\":\"{}\"}}\n",
                          "{\"logprobs\":1}\n", "{\"logprobs\":[1]}\n", "{\"logprobs\":[{}]}\n"}) {
    const Heard heard = hear({note(bad), done()});
    ASSERT_TRUE(heard.error) << bad;
    EXPECT_EQ(heard.error->code, Code::protocol) << bad;
  }
  EXPECT_EQ(hear({note("{\"new\":1}\n"), done()}).error, std::nullopt)
      << "later ones may know more";
}

TEST(Answers, AreBounded) {
  const std::string call =
      "{\"tool_call\":{\"index\":0,\"id\":\"c\",\"name\":\"f\",\"arguments\":{}}}\n";
  std::vector<AnswerEvent> many(kCallsMax + 1, note(call));
  EXPECT_EQ(hear(std::move(many)).error->code, Code::too_large);
  const std::string piece(1_MiB, 'x');
  std::vector<AnswerEvent> endless(65, text(piece));
  EXPECT_EQ(hear(std::move(endless)).error->code, Code::too_large);
  std::vector<AnswerEvent> line(5, note(piece));
  line.push_back(done());
  EXPECT_EQ(hear(std::move(line)).error->code, Code::protocol);
}

}  // namespace
}  // namespace phase::faces
