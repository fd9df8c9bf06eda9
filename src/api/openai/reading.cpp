#include <algorithm>
#include <array>

#include <boost/json.hpp>

#include "api/openai/reading_internal.h"

namespace phase::openai {

using faces::Draft;
using faces::Fields;
using faces::view;

namespace {

constexpr std::size_t kConversationBytesMax = 128;

Result<void> only(const Fields& fields, std::string_view name, std::int64_t value) {
  PHASE_TRY(const auto given, fields.integer(name, INT32_MIN, INT32_MAX));
  if (given && *given != value) {
    return fields.wrong(name, std::to_string(value) + "; other values are not supported");
  }
  return {};
}

Result<json::value> schema_of(const Fields& fields) {
  PHASE_TRY_VOID(fields.text("name"));
  PHASE_TRY_VOID(fields.text("description"));
  PHASE_TRY_VOID(fields.boolean("strict", false));
  PHASE_TRY(json::object * schema, fields.object("schema"));
  if (schema == nullptr) {
    return fields.wrong("schema", "a JSON schema");
  }
  return json::value(std::move(*schema));
}

}  // namespace

std::string named_model(const json::object& body) {
  const json::value* name = body.if_contains("model");
  return name != nullptr && name->is_string() ? std::string{view(name->as_string())}
                                              : std::string{};
}

Result<void> read_wishes(const Fields& fields, Draft& draft) {
  PHASE_TRY_VOID(faces::read_sampling(fields, draft));
  for (const std::string_view name : {"max_tokens", "max_completion_tokens", "max_output_tokens"}) {
    PHASE_TRY(const auto tokens, fields.integer(name, 1, faces::kTokensMax));
    if (tokens) {
      draft.ask.tokens_max = static_cast<std::uint64_t>(*tokens);
    }
  }
  PHASE_TRY_VOID(only(fields, "n", 1));
  PHASE_TRY_VOID(only(fields, "best_of", 1));
  PHASE_TRY(const bool parallel, fields.boolean("parallel_tool_calls", true));
  if (!parallel) {
    return fields.wrong("parallel_tool_calls", "true; a model calls as many tools as it likes");
  }
  PHASE_TRY_VOID(fields.text("user"));
  PHASE_TRY(draft.ask.conversation, fields.text("prompt_cache_key"));
  if (draft.ask.conversation.size() > kConversationBytesMax) {
    return fields.wrong("prompt_cache_key", "at most 128 bytes");
  }
  return {};
}

Result<void> read_stream(const Fields& fields, bool& stream, bool& usage) {
  PHASE_TRY(stream, fields.boolean("stream", false));
  PHASE_TRY(json::object * options, fields.object("stream_options"));
  if (options == nullptr) {
    return {};
  }
  PHASE_TRY(const Fields inner, Fields::open(*options, "openai.stream_options", "stream_options."));
  PHASE_TRY(usage, inner.boolean("include_usage", false));
  if (!stream) {
    return fields.wrong("stream_options", "stream to be true with it");
  }
  return {};
}

Result<void> read_format(const Fields& fields, std::string_view name, Draft& draft) {
  PHASE_TRY(json::object * format, fields.object(name));
  if (format == nullptr) {
    return {};
  }
  const std::string place = fields.path(name) + ".";
  PHASE_TRY(const Fields inner, Fields::open(*format, "openai.response_format", place));
  PHASE_TRY(const std::string type, inner.text("type"));
  if (type == "text") {
    return {};
  }
  if (type == "json_object") {
    draft.prompt["format"] = "json";
    return {};
  }
  if (type != "json_schema") {
    return inner.wrong("type", "text, json_object or json_schema");
  }
  PHASE_TRY(json::object * schema, inner.object("json_schema"));
  if (schema != nullptr) {
    PHASE_TRY(const Fields below,
              Fields::open(*schema, "openai.json_schema", place + "json_schema."));
    PHASE_TRY(draft.prompt["format"], schema_of(below));
  } else {
    PHASE_TRY(draft.prompt["format"], schema_of(inner));
  }
  return {};
}

Result<void> choose_tool(std::string name, Draft& draft) {
  const json::value* tools = draft.prompt.if_contains("tools");
  const bool known =
      tools != nullptr && std::ranges::any_of(tools->as_array(), [&name](const json::value& tool) {
        return view(tool.at("function").at("name").as_string()) == name;
      });
  if (!known) {
    return fail(Code::invalid_argument, "tool_choice: no tool is called " + printable(name, 64));
  }
  draft.prompt["tool_choice"] = std::move(name);
  return {};
}

Result<void> read_tool_choice(const Fields& fields, Draft& draft) {
  const json::value* choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") {
    return {};
  }
  const bool tools = draft.prompt.contains("tools");
  if (*choice == "none") {
    if (tools) {
      draft.prompt["tool_choice"] = "none";
    }
    return {};
  }
  if (*choice == "required") {
    if (!tools) {
      return fields.wrong("tool_choice", "tools to be there with it");
    }
    draft.prompt["tool_choice"] = "required";
    return {};
  }
  const json::object* object = choice->if_object();
  const json::value* function = object == nullptr ? nullptr : object->if_contains("function");
  const json::object* holder = function == nullptr ? object : function->if_object();
  const json::value* name = holder == nullptr ? nullptr : holder->if_contains("name");
  if (name == nullptr || !name->is_string()) {
    return fields.wrong("tool_choice", "auto, none, required or one function");
  }
  return choose_tool(std::string{view(name->as_string())}, draft);
}

