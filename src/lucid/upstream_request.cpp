#include "lucid/upstream_request.h"

#include <algorithm>

#include <boost/json.hpp>

#include "worker/inference/strict_json.h"

namespace phase::lucid {
namespace {

namespace json = boost::json;
using worker::inference::Members;
using Shape = UpstreamRequest::Shape;

constexpr double kPerUnit = 1e6;
constexpr std::size_t kListMax = 4096;
constexpr std::int64_t kLogprobsMax = 20;

double unit(const std::optional<std::int64_t>& ppm, double otherwise) {
  return ppm ? static_cast<double>(*ppm) / kPerUnit : otherwise;
}

/// Every value is said, with the defaults of our own engine, so that the server's do not matter.
void put_sampling(const job::InferenceJob& job, json::object& out) {
  const job::Sampling& wanted = job.sampling;
  out["samplers"] = {"penalties", "top_k", "typ_p", "top_p", "min_p", "temperature"};
  out["seed"] = static_cast<std::uint32_t>(wanted.seed ^ (wanted.seed >> 32));
  out["temperature"] = unit(wanted.temperature_ppm, 0.8);
  out["top_p"] = unit(wanted.top_p_ppm, 0.9);
  out["min_p"] = unit(wanted.min_p_ppm, 0);
  out["typical_p"] = unit(wanted.typical_p_ppm, 1);
  out["top_k"] = wanted.top_k.value_or(40);
  out["repeat_penalty"] = unit(wanted.repeat_penalty_ppm, 1.1);
  out["repeat_last_n"] = wanted.repeat_last_n.value_or(64);
  out["presence_penalty"] = unit(wanted.presence_penalty_ppm, 0);
  out["frequency_penalty"] = unit(wanted.frequency_penalty_ppm, 0);
  if (!job.stop.empty()) out["stop"] = json::value_from(job.stop);
  out["stream"] = true;
  // The server's slots know no callers: what one computed would be another's.
  out["cache_prompt"] = false;
}

json::object message_of(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

/// Arguments travel as an object with us, as text there.
Result<json::array> read_messages(const json::array& messages) {
  json::array out;
  for (const json::value& value : messages) {
    Members message(value);
    json::object one = message_of(message.text("role"), message.text("content"));
    if (message.has("thinking")) one["reasoning_content"] = message.text("thinking");
    if (message.has("tool_call_id")) one["tool_call_id"] = message.text("tool_call_id");
    if (message.has("tool_name")) one["name"] = message.text("tool_name");
    json::array calls;
    if (const json::array* list = message.list("tool_calls", kListMax)) {
      for (const json::value& entry : *list) {
        Members call(entry);
        const json::value* function = call.any("function");
        if (function == nullptr || !function->is_object()) {
          return fail(Code::malformed, "a tool call has a function");
        }
        Members inner(*function);
        const std::string name = inner.text("name");
        const json::value* arguments = inner.any("arguments");
        calls.push_back(
            {{"id", call.text("id")},
             {"type", "function"},
             {"function",
              {{"name", name}, {"arguments", arguments ? json::serialize(*arguments) : "{}"}}}});
        PHASE_TRY_VOID(call.close());
        PHASE_TRY_VOID(inner.close());
      }
    }
    if (!calls.empty()) one["tool_calls"] = std::move(calls);
    PHASE_TRY_VOID(message.close());
    out.push_back(std::move(one));
  }
  return out;
}

/// One tool by name: it alone is offered, and must be called.
Result<void> put_tools(Members& request, json::object& out) {
  const json::array* tools = request.list("tools", kListMax);
  const std::string choice = request.text("tool_choice");
  if (tools == nullptr || tools->empty()) return {};
  const bool word = choice.empty() || choice == "auto" || choice == "none" || choice == "required";
  json::array offered;
  for (const json::value& tool : *tools) {
    const json::object* object = tool.if_object();
    const json::value* function = object ? object->if_contains("function") : nullptr;
    if (function == nullptr || !function->is_object()) {
      return fail(Code::malformed, "a tool has a function");
    }
    const json::value* name = function->get_object().if_contains("name");
    if (word || (name != nullptr && *name == json::value(choice))) offered.push_back(tool);
  }
  if (offered.empty()) return fail(Code::malformed, "the chosen tool is not among the tools");
  out["tools"] = std::move(offered);
  out["tool_choice"] = choice.empty() ? "auto" : word ? choice : "required";
  return {};
}

Result<void> put_format(Members& request, json::object& out, bool chat) {
  const std::string grammar = request.text("grammar");
  if (!grammar.empty()) out["grammar"] = grammar;
  const json::value* format = request.any("format");
  if (format == nullptr || format->is_null()) return {};
  const bool any_object = format->is_string() && format->get_string() == "json";
  if (!grammar.empty() || (!any_object && !format->is_object())) {
    return fail(Code::malformed, "'format' is \"json\" or a schema, without 'grammar'");
  }
  const json::value schema = any_object ? json::value{{"type", "object"}} : *format;
  if (chat) {
    out["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}};
  } else {
    out["json_schema"] = schema;
  }
  return {};
}

void put_think(Members& request, json::object& out) {
  const json::value* think = request.any("think");
  if (think == nullptr || think->is_null()) return;
  if (think->is_bool()) {
    out["chat_template_kwargs"] = {{"enable_thinking", think->get_bool()}};
  } else {
    out["chat_template_kwargs"] = {{"enable_thinking", true}, {"reasoning_effort", *think}};
  }
}

void put_logprobs(Members& request, json::object& out, bool chat) {
  if (!request.has("logprobs")) return;
  const std::int64_t wanted = request.integer("logprobs", 0, 0, kLogprobsMax);
  if (chat) {
    out["logprobs"] = true;
    out["top_logprobs"] = wanted;
  } else {
    out["n_probs"] = std::max<std::int64_t>(wanted, 1);
  }
}

/// A conversation, or a prompt that the server's template is put around.
Result<void> put_chat(Members& request, json::object& out) {
  json::array messages;
  if (const json::array* list = request.list("messages", kListMax)) {
    PHASE_TRY(messages, read_messages(*list));
  } else {
    const std::string system = request.text("system"), prompt = request.text("prompt");
    if (!system.empty()) messages.push_back(message_of("system", system));
    messages.push_back(message_of("user", prompt));
  }
  out["messages"] = std::move(messages);
  out["stream_options"] = {{"include_usage", true}};
  put_think(request, out);
  return put_tools(request, out);
}

Result<UpstreamRequest> of_request(const worker::InferenceRequest& asked) {
  PHASE_TRY(const json::value value, worker::inference::parse_strictly(asked.prompt));
  Members request(value);
  if (request.has("messages") == request.has("prompt")) {
    return fail(Code::malformed, "exactly one of 'messages' and 'prompt' is there");
  }
  if (!request.text("template").empty()) {
    return fail(Code::unsupported, "an upstream llama-server applies its own chat template",
                "give it one: llama-server --chat-template-file FILE");
  }
  json::object body;
  put_sampling(asked.job, body);
  const bool raw = request.boolean("raw", false), hole = request.has("suffix");
  const bool chat = !raw && !hole;
  if (chat) {
    PHASE_TRY_VOID(put_chat(request, body));
    body["max_tokens"] = asked.job.tokens_max;
  } else {
    body["n_predict"] = asked.job.tokens_max;
    body[hole ? "input_prefix" : "prompt"] = request.text("prompt");
    if (hole) body["input_suffix"] = request.text("suffix");
    static_cast<void>(request.any("think"));
  }
  PHASE_TRY_VOID(put_format(request, body, chat));
  put_logprobs(request, body, chat);
  if (request.has("keep")) body["n_keep"] = request.integer("keep", 4, -1, INT32_MAX);
  static_cast<void>(request.boolean("truncate", true));
  static_cast<void>(request.boolean("shift", true));
  if (!chat) static_cast<void>(request.text("system"));
  PHASE_TRY_VOID(request.close());
  const char* route = chat ? "/v1/chat/completions" : hole ? "/infill" : "/completion";
  return UpstreamRequest{Shape::text, route, json::serialize(body), 0};
}

Result<UpstreamRequest> of_inputs(const worker::InferenceRequest& asked, bool ranks) {
  PHASE_TRY(const json::value value, worker::inference::parse_strictly(asked.prompt));
  Members request(value);
  UpstreamRequest out;
  json::object body;
  if (ranks) {
    out.shape = Shape::ranks;
    out.route = "/v1/rerank";
    body["query"] = request.text("query");
  } else {
    out.shape = Shape::embeddings;
    out.route = "/v1/embeddings";
    body["encoding_format"] = "float";
    out.dimensions = static_cast<std::size_t>(request.integer("dimensions", 0, 0, 1 << 20));
    static_cast<void>(request.boolean("truncate", true));
  }
  const json::array* texts = request.list(ranks ? "documents" : "input", kListMax);
  if (texts == nullptr || texts->empty()) return fail(Code::malformed, "there is no input");
  body[ranks ? "documents" : "input"] = *texts;
  PHASE_TRY_VOID(request.close());
  out.body = json::serialize(body);
  return out;
}

}  // namespace

Result<UpstreamRequest> upstream_request(const worker::InferenceRequest& request) {
  switch (request.job.prompt_kind) {
    case job::PromptKind::text: {
      if (!is_utf8(request.prompt)) return fail(Code::malformed, "the prompt is not UTF-8");
      json::object body;
      put_sampling(request.job, body);
      body["prompt"] = as_text(request.prompt);
      body["n_predict"] = request.job.tokens_max;
      return UpstreamRequest{Shape::text, "/completion", json::serialize(body), 0};
    }
    case job::PromptKind::request:
      return of_request(request);
    case job::PromptKind::embed:
      return of_inputs(request, false);
    case job::PromptKind::rerank:
      return of_inputs(request, true);
  }
  return fail(Code::malformed, "the kind of prompt is not known");
}

}  // namespace phase::lucid
