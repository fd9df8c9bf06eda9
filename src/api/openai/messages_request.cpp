// POST /v1/messages, as Anthropic's clients write it.
#include <boost/json.hpp>

#include "api/openai/reading_internal.h"
#include "lucid/options.h"

namespace phase::openai {

using faces::Draft;
using faces::Fields;
using faces::view;

namespace {

/// Text of a value that is text or blocks of text.
Result<std::string> text_of(const Fields& fields, std::string_view name, std::string_view model) {
  json::value* value = fields.find(name);
  json::array* blocks = value == nullptr ? nullptr : value->if_array();
  if (blocks == nullptr) {
    return fields.text(name);
  }
  std::string out;
  for (json::value& block : *blocks) {
    if (!block.is_object()) {
      return fields.wrong(name, "a list of objects");
    }
    PHASE_TRY(const Fields inner,
              Fields::open(block.as_object(), "anthropic.block", fields.path(name) + "[].", model));
    PHASE_TRY(const std::string type, inner.text("type"));
    if (type != "text") {
      return inner.wrong("type", "text");
    }
    PHASE_TRY_VOID(inner.object("cache_control"));
    PHASE_TRY(const std::string text, inner.text("text"));
    out += text;
  }
  return out;
}

/// One message of theirs as messages of ours: results of calls are messages of their own.
class Turn {
 public:
  Turn(std::string role, std::string_view model, CallNames& names, json::array& to)
      : role_(std::move(role)), model_(model), names_(names), to_(to) {}

  Result<void> add(json::value& value) {
    if (!value.is_object()) {
      return fail(Code::invalid_argument, "messages[].content: expected text or blocks");
    }
    PHASE_TRY(const Fields block,
              Fields::open(value.as_object(), "anthropic.block", "messages[].content[].", model_));
    PHASE_TRY_VOID(block.object("cache_control"));
    PHASE_TRY(const std::string type, block.text("type"));
    if (type == "text") {
      PHASE_TRY(const std::string text, block.text("text"));
      content_ += text;
      return {};
    }
    if (type == "thinking" && role_ == "assistant") {
      PHASE_TRY_VOID(block.text("signature"));
      PHASE_TRY(thinking_, block.text("thinking"));
      return {};
    }
    if (type == "tool_use" && role_ == "assistant") {
      return call(block);
    }
    if (type == "tool_result" && role_ == "user") {
      return result(block);
    }
    return block.wrong("type",
                       role_ == "user" ? "text or tool_result" : "text, thinking or tool_use");
  }

  void text(std::string_view text) { content_ += text; }

  void end() {
    if (role_ == "user" && content_.empty() && results_) {
      return;
    }
    json::object out{{"role", role_}, {"content", content_}};
    if (!thinking_.empty()) {
      out.emplace("thinking", thinking_);
    }
    if (!calls_.empty()) {
      out.emplace("tool_calls", std::move(calls_));
    }
    to_.push_back(std::move(out));
  }

 private:
  Result<void> call(const Fields& block) {
    PHASE_TRY(std::string id, block.text("id"));
    PHASE_TRY(std::string name, block.text("name"));
    PHASE_TRY(json::object * input, block.object("input"));
    names_.insert_or_assign(id, name);
    calls_.push_back(faces::earlier_call(std::move(id), std::move(name),
                                         input == nullptr ? json::object{} : std::move(*input)));
    return {};
  }
  Result<void> result(const Fields& block) {
    PHASE_TRY(std::string id, block.text("tool_use_id"));
    PHASE_TRY(std::string text, text_of(block, "content", model_));
    PHASE_TRY(const bool failed, block.boolean("is_error", false));
    if (failed) {
      text.insert(0, "Error: ");
    }
    results_ = true;
    to_.push_back(tool_result(names_, std::move(id), {}, std::move(text)));
    return {};
  }

