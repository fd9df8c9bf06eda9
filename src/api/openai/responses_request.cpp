// POST /v1/responses: items of a conversation into messages.
#include <algorithm>
#include <array>

#include <boost/json.hpp>

#include "api/openai/reading_internal.h"

namespace phase::openai {

using faces::Draft;
using faces::Fields;
using faces::view;

namespace {

/// Items in order; calls and thoughts go into the assistant's message they belong to.
class Items {
 public:
  explicit Items(std::string_view model) : model_(model) {}

  void system(std::string_view text) {
    messages_.push_back(json::object{{"role", "system"}, {"content", text}});
  }
  void user(std::string_view text) {
    messages_.push_back(json::object{{"role", "user"}, {"content", text}});
  }
  Result<void> add(json::value& value) {
    if (!value.is_object()) {
      return fail(Code::invalid_argument, "input: expected a list of objects");
    }
    PHASE_TRY(const Fields item,
              Fields::open(value.as_object(), "openai.item", "input[].", model_));
    PHASE_TRY(const std::string type, item.text("type"));
    PHASE_TRY_VOID(item.text("id"));
    PHASE_TRY_VOID(item.text("status"));
    if (type.empty() || type == "message") {
      return message(item);
    }
    if (type == "function_call") {
      return call(item);
    }
    if (type == "function_call_output") {
      return output(item);
    }
    if (type == "reasoning") {
      PHASE_TRY(thought_, read_content(item, "summary", "openai.item.part", model_));
      return {};
    }
    return item.wrong("type", "message, function_call, function_call_output or reasoning");
  }
  json::array take() { return std::move(messages_); }

 private:
  json::object& assistant() {
    const bool open =
        !messages_.empty() && messages_.back().at("role") == "assistant" && thought_.empty();
    if (!open) {
      json::object fresh{{"role", "assistant"}, {"content", ""}};
      if (!thought_.empty()) {
        fresh.emplace("thinking", std::exchange(thought_, {}));
      }
      messages_.push_back(std::move(fresh));
    }
    return messages_.back().as_object();
  }
  Result<void> message(const Fields& item) {
    PHASE_TRY(std::string role, item.text("role"));
    PHASE_TRY(const std::string content, read_content(item, "content", "openai.item.part", model_));
    if (role == "assistant") {
      if (!messages_.empty() && messages_.back().at("role") == "assistant" && thought_.empty()) {
        messages_.push_back(json::object{{"role", "assistant"}, {"content", ""}});
      }
      assistant()["content"] = content;
      return {};
    }
    if (role == "developer") {
      role = "system";
    }
    if (role != "system" && role != "user") {
      return item.wrong("role", "one of: system, developer, user, assistant");
    }
    messages_.push_back(json::object{{"role", role}, {"content", content}});
    return {};
  }
  Result<void> call(const Fields& item) {
    PHASE_TRY(std::string id, item.text("call_id"));
    PHASE_TRY(std::string name, item.text("name"));
    PHASE_TRY(const std::string text, item.text("arguments"));
    PHASE_TRY(json::object arguments, read_arguments(text, item.path("arguments")));
    names_.insert_or_assign(id, name);
    json::object& holder = assistant();
    if (!holder.contains("tool_calls")) {
      holder.emplace("tool_calls", json::array{});
    }
    holder.at("tool_calls")
        .as_array()
        .push_back(faces::earlier_call(std::move(id), std::move(name), std::move(arguments)));
    return {};
  }
  Result<void> output(const Fields& item) {
    PHASE_TRY(std::string id, item.text("call_id"));
    PHASE_TRY(std::string text, read_content(item, "output", "openai.item.part", model_));
    messages_.push_back(tool_result(names_, std::move(id), {}, std::move(text)));
    return {};
  }

