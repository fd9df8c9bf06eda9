// The module in the real worker, locked down.
#include "vcp/computation/computation.h"

#include <boost/json.hpp>
#include <rapidcheck.h>

#include "tests/hostile/worker_fixture.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

struct Answer {
  std::int64_t exit = -1;
  std::string text;
  json::object value;
};

class ComputationTest : public worker::WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    start();
  }
  Answer ask(const std::string& input) {
    const Bytes& module = *module_;
    auto outcome = run(module, job_for(module), input);
    Answer out;
    EXPECT_TRUE(outcome);
    if (!outcome) return out;
    EXPECT_EQ(outcome->exit.completion.kind, receipt::CompletionKind::exited) << input;
    out.exit = outcome->exit.completion.exit_code;
    out.text = outcome->out;
    boost::system::error_code error;
    const json::value parsed = json::parse(out.text, error);
    EXPECT_FALSE(error) << out.text;
    EXPECT_TRUE(parsed.is_object()) << out.text;
    if (parsed.is_object()) out.value = parsed.get_object();
    return out;
  }
  Answer calculate(const std::string& expression) {
    return ask(json::serialize(json::object{{"expression", expression}}));
  }
  /// The digits of the value as printed; "" when it was refused.
  std::string value_of(const std::string& expression) {
    const Answer out = calculate(expression);
    const std::size_t at = out.text.find("\"value\":");
    if (at == std::string::npos) return "";
    return out.text.substr(at + 8, out.text.find('}') - at - 8);
  }

  std::shared_ptr<const Bytes> module_ = computation_module();
};

TEST_F(ComputationTest, Calculates) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"1+1", "2"},
      {" 2 + 3 * 4 ", "14"},
      {"(2+3)*4", "20"},
      {"2-3-4", "-5"},
      {"100/5/2", "10"},
      {"-3*-2", "6"},
      {"--2", "2"},
      {"-(1+2)", "-3"},
      {"0.1+0.2", "0.3"},
      {"1/3", "0.333333333333333"},
      {"2/3", "0.666666666666667"},
      {"1e3*1.5", "1500"},
      {".5+1.", "1.5"},
      {"6 \u00d7 7 \u2212 8 \u00f7 2", "38"},
      {"9007199254740991+0", "9007199254740991"},
      {"1/1000", "0.001"},
      {"1/30000000", "3.33333333333333e-8"},
      {"10000000000*10000000000*1.5", "150000000000000000000"},
      {"1e100*1.25", "1.25e+100"},
      {"0*-1", "0"},
      {"22/7", "3.14285714285714"},
      {"1234.5678", "1234.5678"},
  };
  for (const auto& [expression, expected] : table) {
    EXPECT_EQ(value_of(expression), expected) << expression;
  }
}

TEST_F(ComputationTest, RefusesWhatIsNoArithmetic) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"1/0", "division by zero"},
      {"1/(2-2)", "division by zero"},
      {"", "ends too early"},
      {"1+", "ends too early"},
      {"(1+2", "not closed"},
      {"1+2)", "not opened"},
      {"1 2", "without an operator"},
      {"system(1)", "something else"},
      {"1e400", "out of range"},
      {"1e308*10", "out of range"},
      {std::string(200, '(') + "1" + std::string(200, ')'), "deeper than 64"},
      {std::string(200, '-') + "1", "deeper than 64"},
  };
  for (const auto& [expression, why] : table) {
    const Answer out = calculate(expression);
    EXPECT_EQ(out.exit, 2) << expression;
    EXPECT_NE(out.text.find(why), std::string::npos) << expression << ": " << out.text;
  }
}

