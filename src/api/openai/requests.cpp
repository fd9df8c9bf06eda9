#include "api/openai/requests.h"

#include <algorithm>

#include <boost/json.hpp>

#include "api/openai/reading_internal.h"

namespace phase::openai {

using faces::Draft;
using faces::Fields;
using faces::view;

namespace {

Result<json::array> read_calls(json::array& calls, CallNames& names) {
  const std::string place = "messages[].tool_calls[].";
  json::array out;
  for (json::value& value : calls) {
    if (!value.is_object()) {
      return fail(Code::invalid_argument, "messages[].tool_calls: expected a list of objects");
    }
    PHASE_TRY(const Fields call, Fields::open(value.as_object(), "openai.tool_call", place));
    PHASE_TRY(std::string id, call.text("id"));
    PHASE_TRY(const std::string type, call.text("type"));
    PHASE_TRY_VOID(call.integer("index", 0, INT32_MAX));
    PHASE_TRY(json::object * function, call.object("function"));
    if ((!type.empty() && type != "function") || function == nullptr) {
      return call.wrong("type", "function, and a function with it");
    }
    PHASE_TRY(const Fields inner,
              Fields::open(*function, "openai.tool_call.function", place + "function."));
    PHASE_TRY(std::string name, inner.text("name"));
    PHASE_TRY(const std::string text, inner.text("arguments"));
    PHASE_TRY(json::object arguments, read_arguments(text, inner.path("arguments")));
    names.insert_or_assign(id, name);
    out.push_back(faces::earlier_call(std::move(id), std::move(name), std::move(arguments)));
  }
  return out;
}

Result<json::object> read_message(json::value& value, std::string_view model, CallNames& names) {
  if (!value.is_object()) {
    return fail(Code::invalid_argument, "messages: expected a list of objects");
  }
  PHASE_TRY(const Fields fields,
            Fields::open(value.as_object(), "openai.message", "messages[].", model));
  PHASE_TRY(std::string role, fields.text("role"));
  PHASE_TRY(std::string content, read_content(fields, "content", "openai.part", model));
  PHASE_TRY(std::string name, fields.text("name"));
  PHASE_TRY(std::string call_id, fields.text("tool_call_id"));
  if (role == "tool") {
    return tool_result(names, std::move(call_id), std::move(name), std::move(content));
  }
  if (role == "developer") {
    role = "system";
  }
  if (role != "system" && role != "user" && role != "assistant") {
    return fields.wrong("role", "one of: system, developer, user, assistant, tool");
  }
  json::object out{{"role", std::move(role)}, {"content", std::move(content)}};
  for (const std::string_view thought : {"reasoning", "reasoning_content"}) {
    PHASE_TRY(std::string text, fields.text(thought));
    if (!text.empty()) {
      out["thinking"] = std::move(text);
    }
  }
  PHASE_TRY(json::array * calls, fields.array("tool_calls"));
  if (calls != nullptr && !calls->empty()) {
    PHASE_TRY(json::array list, read_calls(*calls, names));
    out.emplace("tool_calls", std::move(list));
  }
  return out;
}

Result<json::array> read_all_messages(const Fields& fields, std::string_view model) {
  PHASE_TRY(json::array * list, fields.array("messages"));
  if (list == nullptr || list->empty() || list->size() > faces::kMessagesMax) {
    return fields.wrong("messages", "at least one message");
  }
  json::array out;
  out.reserve(list->size());
  CallNames names;
  for (json::value& value : *list) {
    PHASE_TRY(json::object message, read_message(value, model, names));
    out.push_back(std::move(message));
  }
  return out;
}

}  // namespace

Result<ChatRequest> read_chat(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  const std::string model = named_model(object);
  PHASE_TRY(const Fields fields, Fields::open(object, "openai.chat", {}, model));
  ChatRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(out.draft.prompt["messages"], read_all_messages(fields, model));
  PHASE_TRY_VOID(read_stream(fields, out.stream, out.usage));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  PHASE_TRY_VOID(faces::read_tools(fields, out.draft));
  PHASE_TRY_VOID(read_tool_choice(fields, out.draft));
  PHASE_TRY_VOID(read_format(fields, "response_format", out.draft));
  PHASE_TRY_VOID(faces::read_think(fields, "reasoning_effort", out.draft));
  PHASE_TRY_VOID(read_reasoning(fields, out.draft));
  PHASE_TRY_VOID(faces::read_logprobs(fields, out.draft));
  return out;
}

Result<CompletionRequest> read_completion(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "openai.completions"));
  CompletionRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(const std::vector<std::string> prompts, fields.texts("prompt", 1));
  if (prompts.empty()) {
    return fields.wrong("prompt", "one text");
  }
  PHASE_TRY_VOID(read_stream(fields, out.stream, out.usage));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  out.draft.prompt["prompt"] = prompts.front();
  PHASE_TRY(const std::string suffix, fields.text("suffix"));
  if (!suffix.empty()) {
    out.draft.prompt["suffix"] = suffix;
  }
  PHASE_TRY(const auto logprobs, fields.integer("logprobs", 0, faces::kTopLogprobsMax));
  if (logprobs) {
    out.draft.logprobs = true;
    out.draft.prompt["logprobs"] = *logprobs;
  }
  PHASE_TRY(const bool echo, fields.boolean("echo", false));
  out.echo = echo ? prompts.front() : "";
  return out;
}