  std::string model_, thought_;
  json::array messages_;
  CallNames names_;
};

Result<json::array> read_input(const Fields& fields, std::string_view model) {
  Items items(model);
  PHASE_TRY(const std::string instructions, fields.text("instructions"));
  if (!instructions.empty()) {
    items.system(instructions);
  }
  json::value* input = fields.find("input");
  if (input != nullptr && input->is_string()) {
    items.user(view(input->as_string()));
    return items.take();
  }
  json::array* list = input == nullptr ? nullptr : input->if_array();
  if (list == nullptr || list->empty() || list->size() > faces::kMessagesMax) {
    return fields.wrong("input", "a text or a list of items");
  }
  for (json::value& item : *list) {
    PHASE_TRY_VOID(items.add(item));
  }
  return items.take();
}

Result<void> read_flat_tools(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::array * list, fields.array("tools"));
  if (list == nullptr || list->empty()) {
    return {};
  }
  if (list->size() > faces::kToolsMax) {
    return fields.wrong("tools", "at most " + std::to_string(faces::kToolsMax) + " tools");
  }
  json::array out;
  for (json::value& entry : *list) {
    json::object* object = entry.if_object();
    const json::value* type = object == nullptr ? nullptr : object->if_contains("type");
    if (type == nullptr || *type != "function") {
      return fail(Code::invalid_argument, "tools[].type: expected function");
    }
    PHASE_TRY(const Fields one, Fields::open(*object, "tool.function", "tools[]."));
    PHASE_TRY_VOID(one.boolean("strict", false));
    PHASE_TRY(json::object made, faces::tool(one));
    out.push_back(std::move(made));
  }
  draft.prompt["tools"] = std::move(out);
  return {};
}

Result<void> read_text(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::object * text, fields.object("text"));
  if (text == nullptr) {
    return {};
  }
  PHASE_TRY(const Fields inner, Fields::open(*text, "openai.text", "text."));
  return read_format(inner, "format", draft);
}

Result<void> read_truncation(const Fields& fields, Draft& draft) {
  PHASE_TRY(const std::string truncation, fields.text("truncation"));
  if (!truncation.empty() && truncation != "auto" && truncation != "disabled") {
    return fields.wrong("truncation", "auto or disabled");
  }
  if (!truncation.empty()) {
    draft.prompt["truncate"] = truncation == "auto";
  }
  return {};
}

/// What the response repeats, before values are moved into the prompt.
json::object repeated(const json::object& body) {
  json::object out{{"instructions", nullptr},
                   {"max_output_tokens", nullptr},
                   {"metadata", json::object{}},
                   {"parallel_tool_calls", true},
                   {"previous_response_id", nullptr},
                   {"reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}}},
                   {"store", false},
                   {"temperature", nullptr},
                   {"text", json::object{{"format", json::object{{"type", "text"}}}}},
                   {"tool_choice", "auto"},
                   {"tools", json::array{}},
                   {"top_p", nullptr},
                   {"truncation", "auto"},
                   {"user", nullptr}};
  for (auto& [name, value] : out) {
    const json::value* given = body.if_contains(name);
    if (given != nullptr && !given->is_null()) {
      value = *given;
    }
  }
  return out;
}

}  // namespace

Result<ResponsesRequest> read_responses(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  const std::string model = named_model(object);
  PHASE_TRY(const Fields fields, Fields::open(object, "openai.responses", {}, model));
  ResponsesRequest out;
  out.echoed = repeated(object);
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(out.draft.prompt["messages"], read_input(fields, model));
  PHASE_TRY(out.stream, fields.boolean("stream", false));
  PHASE_TRY_VOID(fields.object("metadata"));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  PHASE_TRY_VOID(read_flat_tools(fields, out.draft));
  PHASE_TRY_VOID(read_tool_choice(fields, out.draft));
  PHASE_TRY_VOID(read_text(fields, out.draft));
  PHASE_TRY_VOID(read_reasoning(fields, out.draft));
  PHASE_TRY_VOID(read_truncation(fields, out.draft));
  return out;
}

}  // namespace phase::openai
