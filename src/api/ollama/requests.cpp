#include "api/ollama/requests.h"

#include <algorithm>
#include <array>

#include <boost/json.hpp>

namespace phase::ollama {
namespace {

using faces::Draft;
using faces::Fields;
using faces::view;

constexpr std::int64_t kIntMax = INT32_MAX;
constexpr std::int64_t kThreadsMax = 1'024;

/// The model's name for messages about refused fields, before it was checked.
std::string named_model(const json::object& body) {
  const json::value* name = body.if_contains("model");
  return name != nullptr && name->is_string() ? std::string{view(name->as_string())}
                                              : std::string{};
}

Result<void> read_engine_options(const Fields& fields, Draft& draft) {
  PHASE_TRY(const auto batch, fields.integer("num_batch", 1, kIntMax));
  if (batch) {
    draft.ask.batch_tokens = static_cast<std::uint32_t>(*batch);
  }
  PHASE_TRY(const auto layers, fields.integer("num_gpu", -1, kIntMax));
  if (layers) {
    draft.ask.gpu_layers = static_cast<std::int32_t>(*layers);
  }
  PHASE_TRY(const auto threads, fields.integer("num_thread", 0, kThreadsMax));
  if (threads && *threads > 0) {
    draft.ask.threads = static_cast<std::uint32_t>(*threads);
  }
  PHASE_TRY(const auto context, fields.integer("num_ctx", 0, kIntMax));
  draft.ask.context_tokens = static_cast<std::uint64_t>(context.value_or(0));
  PHASE_TRY(const bool mapped, fields.boolean("use_mmap", true));
  if (!mapped) {
    return fail(Code::invalid_argument, "options.use_mmap: models are always mapped");
  }
  return {};
}

/// Options of older clients: those that change nothing here, of the right type.
Result<void> read_older_options(const Fields& fields) {
  for (const char* flag : {"penalize_newline", "numa", "low_vram", "f16_kv", "use_mlock"}) {
    PHASE_TRY_VOID(fields.boolean(flag, false));
  }
  constexpr double kFar = 1e9;
  for (const char* number :
       {"mirostat_eta", "mirostat_tau", "num_gqa", "rope_frequency_base", "rope_frequency_scale"}) {
    PHASE_TRY_VOID(fields.ppm(number, 0, kFar));
  }
  PHASE_TRY(const auto tail_free, fields.ppm("tfs_z", 0, kFar));
  if (tail_free && *tail_free != 1'000'000) {
    return fail(Code::invalid_argument,
                "options.tfs_z: this sampler is not offered; leave it at 1");
  }
  return {};
}

Result<void> read_options(json::object& options, std::string place, Draft& draft) {
  PHASE_TRY(const Fields fields, Fields::open(options, "ollama.options", std::move(place)));
  PHASE_TRY_VOID(faces::read_sampling(fields, draft));
  PHASE_TRY_VOID(read_engine_options(fields, draft));
  PHASE_TRY_VOID(read_older_options(fields));
  PHASE_TRY(const auto predict, fields.integer("num_predict", -2, faces::kTokensMax));
  draft.ask.tokens_max = static_cast<std::uint64_t>(std::max<std::int64_t>(predict.value_or(0), 0));
  PHASE_TRY(const auto keep, fields.integer("num_keep", -1, kIntMax));
  if (keep) {
    draft.prompt["keep"] = *keep < 0 ? kIntMax : *keep;
  }
  return {};
}

/// What every request to a model has.
Result<void> read_common(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::object * options, fields.object("options"));
  if (options != nullptr) {
    PHASE_TRY_VOID(read_options(*options, "options.", draft));
  }
  return faces::read_keep_alive(fields, draft.ask.keep_alive);
}

Result<void> copy_flag(const Fields& fields, std::string_view name, Draft& draft) {
  PHASE_TRY(const bool value, fields.boolean(name, true));
  if (fields.has(name)) {
    draft.prompt[name] = value;
  }
  return {};
}

Result<void> copy_text(const Fields& fields, std::string_view name, Draft& draft) {
  PHASE_TRY(std::string text, fields.text(name));
  if (!text.empty()) {
    draft.prompt[name] = std::move(text);
  }
  return {};
}

Result<void> read_format(const Fields& fields, Draft& draft) {
  json::value* format = fields.find("format");
  if (format == nullptr || (format->is_string() && format->as_string().empty())) {
    return {};
  }
  const bool is_json = format->is_string() && view(format->as_string()) == "json";
  if (!is_json && !format->is_object()) {
    return fields.wrong("format", R"("json" or a JSON schema)");
  }
  draft.prompt["format"] = std::move(*format);
  return {};
}

/// What generate and chat share besides `read_common`.
Result<void> read_wishes(const Fields& fields, Draft& draft) {
  PHASE_TRY_VOID(read_common(fields, draft));
  PHASE_TRY_VOID(read_format(fields, draft));
  PHASE_TRY_VOID(faces::read_think(fields, "think", draft));
  PHASE_TRY_VOID(copy_flag(fields, "truncate", draft));
  PHASE_TRY_VOID(copy_flag(fields, "shift", draft));
  return faces::read_logprobs(fields, draft);
}

Result<json::object> read_call(json::value& value) {
  if (!value.is_object()) {
    return fail(Code::invalid_argument, "messages[].tool_calls: expected a list of objects");
  }
  const std::string place = "messages[].tool_calls[].";
  PHASE_TRY(const Fields call, Fields::open(value.as_object(), "ollama.tool_call", place));
  PHASE_TRY(std::string id, call.text("id"));
  PHASE_TRY(const std::string type, call.text("type"));
  PHASE_TRY(json::object * function, call.object("function"));
  if (!type.empty() && type != "function") {
    return call.wrong("type", "function");
  }
  if (function == nullptr) {
    return call.wrong("function", "an object");
  }
  PHASE_TRY(const Fields inner,
            Fields::open(*function, "ollama.tool_call.function", place + "function."));
  PHASE_TRY(std::string name, inner.text("name"));
  PHASE_TRY(json::object * arguments, inner.object("arguments"));
  PHASE_TRY_VOID(inner.integer("index", 0, kIntMax));
  PHASE_TRY_VOID(inner.text("description"));
  return faces::earlier_call(std::move(id), std::move(name),
                             arguments == nullptr ? json::object{} : std::move(*arguments));
}

Result<json::object> read_message(json::value& value, std::string_view model) {
  if (!value.is_object()) {
    return fail(Code::invalid_argument, "messages: expected a list of objects");
  }
  PHASE_TRY(const Fields fields,
            Fields::open(value.as_object(), "ollama.message", "messages[].", model));
  PHASE_TRY(std::string role, fields.text("role"));
  static constexpr std::array<std::string_view, 4> kRoles{"system", "user", "assistant", "tool"};
  if (std::ranges::find(kRoles, role) == kRoles.end()) {
    return fields.wrong("role", "one of: system, user, assistant, tool");
  }
  PHASE_TRY(std::string content, fields.text("content"));
  json::object out{{"role", std::move(role)}, {"content", std::move(content)}};
  for (const std::string_view name : {"thinking", "tool_name", "tool_call_id"}) {
    PHASE_TRY(std::string text, fields.text(name));
    if (!text.empty()) {
      out.emplace(name, std::move(text));
    }
  }
  PHASE_TRY(json::array * calls, fields.array("tool_calls"));
  if (calls != nullptr && !calls->empty()) {
    json::array list;
    for (json::value& call : *calls) {
      PHASE_TRY(json::object made, read_call(call));
      list.push_back(std::move(made));
    }
    out.emplace("tool_calls", std::move(list));
  }
  return out;
}

Result<json::array> read_messages(const Fields& fields, std::string_view model) {
  json::array out;
  PHASE_TRY(json::array * list, fields.array("messages"));
  if (list == nullptr) {
    return out;
  }
  if (list->size() > faces::kMessagesMax) {
    return fields.wrong("messages", "at most " + std::to_string(faces::kMessagesMax));
  }
  out.reserve(list->size());
  for (json::value& value : *list) {
    PHASE_TRY(json::object message, read_message(value, model));
    out.push_back(std::move(message));
  }
  return out;
}

json::object message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

/// The prompt, after the turns that `context` brings back.
Result<void> read_prompt(const Fields& fields, GenerateRequest& out) {
  PHASE_TRY(std::string prompt, fields.text("prompt"));
  PHASE_TRY(const std::string system, fields.text("system"));
  PHASE_TRY(const bool raw, fields.boolean("raw", false));
  PHASE_TRY(json::array * context, fields.array("context"));
  out.load = prompt.empty();
  out.context = !raw;
  json::object& to = out.draft.prompt;
  if (context != nullptr && !context->empty() && !raw) {
    PHASE_TRY(out.turns, read_context(*context));
    const bool begins = !out.turns.empty() && out.turns.front().as_object().at("role") == "system";
    if (!system.empty() && begins) {
      out.turns.front() = message("system", system);
    } else if (!system.empty()) {
      out.turns.insert(out.turns.begin(), message("system", system));
    }
    out.turns.push_back(message("user", prompt));
    to["messages"] = out.turns;
    return {};
  }
  if (!system.empty()) {
    to["system"] = system;
    out.turns.push_back(message("system", system));
  }
  out.turns.push_back(message("user", prompt));
  to["prompt"] = std::move(prompt);
  if (raw) {
    to["raw"] = true;
  }
  return {};
}

Result<EmbedRequest> embed(std::string model, std::vector<std::string> inputs,
                           const Fields& fields) {
  EmbedRequest out;
  if (!inputs.empty()) {
    out.draft = faces::embed_draft(model, inputs);
  }
  PHASE_TRY_VOID(read_common(fields, out.draft));
  out.draft.prompt.stable_erase("keep");  // of a generation
  out.model = std::move(model);
  out.inputs = std::move(inputs);
  return out;
}

}  // namespace

