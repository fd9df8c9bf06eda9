#include "lucid/work_log.h"

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

TEST(WorkLog, ADocumentSaysWhatItWasMadeOf) {
  WorkEntry entry;
  entry.peer = "12D3KooWpeer";
  entry.model = "tiny:latest";
  entry.prompt_bytes = 12;
  entry.answer_bytes = 34;
  entry.answer_tokens = 5;
  entry.completion = "limited: wall";
  entry.verdict = "verified";
  store::JobRow row;
  row.id = "ab";
  row.created = UtcTime{1};
  row.finished = UtcTime{2};
  row.document = work_document(entry);
  const auto read = read_work_document(row);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->job_id, "ab");
  EXPECT_EQ(read->peer, entry.peer);
  EXPECT_EQ(read->model, entry.model);
  EXPECT_EQ(read->ended.unix_ms, 2u);
  EXPECT_EQ(read->prompt_bytes, 12u);
  EXPECT_EQ(read->answer_bytes, 34u);
  EXPECT_EQ(read->answer_tokens, 5u);
  EXPECT_FALSE(read->prompt_tokens);
  EXPECT_EQ(read->completion, entry.completion);
  EXPECT_EQ(read->verdict, entry.verdict);
  EXPECT_TRUE(read->has_receipt);
  EXPECT_FALSE(read->for_others);
  for (const char* bad : {"", "{", "[]", "1"}) {
    row.document = bad;
    EXPECT_FALSE(read_work_document(row)) << bad;
  }
}

TEST(WorkLog, TokensAreThoseOfTheLastNote) {
  WorkEntry entry;
  const auto note = [](std::string_view text) {
    const ByteView bytes = as_bytes(text);
    return job::OutputPiece{job::OutputStream::err, Bytes(bytes.begin(), bytes.end())};
  };
  read_token_counts({note("{\"logprobs\":[]}\n{\"done\":{\"prompt_tok"),
                     note("ens\":7,\"completion_tokens\":9,\"reason\":\"stop\"}}\n")},
                    entry);
  EXPECT_EQ(entry.prompt_tokens, 7u);
  EXPECT_EQ(entry.answer_tokens, 9u);
  for (const std::string_view bad :
       {"", "{\"done\":3}", "{\"done\":{\"prompt_tokens\":-1}}", "x"}) {
    WorkEntry none;
    read_token_counts({note(bad)}, none);
    EXPECT_FALSE(none.prompt_tokens) << bad;
  }
}

}  // namespace
}  // namespace phase::lucid
