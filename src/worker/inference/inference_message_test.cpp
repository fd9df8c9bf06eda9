#include <gtest/gtest.h>

#include "worker/inference/message.h"

namespace phase::worker::inference {
namespace {

Begin some_begin() {
  Begin begin;
  begin.id = 7;
  begin.job.prompt_kind = static_cast<job::PromptKind>(3);
  begin.job.sampling.seed = UINT64_MAX;
  begin.job.sampling.temperature_ppm = 0;
  begin.job.sampling.presence_penalty_ppm = -1'500'000;
  begin.job.tokens_max = 12;
  begin.job.context_tokens = 2048;
  begin.job.stop = {"\n\n", "\xff"};
  begin.caller = "somebody";
  begin.prompt_bytes = 99;
  return begin;
}

TEST(InferenceMessage, TheParentsRoundTrip) {
  const Load load{123, true, {1, 2, 3, 4, -1, 6, 7}};
  const auto read_load = decode_from_parent(encode(load));
  ASSERT_TRUE(read_load);
  EXPECT_EQ(std::get<Load>(*read_load).model_bytes, 123U);
  EXPECT_TRUE(std::get<Load>(*read_load).inspect);
  EXPECT_EQ(std::get<Load>(*read_load).options.gpu_layers, -1);
  EXPECT_EQ(std::get<Load>(*read_load).options.memory_bytes_max, 6U);
  EXPECT_EQ(std::get<Load>(*read_load).options.request_cpu_seconds, 7U);

  const Begin begin = some_begin();
  const auto packet = encode(begin);
  ASSERT_TRUE(packet);
  const auto read = decode_from_parent(*packet);
  ASSERT_TRUE(read);
  const auto& same = std::get<Begin>(*read);
  EXPECT_EQ(same.id, begin.id);
  EXPECT_EQ(same.job, begin.job);
  EXPECT_EQ(same.caller, begin.caller);
  EXPECT_EQ(same.prompt_bytes, begin.prompt_bytes);

  Bytes piece = prompt_head(9);
  piece.push_back('x');
  EXPECT_EQ(as_text(std::get<PromptPiece>(*decode_from_parent(piece)).data), "x");
  for (const Word word : {Word::cancel, Word::pause, Word::resume}) {
    const auto told = decode_from_parent(encode(Tell{5, word}));
    ASSERT_TRUE(told);
    EXPECT_EQ(std::get<Tell>(*told).id, 5U);
    EXPECT_EQ(std::get<Tell>(*told).word, word);
  }
}

TEST(InferenceMessage, LimitsOfARequestHold) {
  Begin begin = some_begin();
  begin.caller = std::string(kCallerBytesMax + 1, 'c');
  EXPECT_FALSE(encode(begin));
  begin = some_begin();
  begin.job.stop = {std::string(kStopBytesMax + 1, 's')};
  EXPECT_FALSE(encode(begin));
  begin = some_begin();
  begin.prompt_bytes = job::kPromptBytesMax + 1;
  EXPECT_FALSE(encode(begin));
  EXPECT_FALSE(decode_from_parent(prompt_head(9)));  // no data
  EXPECT_FALSE(decode_from_parent({}));
  Bytes longer = encode(Tell{5, Word::cancel});
  longer.push_back(0);
  EXPECT_FALSE(decode_from_parent(longer));
}

TEST(InferenceMessage, OnePacketHoldsManyRecords) {
  Bytes packet;
  const Bytes text = to_bytes("hello");
  append(packet, Output{1, job::OutputStream::err, text});
  append(packet, Moved{2, Stage::eval, 3, 4});
  append(packet, Ended{5, End::template_malformed, 6, "line 1\nbad"});
  append(packet, Loading{250'000});
  append(packet, InfoPiece{text});
  append(packet, Loaded{7, 5, 8, {9, 10, 11, 12, 13, 14}});
  append(packet, Refused{Refusal::too_large, "why"});
  const auto records = decode_from_child(packet);
  ASSERT_TRUE(records) << records.error().text();
  ASSERT_EQ(records->size(), 7U);
  EXPECT_EQ(as_text(std::get<Output>((*records)[0]).data), "hello");
  EXPECT_EQ(std::get<Output>((*records)[0]).stream, job::OutputStream::err);
  EXPECT_EQ(std::get<Moved>((*records)[1]).total, 4U);
  EXPECT_EQ(std::get<Ended>((*records)[2]).end, End::template_malformed);
  EXPECT_EQ(std::get<Ended>((*records)[2]).message, "line 1?bad");
  EXPECT_EQ(std::get<Loading>((*records)[3]).ppm, 250'000U);
  EXPECT_EQ(std::get<Loaded>((*records)[5]).gpu_bytes, 5U);
  EXPECT_EQ(std::get<Loaded>((*records)[5]).options.threads, 12U);
  EXPECT_EQ(std::get<Refused>((*records)[6]).refusal, Refusal::too_large);
  packet.pop_back();
  EXPECT_FALSE(decode_from_child(packet));
  EXPECT_FALSE(decode_from_child({}));
}

TEST(InferenceMessage, EveryEndHasWords) {
  EXPECT_EQ(completion_of(End::exited), (receipt::Completion{}));
  EXPECT_EQ(completion_of(End::tokens).reason, "tokens");
  EXPECT_EQ(completion_of(End::prompt_malformed).kind, receipt::CompletionKind::invalid);
  EXPECT_EQ(completion_of(static_cast<End>(200)).reason, "worker_lost");
}

TEST(InferenceMessage, WhatAModelSaysIsBoundedAndPrintable) {
  ModelInfo info;
  info.architecture = "ll\x1b[2Jama";
  info.name = std::string(1000, 'n');
  info.parameters = 12;
  info.completes = info.infills = true;
  info.chat_template = "{{ \xff }}";
  info.metadata = "{}";
  const auto read = decode_info(encode(info));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->architecture, "ll?[2Jama");
  EXPECT_EQ(read->name.size(), 256U);
  EXPECT_EQ(read->parameters, 12U);
  EXPECT_TRUE(read->completes && read->infills);
  EXPECT_FALSE(read->embeds || read->ranks);
  EXPECT_EQ(read->chat_template, "{{ \xEF\xBF\xBD }}");
  info.metadata = std::string(kModelMetadataBytesMax + 1, ' ');
  EXPECT_FALSE(decode_info(encode(info)));
}

}  // namespace
}  // namespace phase::worker::inference
