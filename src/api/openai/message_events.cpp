#include "api/openai/message_events.h"

#include <boost/json.hpp>

#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

using faces::Part;

void event(std::string& out, const json::object& members) {
  out.append("event: ").append(faces::view(members.at("type").as_string())).append("\ndata: ");
  out += json::serialize(members) + "\n\n";
}

std::string_view stop_reason(bool called, const faces::Summary& summary) {
  return called                        ? "tool_use"
         : summary.length              ? "max_tokens"
         : !summary.stopped_by.empty() ? "stop_sequence"
                                       : "end_turn";
}

json::value stop_sequence(const faces::Summary& summary) {
  return summary.stopped_by.empty() ? json::value{} : json::value(summary.stopped_by);
}

json::object usage(const faces::Summary& summary) {
  return {{"input_tokens", summary.prompt_tokens},
          {"cache_read_input_tokens", summary.cached_tokens},
          {"output_tokens", summary.completion_tokens}};
}

json::value receipt(const lucid::Route& route, const faces::Summary& summary) {
  auto value = faces::parse_json(faces::x_lucid(route, summary));
  return value ? std::move(*value) : json::value{};
}

json::object call_block(const faces::ToolCall& call) {
  auto input = faces::parse_json(call.arguments);
  return {{"type", "tool_use"},
          {"id", call.id},
          {"name", call.name},
          {"input", input ? std::move(*input) : json::value(json::object{})}};
}

}  // namespace

std::string message_error(const Error& error) {
  const int status = faces::status_of(error);
  const std::string_view type = status == 404                   ? "not_found_error"
                                : status == 401                 ? "authentication_error"
                                : status == 403                 ? "permission_error"
                                : status == 413                 ? "request_too_large"
                                : status == 503                 ? "overloaded_error"
                                : status >= 400 && status < 500 ? "invalid_request_error"
                                                                : "api_error";
  return json::serialize(json::object{
      {"type", "error"}, {"error", json::object{{"type", type}, {"message", error.message}}}});
}

MessageEvents::MessageEvents(std::string id, std::string model)
    : id_(std::move(id)), model_(std::move(model)) {}

void MessageEvents::failed(std::string& out, const Error& error) {
  out += "event: error\ndata: " + message_error(error) + "\n\n";
}

void MessageEvents::begin(std::string& out) {
  event(out, {{"type", "message_start"},
              {"message", json::object{{"id", id_},
                                       {"type", "message"},
                                       {"role", "assistant"},
                                       {"model", model_},
                                       {"content", json::array{}},
                                       {"stop_reason", nullptr},
                                       {"stop_sequence", nullptr},
                                       {"usage", usage({})}}}});
}

void MessageEvents::close(std::string& out) {
  if (open_ != Open::nothing) {
    event(out, {{"type", "content_block_stop"}, {"index", index_}});
    open_ = Open::nothing;
    ++index_;
  }
}

void MessageEvents::open(std::string& out, Open kind) {
  if (open_ == kind) {
    return;
  }
  close(out);
  open_ = kind;
  json::object block =
      kind == Open::text ? json::object{{"type", "text"}, {"text", ""}}
                         : json::object{{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  event(out,
        {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
}

void MessageEvents::part(std::string& out, const Part& part) {
  const auto delta = [&out, this](json::object change) {
    event(out, {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(change)}});
  };
  if (!part.thinking.empty()) {
    open(out, Open::thinking);
    delta({{"type", "thinking_delta"}, {"thinking", part.thinking}});
  }
  if (!part.content.empty()) {
    open(out, Open::text);
    delta({{"type", "text_delta"}, {"text", part.content}});
  }
  for (const faces::ToolCall& call : part.calls) {
    close(out);
    called_ = true;
    json::object block = call_block(call);
    block["input"] = json::object{};
    event(
        out,
        {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
    delta({{"type", "input_json_delta"}, {"partial_json", call.arguments}});
    event(out, {{"type", "content_block_stop"}, {"index", index_}});
    ++index_;
  }
}

void MessageEvents::last(std::string& out, const faces::Summary& summary,
                         const lucid::Route& route) {
  close(out);
  event(out, {{"type", "message_delta"},
              {"delta", json::object{{"stop_reason", stop_reason(called_, summary)},
                                     {"stop_sequence", stop_sequence(summary)}}},
              {"usage", usage(summary)}});
  event(out, {{"type", "message_stop"}, {"x_lucid", receipt(route, summary)}});
}

std::string MessageEvents::whole(const Part& all, const faces::Summary& summary,
                                 const lucid::Route& route) const {
  json::array content;
  if (!all.thinking.empty()) {
    content.push_back(
        json::object{{"type", "thinking"}, {"thinking", all.thinking}, {"signature", ""}});
  }
  if (!all.content.empty()) {
    content.push_back(json::object{{"type", "text"}, {"text", all.content}});
  }
  for (const faces::ToolCall& call : all.calls) {
    content.push_back(call_block(call));
  }
  return json::serialize(json::object{{"id", id_},
                                      {"type", "message"},
                                      {"role", "assistant"},
                                      {"model", model_},
                                      {"content", std::move(content)},
                                      {"stop_reason", stop_reason(!all.calls.empty(), summary)},
                                      {"stop_sequence", stop_sequence(summary)},
                                      {"usage", usage(summary)},
                                      {"x_lucid", receipt(route, summary)}});
}

}  // namespace phase::openai
