#include "worker/inference/notes.h"

#include <cmath>

#include <boost/json.hpp>

namespace phase::worker::inference {
namespace {

namespace json = boost::json;

// Below any probability a float can tell from zero; JSON has no infinity.
constexpr double kLogprobMin = -1e4;

std::string line(json::object object) {
  return json::serialize(object) + "\n";
}

json::object probability(const TokenProbability& token) {
  json::array bytes;
  for (const char byte : token.bytes) bytes.emplace_back(static_cast<unsigned char>(byte));
  const double logprob = std::isfinite(token.logprob) ? token.logprob : kLogprobMin;
  return {{"token", well_formed(token.bytes)}, {"bytes", std::move(bytes)}, {"logprob", logprob}};
}

}  // namespace

std::string parsed_note() {
  return line({{"parsed", true}});
}

std::string text_note(std::string_view member, std::string_view text) {
  return line({{member, well_formed(text)}});
}

std::string logprobs_note(const std::vector<TokenProbability>& tokens) {
  json::array out;
  for (const TokenProbability& token : tokens) {
    json::object entry = probability(token);
    json::array top;
    for (const TokenProbability& other : token.top) top.push_back(probability(other));
    entry["top"] = std::move(top);
    out.push_back(std::move(entry));
  }
  return line({{"logprobs", std::move(out)}});
}

std::string done_note(std::uint64_t prompt_tokens, std::uint64_t completion_tokens, bool at_limit,
                      std::string_view stop) {
  json::object done{{"prompt_tokens", prompt_tokens},
                    {"completion_tokens", completion_tokens},
                    {"reason", at_limit ? "length" : "stop"}};
  if (!stop.empty()) done["stop"] = stop;
  return line({{"done", std::move(done)}});
}

std::string tool_call_note(std::size_t index, std::string_view id, std::string_view name,
                           std::string_view arguments) {
  boost::system::error_code error;
  json::value read = json::parse(arguments.empty() ? "{}" : arguments, error);
  if (error || !read.is_object()) return {};
  return line({{"tool_call",
                {{"index", index},
                 {"id", well_formed(id)},
                 {"name", well_formed(name)},
                 {"arguments", std::move(read)}}}});
}

}  // namespace phase::worker::inference