Result<void> read_reasoning(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::object * reasoning, fields.object("reasoning"));
  if (reasoning == nullptr) {
    return {};
  }
  PHASE_TRY(const Fields inner, Fields::open(*reasoning, "openai.reasoning", "reasoning."));
  PHASE_TRY(const std::string summary, inner.text("summary"));
  static constexpr std::array<std::string_view, 4> kSummaries{"", "auto", "concise", "detailed"};
  if (std::ranges::find(kSummaries, summary) == kSummaries.end()) {
    return inner.wrong("summary", "auto, concise or detailed");
  }
  return faces::read_think(inner, "effort", draft);
}

Result<json::object> read_arguments(std::string_view text, std::string_view place) {
  if (text.empty()) {
    return json::object{};
  }
  auto value = faces::parse_json(text, faces::kJsonDepthMax - 8);
  if (!value || !value->is_object()) {
    return fail(Code::invalid_argument, std::string{place} + ": expected JSON text of an object");
  }
  return std::move(value->as_object());
}

Result<std::string> read_content(const Fields& fields, std::string_view name,
                                 std::string_view section, std::string_view model) {
  json::value* value = fields.find(name);
  if (value == nullptr || value->is_string()) {
    return fields.text(name);
  }
  json::array* parts = value->if_array();
  if (parts == nullptr) {
    return fields.wrong(name, "text or a list of parts");
  }
  std::string out;
  for (json::value& part : *parts) {
    if (!part.is_object()) {
      return fields.wrong(name, "a list of objects");
    }
    PHASE_TRY(const Fields inner,
              Fields::open(part.as_object(), section, fields.path(name) + "[].", model));
    PHASE_TRY(const std::string type, inner.text("type"));
    static constexpr std::array<std::string_view, 4> kTexts{"text", "input_text", "output_text",
                                                            "summary_text"};
    if (std::ranges::find(kTexts, type) == kTexts.end()) {
      return inner.wrong("type", "text");
    }
    PHASE_TRY(const std::string text, inner.text("text"));
    out += text;
  }
  return out;
}

json::object tool_result(const CallNames& names, std::string call_id, std::string name,
                         std::string content) {
  const auto found = names.find(call_id);
  if (name.empty() && found != names.end()) {
    name = found->second;
  }
  json::object out{{"role", "tool"}, {"content", std::move(content)}};
  if (!name.empty()) {
    out.emplace("tool_name", std::move(name));
  }
  if (!call_id.empty()) {
    out.emplace("tool_call_id", std::move(call_id));
  }
  return out;
}

}  // namespace phase::openai