Result<GenerateRequest> read_generate(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  const std::string named = named_model(object);
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.generate", {}, named));
  if (!fields.has("model")) {
    return fail(Code::not_found, "model '' not found");
  }
  GenerateRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(out.stream, fields.boolean("stream", true));
  PHASE_TRY_VOID(read_prompt(fields, out));
  PHASE_TRY_VOID(copy_text(fields, "suffix", out.draft));
  PHASE_TRY_VOID(copy_text(fields, "template", out.draft));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  return out;
}

Result<ChatRequest> read_chat(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  const std::string named = named_model(object);
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.chat", {}, named));
  ChatRequest out;
  PHASE_TRY(out.draft.ask.model, faces::model_name(fields));
  PHASE_TRY(out.stream, fields.boolean("stream", true));
  PHASE_TRY(json::array messages, read_messages(fields, named));
  out.load = messages.empty();
  out.draft.prompt["messages"] = std::move(messages);
  PHASE_TRY_VOID(faces::read_tools(fields, out.draft));
  PHASE_TRY_VOID(read_wishes(fields, out.draft));
  return out;
}

Result<EmbedRequest> read_embed(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.embed"));
  PHASE_TRY(std::string model, faces::model_name(fields));
  PHASE_TRY(std::vector<std::string> inputs, fields.texts("input", faces::kEmbedInputsMax));
  const json::value* input = fields.find("input");
  if (input != nullptr && input->is_string() && input->as_string().empty()) {
    inputs.clear();
  }
  PHASE_TRY(EmbedRequest out, embed(std::move(model), std::move(inputs), fields));
  PHASE_TRY_VOID(copy_flag(fields, "truncate", out.draft));
  PHASE_TRY(const auto dimensions, fields.integer("dimensions", 1, kIntMax));
  if (dimensions) {
    out.draft.prompt["dimensions"] = *dimensions;
  }
  return out;
}