  const std::string role_;
  std::string_view model_;
  CallNames& names_;
  json::array& to_;
  std::string content_, thinking_;
  json::array calls_;
  bool results_ = false;
};

Result<void> read_turn(json::value& value, std::string_view model, CallNames& names,
                       json::array& to) {
  if (!value.is_object()) {
    return fail(Code::invalid_argument, "messages: expected a list of objects");
  }
  PHASE_TRY(const Fields fields,
            Fields::open(value.as_object(), "anthropic.message", "messages[].", model));
  PHASE_TRY(std::string role, fields.text("role"));
  if (role != "user" && role != "assistant") {
    return fields.wrong("role", "user or assistant");
  }
  Turn turn(std::move(role), model, names, to);
  json::value* content = fields.find("content");
  json::array* blocks = content == nullptr ? nullptr : content->if_array();
  if (blocks == nullptr) {
    PHASE_TRY(const std::string text, fields.text("content"));
    turn.text(text);
  } else {
    for (json::value& block : *blocks) {
      PHASE_TRY_VOID(turn.add(block));
    }
  }
  turn.end();
  return {};
}

Result<json::array> read_turns(const Fields& fields, std::string_view model) {
  json::array out;
  PHASE_TRY(const std::string system, text_of(fields, "system", model));
  if (!system.empty()) {
    out.push_back(json::object{{"role", "system"}, {"content", system}});
  }
  PHASE_TRY(json::array * list, fields.array("messages"));
  if (list == nullptr || list->empty() || list->size() > faces::kMessagesMax) {
    return fields.wrong("messages", "at least one message");
  }
  CallNames names;
  for (json::value& value : *list) {
    PHASE_TRY_VOID(read_turn(value, model, names, out));
  }
  return out;
}

Result<void> read_schema_tools(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::array * list, fields.array("tools"));
  if (list == nullptr || list->empty()) {
    return {};
  }
  if (list->size() > faces::kToolsMax) {
    return fields.wrong("tools", "at most " + std::to_string(faces::kToolsMax) + " tools");
  }
  json::array out;
  for (json::value& entry : *list) {
    if (!entry.is_object()) {
      return fields.wrong("tools", "a list of objects");
    }
    PHASE_TRY(const Fields one, Fields::open(entry.as_object(), "anthropic.tool", "tools[]."));
    PHASE_TRY(const std::string type, one.text("type"));
    PHASE_TRY(const std::string name, one.text("name"));
    PHASE_TRY(const std::string description, one.text("description"));
    PHASE_TRY(json::object * schema, one.object("input_schema"));
    PHASE_TRY_VOID(one.object("cache_control"));
    if ((!type.empty() && type != "custom") || name.empty()) {
      return one.wrong("type", "custom, and a name");
    }
    json::object function{{"name", name}};
    if (!description.empty()) {
      function.emplace("description", description);
    }
    function.emplace("parameters", schema == nullptr ? json::object{} : std::move(*schema));
    out.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  draft.prompt["tools"] = std::move(out);
  return {};
}

std::string member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{view(value->as_string())}
                                                : std::string{};
}

Result<void> read_choice(const Fields& fields, Draft& draft) {
  PHASE_TRY(const json::object* choice, fields.object("tool_choice"));
  if (choice == nullptr || !draft.prompt.contains("tools")) {
    return {};
  }
  const std::string type = member(*choice, "type");
  if (type == "auto") {
    return {};
  }
  if (type == "none") {
    draft.prompt["tool_choice"] = "none";
    return {};
  }
  if (type == "any") {
    draft.prompt["tool_choice"] = "required";
    return {};
  }
  if (type != "tool") {
    return fields.wrong("tool_choice", "type auto, any, none or tool");
  }
  return choose_tool(member(*choice, "name"), draft);
}

Result<void> read_thinking(const Fields& fields, Draft& draft) {
  PHASE_TRY(const json::object* thinking, fields.object("thinking"));
  if (thinking == nullptr) {
    return {};
  }
  const std::string type = member(*thinking, "type");
  if (type != "enabled" && type != "disabled" && type != "adaptive") {
    return fields.wrong("thinking", "type enabled, adaptive or disabled");
  }
  draft.prompt["think"] = type != "disabled";
  return {};
}

}  // namespace

Result<MessagesRequest> read_messages(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  const std::string model = named_model(object);
  PHASE_TRY(const Fields fields, Fields::open(object, "anthropic.messages", {}, model));
  MessagesRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(const auto tokens, fields.integer("max_tokens", 1, faces::kTokensMax));
  if (!tokens) {
    return fields.wrong("max_tokens", "a number");
  }
  PHASE_TRY(out.draft.prompt["messages"], read_turns(fields, model));
  PHASE_TRY(out.stream, fields.boolean("stream", false));
  PHASE_TRY_VOID(fields.object("metadata"));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  PHASE_TRY(const auto stop, fields.texts("stop_sequences", lucid::kStopsMax));
  for (const std::string& text : stop) {
    if (text.size() > faces::kStopBytesMax) {
      return fields.wrong("stop_sequences", "texts of at most 4096 bytes");
    }
    if (!text.empty()) {
      out.draft.ask.stop.push_back(text);
    }
  }
  PHASE_TRY_VOID(read_schema_tools(fields, out.draft));
  PHASE_TRY_VOID(read_choice(fields, out.draft));
  PHASE_TRY_VOID(read_thinking(fields, out.draft));
  return out;
}

}  // namespace phase::openai
