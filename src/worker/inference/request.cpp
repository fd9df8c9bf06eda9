#include "worker/inference/request.h"

#include <algorithm>
#include <array>

#include <boost/json/serialize.hpp>

#include "worker/inference/strict_json.h"

namespace phase::worker::inference {
namespace {

namespace json = boost::json;

constexpr std::int64_t kKeepDefault = 4;  // Ollama's num_keep
constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 3> kEfforts = {"low", "medium", "high"};

Result<common_chat_tool_call> read_call(const json::value& value) {
  Members call(value);
  common_chat_tool_call out;
  out.id = call.text("id");
  const json::value* function = call.any("function");
  if (function == nullptr) call.refuse("a tool call has a function");
  PHASE_TRY_VOID(call.close());
  Members inner(*function);
  out.name = inner.text("name");
  const json::value* arguments = inner.any("arguments");
  if (arguments == nullptr || !arguments->is_object()) inner.refuse("'arguments' is an object");
  PHASE_TRY_VOID(inner.close());
  out.arguments = json::serialize(*arguments);
  return out;
}

Result<common_chat_msg> read_message(const json::value& value) {
  Members message(value);
  common_chat_msg out;
  out.role = message.text("role");
  if (std::ranges::find(kRoles, out.role) == kRoles.end()) message.refuse("a role is not known");
  out.content = message.text("content");
  out.reasoning_content = message.text("thinking");
  out.tool_name = message.text("tool_name");
  out.tool_call_id = message.text("tool_call_id");
  if (const json::array* calls = message.list("tool_calls", kToolCallsMax)) {
    for (const json::value& call : *calls) {
      PHASE_TRY(common_chat_tool_call read, read_call(call));
      out.tool_calls.push_back(std::move(read));
    }
  }
  PHASE_TRY_VOID(message.close());
  return out;
}

Result<common_chat_tool> read_tool(const json::value& value) {
  Members tool(value);
  if (tool.text("type") != "function") tool.refuse("a tool is of type function");
  const json::value* function = tool.any("function");
  if (function == nullptr) tool.refuse("a tool has a function");
  PHASE_TRY_VOID(tool.close());
  Members inner(*function);
  common_chat_tool out;
  out.name = inner.text("name");
  if (out.name.empty()) inner.refuse("a tool has a name");
  out.description = inner.text("description");
  const json::value* parameters = inner.any("parameters");
  if (parameters != nullptr && !parameters->is_object()) inner.refuse("'parameters' is a schema");
  PHASE_TRY_VOID(inner.close());
  out.parameters = parameters == nullptr ? "{}" : json::serialize(*parameters);
  return out;
}

// One tool by name: it alone is offered, and must be called.
void choose_tool(const std::string& choice, Members& request, ChatRequest& out) {
  if (choice.empty() || choice == "auto") return;
  if (choice == "none" || choice == "required") {
    out.tool_choice =
        choice == "none" ? COMMON_CHAT_TOOL_CHOICE_NONE : COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    return;
  }
  std::erase_if(out.tools, [&](const common_chat_tool& tool) { return tool.name != choice; });
  if (out.tools.empty()) request.refuse("the chosen tool is not among the tools");
  out.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED;
}

void read_format(Members& request, ChatRequest& out) {
  const json::value* format = request.any("format");
  if (format == nullptr || format->is_null()) return;
  if (format->is_object()) {
    out.json_schema = json::serialize(*format);
  } else if (format->is_string() && format->as_string() == "json") {
    out.json_schema = R"({"type":"object"})";
  } else {
    request.refuse("'format' is \"json\" or a schema");
  }
  if (!out.grammar.empty()) request.refuse("'grammar' and 'format' exclude each other");
}

void read_think(Members& request, ChatRequest& out) {
  const json::value* think = request.any("think");
  if (think == nullptr || think->is_null()) return;
  if (const auto* boolean = think->if_bool()) {
    out.think = *boolean;
    return;
  }
  const auto* level = think->if_string();
  if (level == nullptr || std::ranges::find(kEfforts, std::string_view(*level)) == kEfforts.end()) {
    request.refuse("'think' is true, false, low, medium or high");
    return;
  }
  out.effort = std::string(*level);
}

Result<void> read_lists(Members& request, ChatRequest& out) {
  if (const json::array* messages = request.list("messages", kMessagesMax)) {
    for (const json::value& message : *messages) {
      PHASE_TRY(common_chat_msg read, read_message(message));
      out.messages.push_back(std::move(read));
    }
    if (messages->empty()) request.refuse("there are no messages");
  }
  if (const json::array* tools = request.list("tools", kToolsMax)) {
    for (const json::value& tool : *tools) {
      PHASE_TRY(common_chat_tool read, read_tool(tool));
      out.tools.push_back(std::move(read));
    }
  }
  return {};
}

}  // namespace

Result<ChatRequest> read_request(ByteView prompt) {
  PHASE_TRY(const json::value value, parse_strictly(prompt));
  Members request(value);
  ChatRequest out;
  PHASE_TRY_VOID(read_lists(request, out));
  if (request.has("messages") == request.has("prompt")) {
    request.refuse("exactly one of 'messages' and 'prompt' is there");
  }
  out.prompt = request.text("prompt");
  out.raw = request.boolean("raw", false);
  out.system = request.text("system");
  out.template_text = request.text("template");
  if (request.has("suffix")) out.suffix = request.text("suffix");
  out.grammar = request.text("grammar");
  if (request.has("messages") && (out.raw || !out.system.empty() || out.suffix)) {
    request.refuse("'raw', 'system' and 'suffix' go with 'prompt'");
  }
  read_format(request, out);
  read_think(request, out);
  choose_tool(request.text("tool_choice"), request, out);
  if (request.has("logprobs")) {
    out.logprobs = static_cast<std::uint32_t>(request.integer("logprobs", 0, 0, kLogprobsMax));
  }
  out.keep = request.integer("keep", kKeepDefault, -1, INT32_MAX);
  out.truncate = request.boolean("truncate", true);
  out.shift = request.boolean("shift", true);
  PHASE_TRY_VOID(request.close());
  if (!out.grammar.empty() && !out.tools.empty()) {
    return fail(Code::malformed, "'grammar' and 'tools' exclude each other");
  }
  return out;
}

}  // namespace phase::worker::inference