TEST_F(ComputationTest, PiByRandomPoints) {
  const Answer usual = ask(R"({"monte_carlo_pi": {}})");
  EXPECT_EQ(usual.exit, 0);
  EXPECT_EQ(usual.value.at("samples").to_number<int>(), 100'000);
  const Answer one = ask(R"({"monte_carlo_pi": {"samples": 1000000, "seed": 7}})");
  const Answer again = ask(R"({"monte_carlo_pi": {"seed": 7, "samples": 1000000}})");
  EXPECT_EQ(one.text, again.text);
  const double error = std::abs(one.value.at("value").to_number<double>() - 3.141592653589793);
  EXPECT_LT(error, 4 * one.value.at("standard_error").to_number<double>());
  EXPECT_NE(ask(R"({"monte_carlo_pi": {"samples": 1000000, "seed": 8}})").text, one.text);
  for (const char* samples :
       {"0", "100000001", "-1", "1.5", "1e3", "\"9\"", "99999999999999999999"}) {
    EXPECT_EQ(ask(R"({"monte_carlo_pi": {"samples": )" + std::string(samples) + "}}").exit, 2)
        << samples;
  }
}

TEST_F(ComputationTest, AHundredMillionPointsFitInTheFuelOfATask) {
  const Answer most = ask(R"({"monte_carlo_pi": {"samples": 100000000, "seed": 1}})");
  EXPECT_EQ(most.exit, 0) << most.text;
  EXPECT_NEAR(most.value.at("value").to_number<double>(), 3.14159265, 0.001);
}

TEST_F(ComputationTest, PromptsAreReadForPiAndForExpressions) {
  const Answer pi = ask(R"({"prompt": "Estimate pi by Monte Carlo with 5000 samples."})");
  EXPECT_EQ(pi.value.at("samples").to_number<int>(), 5'000);
  EXPECT_EQ(pi.text, ask(R"({"monte_carlo_pi": {"samples": 5000, "seed": 0}})").text);
  const Answer found =
      ask(R"({"prompt": "What is 12 * (3 + 4)? I think 80.", "description": "x"})");
  EXPECT_EQ(found.value.at("value").to_number<int>(), 84);
  EXPECT_EQ(found.value.at("kind").as_string(), "expression");
}

TEST_F(ComputationTest, OtherPromptsGiveStatistics) {
  const Answer out = ask(R"({"prompt": "Nodes measure latency. The nodes report 3.5 and 42; )"
                         R"(are NODES honest? \u00dcber latency\u2026"})");
  EXPECT_EQ(out.exit, 0);
  EXPECT_EQ(out.value.at("kind").as_string(), "text");
  EXPECT_EQ(out.value.at("sentences").to_number<int>(), 3);
  const json::array& keywords = out.value.at("keywords").as_array();
  EXPECT_EQ(keywords.at(0).as_object().at("word").as_string(), "nodes");
  EXPECT_EQ(keywords.at(0).as_object().at("count").to_number<int>(), 3);
  EXPECT_EQ(keywords.at(1).as_object().at("word").as_string(), "latency");
  EXPECT_EQ(json::serialize(out.value.at("numbers")), "[3.5E0,42]");
}

TEST_F(ComputationTest, RefusesOtherInputs) {
  for (const std::string input :
       {"", "null", "[]", "{}", "1", "\"1+1\"", R"({"a": 1})", R"({"expression": 1})",
        R"({"expression": "1", "prompt": "x"})", R"({"expression": "1"} x)",
        R"({"expression": "1",})", R"({"expression": "\ud800"})", R"({"monte_carlo_pi": 3})",
        R"({"description": "x"})", R"({"monte_carlo_pi": {"sample": 3}})"}) {
    const Answer out = ask(input);
    EXPECT_EQ(out.exit, 2) << input;
    EXPECT_TRUE(out.value.contains("error")) << out.text;
  }
  EXPECT_EQ(ask("{\"prompt\": \"" + std::string(70'000, 'a') + "\"}").exit, 2);
  EXPECT_EQ(ask(std::string(300'000, ' ')).exit, 2);
}

/// JSON of the asked form with anything in it, or bytes near it.
rc::Gen<std::string> inputs() {
  const auto part = rc::gen::element<std::string>(
      "{", "}", "\"", "expression", "prompt", "monte_carlo_pi", "samples", ":", ",", "1", "0.5e-3",
      "(", ")", "*", "/", "-", " ", ".", "\\u00e9", "\\ud83d\\ude00", "\\", "monte carlo pi",
      "\xc3\x97", "9e99");
  const auto text = rc::gen::map(rc::gen::container<std::vector<std::string>>(part),
                                 [](const std::vector<std::string>& parts) {
                                   std::string out;
                                   for (const std::string& one : parts) out += one;
                                   return out;
                                 });
  return rc::gen::oneOf(text,
                        rc::gen::map(text,
                                     [](const std::string& inner) {
                                       return json::serialize(json::object{{"prompt", inner}});
                                     }),
                        rc::gen::map(text, [](const std::string& inner) {
                          return json::serialize(json::object{{"expression", inner}});
                        }));
}

TEST_F(ComputationTest, WhateverComesTheAnswerIsJson) {
  const bool held = rc::check([this] {
    const Answer out = ask(*inputs());
    RC_ASSERT(out.exit == 0 || out.exit == 2);
    RC_ASSERT(out.value.contains("error") == (out.exit == 2));
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace phase::vcp