Result<EmbedRequest> read_embeddings(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.embeddings"));
  PHASE_TRY(std::string model, faces::model_name(fields));
  PHASE_TRY(std::string prompt, fields.text("prompt"));
  std::vector<std::string> inputs;
  if (!prompt.empty()) {
    inputs.push_back(std::move(prompt));
  }
  return embed(std::move(model), std::move(inputs), fields);
}

Result<ShowRequest> read_show(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.show"));
  ShowRequest out;
  PHASE_TRY(out.model, faces::model_name(fields));
  PHASE_TRY(out.verbose, fields.boolean("verbose", false));
  PHASE_TRY(out.system, fields.text("system"));
  PHASE_TRY(out.template_text, fields.text("template"));
  PHASE_TRY(json::object * options, fields.object("options"));
  if (options != nullptr) {
    Draft scratch;
    PHASE_TRY_VOID(read_options(*options, "options.", scratch));
    out.options = std::move(*options);
  }
  return out;
}

namespace {

/// True when version `a`, as "0.24.0", is above `b`; parts that are no numbers count as 0.
bool is_above(std::string_view a, std::string_view b) {
  for (int i = 0; i < 3; ++i) {
    std::array<unsigned long, 2> numbers{};
    std::size_t at = 0;
    for (std::string_view* text : {&a, &b}) {
      const std::size_t end = std::min(text->find('.'), text->size());
      numbers[at++] = std::strtoul(std::string{text->substr(0, end)}.c_str(), nullptr, 10);
      text->remove_prefix(std::min(end + 1, text->size()));
    }
    if (numbers[0] != numbers[1]) {
      return numbers[0] > numbers[1];
    }
  }
  return false;
}

Result<void> read_files(const Fields& fields, CreateRequest& out) {
  PHASE_TRY(json::object * files, fields.object("files"));
  if (files == nullptr) {
    return {};
  }
  for (const auto& [name, digest] : *files) {
    if (!digest.is_string()) {
      return fields.wrong("files", "names with digests");
    }
    PHASE_TRY(std::string text, read_digest(view(digest.as_string())));
    out.files.emplace_back(std::string{name.data(), name.size()}, std::move(text));
  }
  return {};
}

Result<void> read_recipe(const Fields& fields, CreateRequest& out) {
  lucid::ModelRecipe& recipe = out.recipe;
  PHASE_TRY(recipe.from, fields.text("from"));
  PHASE_TRY(recipe.template_text, fields.text("template"));
  PHASE_TRY(recipe.system, fields.text("system"));
  PHASE_TRY(const std::vector<std::string> licenses, fields.texts("license", 64));
  for (const std::string& license : licenses) {
    recipe.license += (recipe.license.empty() ? "" : "\n") + license;
  }
  PHASE_TRY(json::object * parameters, fields.object("parameters"));
  if (parameters != nullptr && !parameters->empty()) {
    Draft scratch;
    PHASE_TRY_VOID(read_options(*parameters, "parameters.", scratch));
    recipe.parameters = json::serialize(*parameters);
  }
  PHASE_TRY(const json::array messages, read_messages(fields, out.model));
  if (!messages.empty()) {
    recipe.messages = json::serialize(messages);
  }
  PHASE_TRY(const std::string version, fields.text("requires"));
  if (is_above(version.starts_with('v') ? version.substr(1) : version, "0.24.0")) {
    return fail(Code::invalid_argument, "requires: this server speaks version 0.24.0");
  }
  return {};
}

}  // namespace

