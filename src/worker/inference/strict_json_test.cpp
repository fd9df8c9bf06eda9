#include "worker/inference/strict_json.h"

#include <gtest/gtest.h>

namespace phase::worker::inference {
namespace {

Result<boost::json::value> parse(std::string_view text) {
  return parse_strictly(as_bytes(text));
}

TEST(StrictJson, TakesWhatTheSpecificationAllows) {
  EXPECT_TRUE(parse("{}"));
  EXPECT_TRUE(parse("{\"a\":1,\"b\":{\"a\":[{\"a\":2}]},\"\\u00e4\":null}"));
  EXPECT_TRUE(parse(std::string(64, '[') + std::string(64, ']')));
}

TEST(StrictJson, RefusesTheRest) {
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("{"));
  EXPECT_FALSE(parse("{} x"));
  EXPECT_FALSE(parse("{\"a\":1,}"));
  EXPECT_FALSE(parse("{\"a\":1,\"a\":2}"));
  EXPECT_FALSE(parse("{\"b\":{\"a\":1,\"\\u0061\":2}}"));
  EXPECT_FALSE(parse("[\"\xff\"]"));
  EXPECT_FALSE(parse("/* no */ {}"));
  EXPECT_FALSE(parse(std::string(65, '[') + std::string(65, ']')));
}

TEST(StrictJson, MembersNobodyTookAreErrors) {
  const auto value = parse("{\"a\":\"text\",\"n\":5,\"b\":true,\"l\":[1,2]}");
  ASSERT_TRUE(value);
  Members members(*value);
  EXPECT_EQ(members.text("a"), "text");
  EXPECT_EQ(members.integer("n", 0, 0, 5), 5);
  EXPECT_TRUE(members.boolean("b", false));
  EXPECT_EQ(members.integer("absent", 7, 0, 9), 7);
  EXPECT_FALSE(members.close());
  ASSERT_NE(members.list("l", 2), nullptr);
  EXPECT_TRUE(members.close());
}

TEST(StrictJson, TypesAndRangesHold) {
  const auto value = parse("{\"a\":1,\"n\":6,\"f\":1.5,\"l\":[1,2]}");
  ASSERT_TRUE(value);
  for (const auto& wrong : std::vector<std::function<void(Members&)>>{
           [](Members& m) { (void)m.text("a"); }, [](Members& m) { (void)m.integer("n", 0, 0, 5); },
           [](Members& m) { (void)m.integer("f", 0, 0, 5); },
           [](Members& m) { (void)m.list("l", 1); },
           [](Members& m) { (void)m.boolean("a", true); }}) {
    Members members(*value);
    for (const auto* name : {"a", "n", "f", "l"}) (void)members.any(name);
    EXPECT_TRUE(members.close());
    wrong(members);
    EXPECT_FALSE(members.close());
  }
  const auto list = parse("[]");
  EXPECT_FALSE(Members(*list).close());
}

}  // namespace
}  // namespace phase::worker::inference