Result<EmbeddingsRequest> read_embeddings(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "openai.embeddings"));
  PHASE_TRY(std::string model, faces::model_name(fields));
  PHASE_TRY(const std::vector<std::string> inputs, fields.texts("input", faces::kEmbedInputsMax));
  if (inputs.empty()) {
    return fields.wrong("input", "a text or a list of texts");
  }
  EmbeddingsRequest out;
  out.draft = faces::embed_draft(std::move(model), inputs);
  out.count = inputs.size();
  PHASE_TRY(const auto dimensions, fields.integer("dimensions", 1, INT32_MAX));
  if (dimensions) {
    out.draft.prompt["dimensions"] = *dimensions;
  }
  PHASE_TRY(const std::string encoding, fields.text("encoding_format"));
  if (!encoding.empty() && encoding != "float" && encoding != "base64") {
    return fields.wrong("encoding_format", "float or base64");
  }
  out.base64 = encoding == "base64";
  PHASE_TRY_VOID(fields.text("user"));
  return out;
}

namespace {

Result<std::vector<std::string>> read_documents(const Fields& fields) {
  PHASE_TRY(json::array * list, fields.array("documents"));
  if (list == nullptr || list->empty() || list->size() > faces::kRankDocumentsMax) {
    return fields.wrong("documents",
                        "1 to " + std::to_string(faces::kRankDocumentsMax) + " documents");
  }
  std::vector<std::string> out;
  for (const json::value& entry : *list) {
    const json::object* object = entry.if_object();
    const json::value* text = object == nullptr ? &entry : object->if_contains("text");
    if (text == nullptr || !text->is_string()) {
      return fields.wrong("documents", "texts, or objects with text");
    }
    out.emplace_back(view(text->as_string()));
  }
  return out;
}

}  // namespace

Result<RerankRequest> read_rerank(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "rerank"));
  RerankRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  out.draft.ask.prompt_kind = 3;
  PHASE_TRY(const std::string query, fields.text("query"));
  if (query.empty()) {
    return fields.wrong("query", "a text");
  }
  PHASE_TRY(out.documents, read_documents(fields));
  json::array list;
  for (const std::string& document : out.documents) {
    list.emplace_back(document);
  }
  out.draft.prompt = json::object{{"query", query}, {"documents", std::move(list)}};
  PHASE_TRY(const auto top, fields.integer("top_n", 1, INT32_MAX));
  out.top_n = std::min(out.documents.size(), static_cast<std::size_t>(top.value_or(INT32_MAX)));
  PHASE_TRY(out.return_documents, fields.boolean("return_documents", false));
  return out;
}

}  // namespace phase::openai
