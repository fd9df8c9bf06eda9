#include "api/openai/chunks.h"

#include <boost/json.hpp>

#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

using faces::append_quoted;
using faces::Chance;
using faces::Part;
using faces::TokenChances;

constexpr std::string_view kEnd = "data: [DONE]\n\n";

std::string number(double value) {
  return json::serialize(json::value(value));
}

void append_chance(std::string& out, const Chance& chance) {
  out += R"({"token":)";
  append_quoted(out, faces::valid_utf8(chance.token));
  out += R"(,"logprob":)" + number(chance.logprob) + R"(,"bytes":[)";
  for (std::size_t i = 0; i < chance.bytes.size(); ++i) {
    out += (i == 0 ? "" : ",") + std::to_string(chance.bytes[i]);
  }
  out += ']';
}

void append_calls(std::string& out, const std::vector<faces::ToolCall>& calls, bool chunk) {
  out += R"(,"tool_calls":[)";
  bool first = true;
  for (const faces::ToolCall& call : calls) {
    out += first ? "{" : ",{";
    first = false;
    if (chunk) {
      out += R"("index":)" + std::to_string(call.index) + ",";
    }
    out += R"("id":)";
    append_quoted(out, call.id);
    out += R"(,"type":"function","function":{"name":)";
    append_quoted(out, call.name);
    out += R"(,"arguments":)";
    append_quoted(out, call.arguments);
    out += "}}";
  }
  out += ']';
}

void append_message(std::string& out, const Part& part, bool chunk) {
  out += R"({"role":"assistant","content":)";
  if (part.content.empty() && !part.calls.empty() && !chunk) {
    out += "null";
  } else {
    append_quoted(out, part.content);
  }
  if (!part.thinking.empty()) {
    out += R"(,"reasoning":)";
    append_quoted(out, part.thinking);
  }
  if (!part.calls.empty()) {
    append_calls(out, part.calls, chunk);
  }
  out += '}';
}

/// The older form: parallel lists.
void append_lists(std::string& out, const std::vector<TokenChances>& all, std::size_t offset) {
  std::string tokens, logprobs, tops, offsets;
  for (const TokenChances& one : all) {
    const std::string_view comma = tokens.empty() ? "" : ",";
    tokens += comma;
    append_quoted(tokens, faces::valid_utf8(one.chosen.token));
    logprobs.append(comma) += number(one.chosen.logprob);
    tops.append(comma) += '{';
    bool first = true;
    for (const Chance& chance : one.top) {
      tops += first ? "" : ",";
      first = false;
      append_quoted(tops, faces::valid_utf8(chance.token));
      tops += ":" + number(chance.logprob);
    }
    tops += '}';
    offsets.append(comma) += std::to_string(offset);
    offset += one.chosen.bytes.size();
  }
  out += R"({"tokens":[)" + tokens + R"(],"token_logprobs":[)" + logprobs +
         R"(],"top_logprobs":[)" + tops + R"(],"text_offset":[)" + offsets + "]}";
}

bool says_something(const Part& part) {
  return !part.content.empty() || !part.thinking.empty() || !part.calls.empty() ||
         !part.logprobs.empty();
}

}  // namespace

void append_logprobs(std::string& out, const std::vector<TokenChances>& all) {
  out += '[';
  bool first = true;
  for (const TokenChances& one : all) {
    out += first ? "" : ",";
    first = false;
    append_chance(out, one.chosen);
    out += R"(,"top_logprobs":[)";
    for (std::size_t i = 0; i < one.top.size(); ++i) {
      out += i == 0 ? "" : ",";
      append_chance(out, one.top[i]);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

Chunks::Chunks(Kind kind, std::string_view id, std::string_view model, std::uint64_t created,
               bool usage)
    : kind_(kind),
      id_(faces::quoted(id)),
      model_(faces::quoted(model)),
      created_(created),
      usage_(usage) {}

void Chunks::open_object(std::string& out, bool chunk) const {
  out += R"({"id":)" + id_ + R"(,"object":")";
  out += kind_ == Kind::completion ? "text_completion"
         : chunk                   ? "chat.completion.chunk"
                                   : "chat.completion";
  out += R"(","created":)" + std::to_string(created_) + R"(,"model":)" + model_ +
         R"(,"system_fingerprint":"fp_lucid","choices":[)";
}

void Chunks::choice(std::string& out, const Part& part, std::string_view reason, bool chunk) {
  if (kind_ == Kind::completion) {
    out += R"({"index":0,"text":)";
    append_quoted(out, part.content);
  } else {
    out += chunk ? R"({"index":0,"delta":)" : R"({"index":0,"message":)";
    append_message(out, part, chunk);
  }
  called_ = called_ || !part.calls.empty();
  if (!part.logprobs.empty()) {
    out += R"(,"logprobs":)";
    if (kind_ == Kind::completion) {
      append_lists(out, part.logprobs, text_bytes_);
    } else {
      out += R"({"content":)";
      append_logprobs(out, part.logprobs);
      out += '}';
    }
  }
  text_bytes_ += part.content.size();
  out += R"(,"finish_reason":)";
  out += reason.empty() ? "null" : faces::quoted(reason);
  out += "}]";
}

std::string Chunks::reason(const faces::Summary& summary) const {
  return called_ ? "tool_calls" : summary.length ? "length" : "stop";
}

void Chunks::part(std::string& out, const Part& part) {
  if (!says_something(part)) {
    return;
  }
  out += "data: ";
  open_object(out, true);
  choice(out, part, "", true);
  out += "}\n\n";
}

void Chunks::failed(std::string& out, const Error& error) {
  out += R"(data: {"error":)" + error_object(error) + "}\n\n";
  out += kEnd;
}

void Chunks::last(std::string& out, const faces::Summary& summary, const lucid::Route& route) {
  const std::string receipt = R"(,"x_lucid":)" + faces::x_lucid(route, summary) + "}\n\n";
  out += "data: ";
  open_object(out, true);
  choice(out, Part{}, reason(summary), true);
  out += receipt;
  if (usage_) {
    out += "data: ";
    open_object(out, true);
    out += R"(],"usage":)";
    append_usage(out, summary);
    out += receipt;
  }
  out += kEnd;
}

std::string Chunks::whole(const Part& all, const faces::Summary& summary,
                          const lucid::Route& route) {
  called_ = !all.calls.empty();
  std::string out;
  open_object(out, false);
  choice(out, all, reason(summary), false);
  out += R"(,"usage":)";
  append_usage(out, summary);
  return out + R"(,"x_lucid":)" + faces::x_lucid(route, summary) + "}";
}

}  // namespace phase::openai
