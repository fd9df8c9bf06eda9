#include "lucid/recipe.h"

#include <cmath>

#include <boost/json.hpp>

#include "lucid/options.h"

namespace phase::lucid {
namespace {

namespace json = boost::json;
using job::PromptKind;

constexpr std::size_t kDepthMax = 64;  // spec/inference.md §1
constexpr std::int64_t kMillion = 1'000'000;

Result<json::value> parse(std::string_view text, std::string_view what) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error) return fail(Code::malformed, std::string(what) + " is not JSON");
  return value;
}

bool is_request(const Ask& ask) {
  return ask.prompt_kind == static_cast<std::uint8_t>(PromptKind::request);
}

tl::unexpected<Error> wrong(std::string_view key) {
  return fail(Code::malformed, "the model's recipe: parameter " + std::string(key) +
                                   " has a value that it cannot have");
}

/// Options of a recipe, read by key.
class Options {
 public:
  explicit Options(const json::object& object) : object_(object) {}

  [[nodiscard]] const json::value* find(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] Result<std::optional<std::int64_t>> whole(std::string_view key, std::int64_t min,
                                                          std::int64_t max) const {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    if (error || number < min || number > max) return wrong(key);
    return number;
  }
  [[nodiscard]] Result<std::optional<std::int64_t>> ppm(const PpmOption& row) const {
    const json::value* value = find(row.name);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code error;
    const auto number = value->to_number<double>(error);
    if (error || !(number >= row.min && number <= row.max)) return wrong(row.name);
    return std::llround(number * static_cast<double>(kMillion));
  }
  [[nodiscard]] Result<std::vector<std::string>> stop() const {
    std::vector<std::string> out;
    const json::value* value = find("stop");
    if (value == nullptr) return out;
    const json::array list = value->is_array() ? value->as_array() : json::array{*value};
    if (list.size() > kStopsMax) return wrong("stop");
    for (const json::value& one : list) {
      if (!one.is_string()) return wrong("stop");
      if (!one.as_string().empty()) out.emplace_back(one.as_string());
    }
    return out;
  }

 private:
  const json::object& object_;
};

/// What the model is loaded with.
Result<void> apply_engine(const Options& options, Ask& ask) {
  PHASE_TRY(const auto context, options.whole("num_ctx", 0, INT32_MAX));
  if (ask.context_tokens == 0) ask.context_tokens = static_cast<std::uint64_t>(context.value_or(0));
  PHASE_TRY(const auto batch, options.whole("num_batch", 1, INT32_MAX));
  if (batch && !ask.batch_tokens) ask.batch_tokens = static_cast<std::uint32_t>(*batch);
  PHASE_TRY(const auto threads, options.whole("num_thread", 0, 1024));
  if (threads.value_or(0) > 0 && !ask.threads) {
    ask.threads = static_cast<std::uint32_t>(*threads);
  }
  PHASE_TRY(const auto layers, options.whole("num_gpu", -1, INT32_MAX));
  if (layers && !ask.gpu_layers) ask.gpu_layers = static_cast<std::int32_t>(*layers);
  return {};
}

Result<void> apply_sampling(const Options& options, Ask& ask) {
  for (const PpmOption& row : kPpmOptions) {
    PHASE_TRY(const auto value, options.ppm(row));
    if (value && !(ask.sampling.*row.field)) ask.sampling.*row.field = value;
  }
  PHASE_TRY(const auto top_k, options.whole("top_k", -1, INT32_MAX));
  if (top_k && !ask.sampling.top_k) ask.sampling.top_k = std::max<std::int64_t>(*top_k, 0);
  PHASE_TRY(const auto last_n, options.whole("repeat_last_n", -1, INT32_MAX));
  if (last_n && !ask.sampling.repeat_last_n) ask.sampling.repeat_last_n = last_n;
  PHASE_TRY(const auto seed, options.whole("seed", INT64_MIN, INT64_MAX));
  if (seed && *seed >= 0 && !ask.seeded) {
    ask.sampling.seed = static_cast<std::uint64_t>(*seed);
    ask.seeded = true;
  }
  PHASE_TRY(const auto predict, options.whole("num_predict", INT32_MIN, 1LL << 40));
  if (ask.tokens_max == 0) {
    ask.tokens_max = static_cast<std::uint64_t>(std::max<std::int64_t>(predict.value_or(0), 0));
  }
  PHASE_TRY(std::vector<std::string> stop, options.stop());
  if (ask.stop.empty()) ask.stop = std::move(stop);
  return {};
}

json::object system_message(std::string_view text) {
  return {{"role", "system"}, {"content", text}};
}

/// Messages of the recipe before those of the request, the system message before all of them unless
/// the request begins with one.
void put_first(const ModelRecipe& recipe, const json::array& earlier, json::array& messages) {
  const json::object* first = messages.empty() ? nullptr : messages.front().if_object();
  const json::value* role = first == nullptr ? nullptr : first->if_contains("role");
  const bool has_system = role != nullptr && role->is_string() && role->as_string() == "system";
  json::array all;
  if (!has_system && !recipe.system.empty()) all.push_back(system_message(recipe.system));
  if (has_system) all.push_back(messages.front());
  all.insert(all.end(), earlier.begin(), earlier.end());
  all.insert(all.end(), messages.begin() + (has_system ? 1 : 0), messages.end());
  messages = std::move(all);
}

