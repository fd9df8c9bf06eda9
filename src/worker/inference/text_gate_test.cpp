#include "worker/inference/text_gate.h"

#include <gtest/gtest.h>

#include "worker/inference/notes.h"

namespace phase::worker::inference {
namespace {

TEST(TextGate, LetsPlainTextThrough) {
  TextGate gate;
  EXPECT_EQ(gate.push("hello"), "hello");
  EXPECT_EQ(gate.push(" world"), " world");
  EXPECT_EQ(gate.finish(), "");
}

TEST(TextGate, HoldsBackWhatMayBecomeAStopString) {
  TextGate gate({"END", "\n\n", ""});
  EXPECT_EQ(gate.push("one E"), "one ");
  EXPECT_EQ(gate.push("N"), "");
  EXPECT_EQ(gate.push("T"), "ENT");
  EXPECT_EQ(gate.push("\n"), "");
  EXPECT_EQ(gate.push("x"), "\nx");
  EXPECT_EQ(gate.push("two EN"), "two ");
  EXPECT_EQ(gate.push("D three"), "");
  EXPECT_TRUE(gate.stopped());
  EXPECT_EQ(gate.push("four"), "");
  EXPECT_EQ(gate.finish(), "");
}

TEST(TextGate, TheFirstStopStringWins) {
  TextGate gate({"cd", "bc"});
  EXPECT_EQ(gate.push("abcd"), "a");
  EXPECT_TRUE(gate.stopped());
}

TEST(TextGate, WhatWasHeldBackComesAtTheEnd) {
  TextGate gate({"STOP"});
  EXPECT_EQ(gate.push("a ST"), "a ");
  EXPECT_EQ(gate.finish(), "ST");
}

TEST(TextGate, CharactersAreWhole) {
  TextGate gate;
  EXPECT_EQ(gate.push("\xE2"), "");
  EXPECT_EQ(gate.push("\x82"), "");
  EXPECT_EQ(gate.push("\xAC!"), "\xE2\x82\xAC!");
  EXPECT_EQ(gate.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(gate.finish(), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(TextGate, BytesThatAreNoTextAreReplaced) {
  TextGate gate;
  EXPECT_EQ(gate.push("a\xFF\xC0z"), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(gate.push("\x80x"), "\xEF\xBF\xBDx");
}

TEST(TextGate, UnfinishedCharacters) {
  EXPECT_EQ(unfinished_character(""), 0U);
  EXPECT_EQ(unfinished_character("abc"), 0U);
  EXPECT_EQ(unfinished_character("a\xC3"), 1U);
  EXPECT_EQ(unfinished_character("a\xC3\xA9"), 0U);
  EXPECT_EQ(unfinished_character("\xF0\x9F\x98"), 3U);
  EXPECT_EQ(unfinished_character("\x80\x80\x80\x80"), 0U);
}

TEST(TextGate, SaysWhichStopStringCameFirst) {
  TextGate gate({"late", "", "now"});
  EXPECT_EQ(gate.push("it is no"), "it is ");
  EXPECT_EQ(gate.stopped_by(), "");
  EXPECT_EQ(gate.push("w or late"), "");
  EXPECT_TRUE(gate.stopped());
  EXPECT_EQ(gate.stopped_by(), "now");
  TextGate both({"b", "ab"});
  EXPECT_EQ(both.push("xab"), "x");
  EXPECT_EQ(both.stopped_by(), "ab");
}

TEST(Notes, AreOneLineEach) {
  EXPECT_EQ(parsed_note(), "{\"parsed\":true}\n");
  EXPECT_EQ(text_note("content", "a\n\xff"), "{\"content\":\"a\\n\xEF\xBF\xBD\"}\n");
  EXPECT_EQ(done_note(3, 4, true),
            "{\"done\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"reason\":\"length\"}}\n");
  EXPECT_EQ(done_note(3, 4, false, "\"x"),
            "{\"done\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"reason\":\"stop\","
            "\"stop\":\"\\\"x\"}}\n");
  EXPECT_EQ(tool_call_note(0, "call_1", "add", "{\"a\":1}"),
            "{\"tool_call\":{\"index\":0,\"id\":\"call_1\",\"name\":\"add\","
            "\"arguments\":{\"a\":1}}}\n");
  EXPECT_EQ(tool_call_note(0, "call_1", "add", "{\"a\":"), "");
  EXPECT_EQ(tool_call_note(0, "call_1", "add", "[]"), "");
  const TokenProbability token{"\xC3", -0.5, {{"b", -1, {}}}};
  EXPECT_EQ(logprobs_note({token}),
            "{\"logprobs\":[{\"token\":\"\xEF\xBF\xBD\",\"bytes\":[195],\"logprob\":-5E-1,"
            "\"top\":[{\"token\":\"b\",\"bytes\":[98],\"logprob\":-1E0}]}]}\n");
}

}  // namespace
}  // namespace phase::worker::inference
