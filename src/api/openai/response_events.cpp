#include "api/openai/response_events.h"

#include <boost/json.hpp>

#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

using faces::Part;

json::object text_part(std::string_view text) {
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", json::array{}},
          {"logprobs", json::array{}}};
}
json::object summary_part(std::string_view text) {
  return {{"type", "summary_text"}, {"text", text}};
}

json::object usage(const faces::Summary& summary) {
  return {{"input_tokens", summary.prompt_tokens},
          {"input_tokens_details", json::object{{"cached_tokens", summary.cached_tokens}}},
          {"output_tokens", summary.completion_tokens},
          {"output_tokens_details", json::object{{"reasoning_tokens", 0}}},
          {"total_tokens", summary.prompt_tokens + summary.completion_tokens}};
}

}  // namespace

ResponseEvents::ResponseEvents(std::string id, std::string model, std::uint64_t created,
                               json::object echoed)
    : id_(std::move(id)), model_(std::move(model)), created_(created), echoed_(std::move(echoed)) {}

void ResponseEvents::event(std::string& out, std::string_view type, json::object members) {
  members.emplace("type", type);
  members.emplace("sequence_number", sequence_++);
  out.append("event: ").append(type).append("\ndata: ");
  out += json::serialize(members) + "\n\n";
}

/// The frequent ones, without a tree of values.
void ResponseEvents::delta(std::string& out, std::string_view type, std::string_view place,
                           std::string_view text) {
  out.append("event: ").append(type).append("\ndata: {\"type\":\"").append(type);
  out += R"(","sequence_number":)" + std::to_string(sequence_++) + R"(,"item_id":)" +
         faces::quoted(item_id_) + R"(,"output_index":)" + std::to_string(output_.size());
  out.append(place).append(R"(,"delta":)");
  faces::append_quoted(out, text);
  out += "}\n\n";
}

json::object ResponseEvents::item(std::string_view status) const {
  const bool done = status == "completed";
  if (open_ == Open::reasoning) {
    json::array summary;
    if (done) {
      summary.push_back(summary_part(text_));
    }
    return {{"id", item_id_}, {"type", "reasoning"}, {"summary", std::move(summary)}};
  }
  json::array content;
  if (done) {
    content.push_back(text_part(text_));
  }
  return {{"id", item_id_},
          {"type", "message"},
          {"status", status},
          {"role", "assistant"},
          {"content", std::move(content)}};
}

void ResponseEvents::open(std::string& out, Open kind) {
  if (open_ == kind) {
    return;
  }
  close(out);
  open_ = kind;
  const std::size_t index = output_.size();
  const bool thinks = kind == Open::reasoning;
  item_id_ = (thinks ? "rs_" : "msg_") + id_ + "_" + std::to_string(index);
  event(out, "response.output_item.added",
        {{"output_index", index}, {"item", item("in_progress")}});
  json::object place{{"item_id", item_id_}, {"output_index", index}};
  place.emplace(thinks ? "summary_index" : "content_index", 0);
  place.emplace("part", thinks ? summary_part("") : text_part(""));
  event(out, thinks ? "response.reasoning_summary_part.added" : "response.content_part.added",
        std::move(place));
}

void ResponseEvents::close(std::string& out) {
  if (open_ == Open::nothing) {
    return;
  }
  const std::size_t index = output_.size();
  const bool thinks = open_ == Open::reasoning;
  json::object place{{"item_id", item_id_}, {"output_index", index}};
  place.emplace(thinks ? "summary_index" : "content_index", 0);
  json::object said = place;
  said.emplace("text", text_);
  if (!thinks) {
    said.emplace("logprobs", json::array{});
  }
  event(out, thinks ? "response.reasoning_summary_text.done" : "response.output_text.done",
        std::move(said));
  place.emplace("part", thinks ? summary_part(text_) : text_part(text_));
  event(out, thinks ? "response.reasoning_summary_part.done" : "response.content_part.done",
        std::move(place));
  json::object done = item("completed");
  event(out, "response.output_item.done", {{"output_index", index}, {"item", done}});
  output_.push_back(std::move(done));
  open_ = Open::nothing;
  text_.clear();
}

void ResponseEvents::call(std::string& out, const faces::ToolCall& call) {
  close(out);
  const std::size_t index = output_.size();
  item_id_ = "fc_" + id_ + "_" + std::to_string(index);
  json::object one{{"id", item_id_},     {"type", "function_call"}, {"status", "in_progress"},
                   {"call_id", call.id}, {"name", call.name},       {"arguments", ""}};
  event(out, "response.output_item.added", {{"output_index", index}, {"item", one}});
  delta(out, "response.function_call_arguments.delta", "", call.arguments);
  event(out, "response.function_call_arguments.done",
        {{"item_id", item_id_},
         {"output_index", index},
         {"name", call.name},
         {"arguments", call.arguments}});
  one["arguments"] = call.arguments;
  one["status"] = "completed";
  event(out, "response.output_item.done", {{"output_index", index}, {"item", one}});
  output_.push_back(std::move(one));
}

void ResponseEvents::begin(std::string& out) {
  event(out, "response.created", {{"response", response("in_progress")}});
  event(out, "response.in_progress", {{"response", response("in_progress")}});
}

void ResponseEvents::part(std::string& out, const Part& part) {
  if (!part.thinking.empty()) {
    open(out, Open::reasoning);
    text_ += part.thinking;
    delta(out, "response.reasoning_summary_text.delta", R"(,"summary_index":0)", part.thinking);
  }
  if (!part.content.empty()) {
    open(out, Open::message);
    text_ += part.content;
    delta(out, "response.output_text.delta", R"(,"content_index":0,"logprobs":[])", part.content);
  }
  for (const faces::ToolCall& one : part.calls) {
    call(out, one);
  }
}

json::object ResponseEvents::response(std::string_view status) const {
  json::object out{{"id", "resp_" + id_}, {"object", "response"}, {"created_at", created_},
                   {"status", status},    {"error", nullptr},     {"incomplete_details", nullptr},
                   {"model", model_},     {"output", output_},    {"usage", nullptr}};
  for (const auto& [name, value] : echoed_) {
    out.emplace(name, value);
  }
  return out;
}

json::object ResponseEvents::ended(const faces::Summary& summary, const lucid::Route& route) const {
  json::object out = response(summary.length ? "incomplete" : "completed");
  if (summary.length) {
    out["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
  }
  out["usage"] = usage(summary);
  auto receipt = faces::parse_json(faces::x_lucid(route, summary));
  out["x_lucid"] = receipt ? std::move(*receipt) : json::value{};
  return out;
}

void ResponseEvents::last(std::string& out, const faces::Summary& summary,
                          const lucid::Route& route) {
  if (output_.empty()) {
    open(out, Open::message);  // an answer without a word is still a message
  }
  close(out);
  event(out, summary.length ? "response.incomplete" : "response.completed",
        {{"response", ended(summary, route)}});
}

void ResponseEvents::failed(std::string& out, const Error& error) {
  json::object body = response("failed");
  body["error"] = json::object{{"code", "server_error"}, {"message", error.message}};
  event(out, "response.failed", {{"response", std::move(body)}});
}

std::string ResponseEvents::whole(const faces::Summary& summary, const lucid::Route& route) const {
  return json::serialize(ended(summary, route));
}

}  // namespace phase::openai