/// A prompt that has turns before it becomes their last message.
void make_messages(json::object& prompt) {
  json::array messages;
  const json::value* system = prompt.if_contains("system");
  if (system != nullptr) {
    messages.push_back(json::object{{"role", "system"}, {"content", *system}});
  }
  messages.push_back(json::object{{"role", "user"}, {"content", prompt["prompt"]}});
  prompt.erase("system");
  prompt.erase("prompt");
  prompt["messages"] = std::move(messages);
}

Result<void> apply_texts(const ModelRecipe& recipe, json::object& prompt) {
  if (!recipe.template_text.empty() && !prompt.contains("template")) {
    prompt["template"] = recipe.template_text;
  }
  json::array earlier;
  if (!recipe.messages.empty()) {
    PHASE_TRY(json::value read, parse(recipe.messages, "the model's recipe: messages"));
    if (!read.is_array() || read.as_array().size() > kRecipeMessagesMax) {
      return fail(Code::malformed, "the model's recipe: messages is not a list of at most " +
                                       std::to_string(kRecipeMessagesMax));
    }
    earlier = std::move(read).as_array();
  }
  if (!earlier.empty() && prompt.contains("prompt") && !prompt.contains("suffix")) {
    make_messages(prompt);
  }
  if (prompt.contains("prompt")) {
    if (!recipe.system.empty() && !prompt.contains("system")) prompt["system"] = recipe.system;
  } else if (prompt["messages"].is_array()) {
    put_first(recipe, earlier, prompt["messages"].as_array());
  }
  return {};
}

Result<json::object> prompt_of(const Ask& ask) {
  PHASE_TRY(json::value read, parse(as_text(ask.prompt), "the prompt"));
  if (!read.is_object()) return fail(Code::malformed, "the prompt is no JSON object");
  return std::move(read).as_object();
}

bool is_true(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

}  // namespace

Result<void> apply_recipe(const ModelRecipe& recipe, Ask& ask) {
  json::value parameters = json::object{};
  if (!recipe.parameters.empty()) {
    PHASE_TRY(parameters, parse(recipe.parameters, "the model's recipe: parameters"));
    if (!parameters.is_object()) {
      return fail(Code::malformed, "the model's recipe: parameters is no JSON object");
    }
  }
  const Options options(parameters.as_object());
  PHASE_TRY_VOID(apply_engine(options, ask));
  if (!is_request(ask) && ask.prompt_kind != static_cast<std::uint8_t>(PromptKind::text)) return {};
  PHASE_TRY_VOID(apply_sampling(options, ask));
  PHASE_TRY(const auto keep, options.whole("num_keep", -1, INT32_MAX));
  const bool has_texts =
      !recipe.system.empty() || !recipe.template_text.empty() || !recipe.messages.empty();
  if (!is_request(ask) || (!has_texts && !keep)) return {};
  PHASE_TRY(json::object prompt, prompt_of(ask));
  if (keep && !prompt.contains("keep")) prompt["keep"] = *keep < 0 ? INT32_MAX : *keep;
  if (!is_true(prompt, "raw")) {
    PHASE_TRY_VOID(apply_texts(recipe, prompt));
  }
  const std::string text = json::serialize(prompt);
  if (text.size() > job::kPromptBytesMax) {
    return fail(Code::too_large,
                "the prompt has more than " + std::to_string(job::kPromptBytesMax) + " bytes");
  }
  ask.prompt = to_bytes(text);
  return {};
}

Result<void> check_fitness(const worker::ModelInfo& info, std::string_view name, const Ask& ask) {
  const auto lacks = [&name](std::string_view what) {
    return fail(Code::invalid_argument,
                '"' + printable(name, 80) + "\" does not support " + std::string(what));
  };
  const auto kind = static_cast<PromptKind>(ask.prompt_kind);
  if (kind == PromptKind::embed && !info.embeds) return lacks("embeddings");
  if (kind == PromptKind::rerank && !info.ranks) return lacks("reranking");
  if (kind == PromptKind::text && !info.completes) return lacks("generate");
  if (kind != PromptKind::request) return {};
  PHASE_TRY(const json::object prompt, prompt_of(ask));
  if (!info.completes) return lacks(prompt.contains("messages") ? "chat" : "generate");
  const json::value* think = prompt.if_contains("think");
  const bool thought = think != nullptr && !(think->is_bool() && !think->as_bool());
  if (thought && !info.thinks) return lacks("thinking");
  const json::value* tools = prompt.if_contains("tools");
  const bool calls = tools != nullptr && tools->is_array() && !tools->as_array().empty();
  if (calls && !info.calls_tools && !prompt.contains("template")) return lacks("tools");
  if (prompt.contains("suffix") && !info.infills) return lacks("insert");
  return {};
}

}  // namespace phase::lucid