Result<CreateRequest> read_create(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.create"));
  CreateRequest out;
  PHASE_TRY(out.model, faces::model_name(fields));
  PHASE_TRY(out.stream, fields.boolean("stream", true));
  PHASE_TRY_VOID(read_files(fields, out));
  PHASE_TRY_VOID(read_recipe(fields, out));
  if (out.recipe.from.empty() == out.files.empty()) {
    return fail(Code::invalid_argument, "neither 'from' or 'files' was specified",
                "give exactly one of them");
  }
  return out;
}

Result<TransferRequest> read_transfer(std::string_view body, std::string_view section) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, section));
  TransferRequest out;
  PHASE_TRY(out.model, faces::model_name(fields));
  PHASE_TRY(out.stream, fields.boolean("stream", true));
  return out;
}

Result<std::pair<std::string, std::string>> read_copy(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.copy"));
  std::pair<std::string, std::string> out;
  PHASE_TRY(out.first, fields.text("source"));
  PHASE_TRY(out.second, fields.text("destination"));
  if (out.first.empty() || out.second.empty()) {
    return fail(Code::invalid_argument, "source and destination are required");
  }
  return out;
}

Result<std::string> read_delete(std::string_view body) {
  PHASE_TRY(json::object object, faces::parse_object(body));
  PHASE_TRY(const Fields fields, Fields::open(object, "ollama.delete"));
  return faces::model_name(fields);
}

Result<std::string> read_digest(std::string_view text) {
  const std::string_view hex = text.substr(std::min<std::size_t>(7, text.size()));
  const bool named = text.starts_with("sha256:") || text.starts_with("sha256-");
  const bool good = hex.size() == 64 && std::ranges::all_of(hex, [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (!named || !good) {
    return fail(Code::invalid_argument, "invalid digest format",
                "expected sha256:<64 lower-case hexadecimal digits>");
  }
  return "sha256:" + std::string{hex};
}

}  // namespace phase::ollama
