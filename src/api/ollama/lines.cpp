#include "api/ollama/lines.h"

#include <boost/json.hpp>

namespace phase::ollama {
namespace {

using faces::append_quoted;

void append_chance(std::string& out, const faces::Chance& chance) {
  out += R"({"token":)";
  append_quoted(out, faces::valid_utf8(chance.token));
  out += R"(,"logprob":)";
  out += faces::json::serialize(faces::json::value(chance.logprob));
  out += R"(,"bytes":[)";
  for (std::size_t i = 0; i < chance.bytes.size(); ++i) {
    out += (i == 0 ? "" : ",") + std::to_string(chance.bytes[i]);
  }
  out += ']';
}

void append_logprobs(std::string& out, const std::vector<faces::TokenChances>& all) {
  if (all.empty()) {
    return;
  }
  out += R"(,"logprobs":[)";
  bool first = true;
  for (const faces::TokenChances& one : all) {
    out += first ? "" : ",";
    first = false;
    append_chance(out, one.chosen);
    if (!one.top.empty()) {
      out += R"(,"top_logprobs":[)";
      for (std::size_t i = 0; i < one.top.size(); ++i) {
        out += i == 0 ? "" : ",";
        append_chance(out, one.top[i]);
        out += '}';
      }
      out += ']';
    }
    out += '}';
  }
  out += ']';
}

void append_calls(std::string& out, const std::vector<faces::ToolCall>& calls) {
  if (calls.empty()) {
    return;
  }
  out += R"(,"tool_calls":[)";
  bool first = true;
  for (const faces::ToolCall& call : calls) {
    out += first ? "{" : ",{";
    first = false;
    if (!call.id.empty()) {
      out += R"("id":)";
      append_quoted(out, call.id);
      out += ',';
    }
    out += R"("function":{"index":)" + std::to_string(call.index) + R"(,"name":)";
    append_quoted(out, call.name);
    out += R"(,"arguments":)" + call.arguments + "}}";
  }
  out += ']';
}

void append_thinking(std::string& out, const std::string& thinking) {
  if (!thinking.empty()) {
    out += R"(,"thinking":)";
    append_quoted(out, thinking);
  }
}

/// Counters that are zero are left out.
void append_count(std::string& out, std::string_view name, std::int64_t value) {
  if (value > 0) {
    out.append(",\"").append(name).append("\":") += std::to_string(value);
  }
}

bool says_something(const faces::Part& part) {
  return !part.content.empty() || !part.thinking.empty() || !part.calls.empty() ||
         !part.logprobs.empty();
}

}  // namespace

Lines::Lines(Kind kind, std::string_view model) : kind_(kind), model_(faces::quoted(model)) {}

void Lines::begin(std::string& out, UtcTime now) const {
  out += R"({"model":)";
  out += model_;
  out += R"(,"created_at":")";
  out += faces::timestamp(now);
  out += '"';
}

void Lines::body(std::string& out, const faces::Part& part) const {
  out += kind_ == Kind::chat ? R"(,"message":{"role":"assistant","content":)" : R"(,"response":)";
  append_quoted(out, part.content);
  append_thinking(out, part.thinking);
  append_calls(out, part.calls);
  out += kind_ == Kind::chat ? "}" : "";
}

void Lines::part(std::string& out, UtcTime now, const faces::Part& part) const {
  if (!says_something(part)) {
    return;
  }
  begin(out, now);
  body(out, part);
  out += R"(,"done":false)";
  append_logprobs(out, part.logprobs);
  out += "}\n";
}

void Lines::last(std::string& out, UtcTime now, const faces::Part& part,
                 const faces::Summary& summary, const lucid::Route& route,
                 std::string_view context) const {
  begin(out, now);
  body(out, part);
  out += R"(,"done":true,"done_reason":)";
  out += summary.length ? R"("length")" : R"("stop")";
  if (!context.empty()) {
    out.append(R"(,"context":)").append(context);
  }
  append_count(out, "total_duration", summary.total.count());
  append_count(out, "load_duration", summary.load.count());
  append_count(out, "prompt_eval_count", static_cast<std::int64_t>(summary.prompt_tokens));
  append_count(out, "prompt_eval_duration", summary.prompt.count());
  append_count(out, "eval_count", static_cast<std::int64_t>(summary.completion_tokens));
  append_count(out, "eval_duration", summary.eval.count());
  append_logprobs(out, part.logprobs);
  out += R"(,"x_lucid":)" + faces::x_lucid(route, summary) + "}\n";
}

std::string Lines::loaded(UtcTime now, std::string_view reason) const {
  std::string out;
  begin(out, now);
  body(out, {});
  out += R"(,"done":true,"done_reason":)";
  append_quoted(out, reason);
  return out += '}';
}

std::string error_line(const Error& error) {
  std::string out = R"({"error":)";
  append_quoted(out, faces::valid_utf8(error.message));
  return out += "}\n";
}

}  // namespace phase::ollama
