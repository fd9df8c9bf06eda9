#include "worker/inference/prepare.h"

#include <algorithm>

#include "json-schema-to-grammar.h"
#include "worker/inference/request.h"
#include "worker/inference/sampler_settings.h"

namespace phase::worker::inference {
namespace {

using Tokens = std::vector<llama_token>;

// What a template made of messages, and the settings that came with it.
struct Rendered {
  std::string prompt;
  common_chat_params params;
  bool marked_up = false;  ///< calls or thought can be in the answer
  std::string opening;     ///< of a call that must be made: already at the end of `prompt`
};

// --- grammars

Fit<std::string> grammar_of_schema(const std::string& schema) {
  try {
    return json_schema_to_grammar(common_json::parse(schema));
  } catch (const std::exception& error) {
    return unfit(End::grammar_malformed, error.what());
  }
}

// Templates build grammars of tools, too; here it shows which of the two is wrong.
Fit<std::string> constrain(const ChatRequest& request) {
  for (const common_chat_tool& tool : request.tools) {
    if (auto grammar = grammar_of_schema(tool.parameters); !grammar) return grammar;
  }
  return request.json_schema.empty() ? Fit<std::string>(request.grammar)
                                     : grammar_of_schema(request.json_schema);
}

// --- templates

common_chat_templates_inputs inputs_of(const ChatRequest& request,
                                       std::vector<common_chat_msg> messages) {
  common_chat_templates_inputs inputs;
  const common_chat_msg& last = messages.back();
  if (last.role == "assistant" && last.tool_calls.empty()) {
    inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
  }
  inputs.messages = std::move(messages);
  inputs.tools = request.tools;
  inputs.tool_choice = request.tool_choice;
  inputs.parallel_tool_calls = true;
  inputs.json_schema = request.json_schema;
  inputs.grammar = request.grammar;
  inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
  inputs.enable_thinking = request.think;
  if (!request.effort.empty()) {
    inputs.chat_template_kwargs["reasoning_effort"] = '"' + request.effort + '"';
  }
  return inputs;
}

class Template {
 public:
  // The request's template, else the model's, else ChatML.
  static Fit<Template> choose(const Model& model, const ChatRequest& request) {
    Template out;
    out.own_ = request.template_text.empty() && model.templates != nullptr;
    out.templates_ = model.templates.get();
    if (out.own_) {
      // Without calls and thought the text is the content: no parser has to be built.
      out.plain_ = !model.info.thinks;
      return out;
    }
    if (request.template_text.empty() && !model.info.chat_template.empty()) {
      return unfit(End::template_malformed, "the model's chat template cannot be read");
    }
    const std::string text = request.template_text.empty() ? "chatml" : request.template_text;
    out.plain_ = request.template_text.empty();
    try {
      out.made_ = common_chat_templates_init(model.model.get(), text);
    } catch (const std::exception& error) {
      return unfit(End::template_malformed, error.what());
    }
    out.templates_ = out.made_.get();
    return out;
  }

  [[nodiscard]] Fit<Rendered> render(const ChatRequest& request,
                                     std::vector<common_chat_msg> messages) const {
    common_chat_templates_inputs inputs = inputs_of(request, std::move(messages));
    // Neither calls nor a half message: the text may be taken as it comes.
    const bool simple =
        request.tools.empty() && inputs.continue_final_message == COMMON_CHAT_CONTINUATION_NONE;
    inputs.force_pure_content = simple && plain_;
    auto out = apply(inputs);
    if (!out && simple && !inputs.force_pure_content) {
      // The engine tries a template with talks of its own to learn its markup; one that refuses
      // those may do for this one.
      inputs.force_pure_content = true;
      out = apply(inputs);
    }
    if (out && request.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED) open_call(inputs, *out);
    return out;
  }

 private:
  [[nodiscard]] Fit<Rendered> apply(const common_chat_templates_inputs& inputs) const {
    Rendered out;
    try {
      out.params = common_chat_templates_apply(templates_, inputs);
    } catch (const std::exception& error) {
      return unfit(End::template_malformed, error.what());
    }
    out.prompt = out.params.prompt;
    out.marked_up =
        !inputs.force_pure_content && (!inputs.tools.empty() || out.params.supports_thinking);
    if (inputs.force_pure_content) out.params = {};
    return out;
  }

  // Grammars allow any text before the first call, so a model that does not want to call would talk
  // for ever. What begins a call is put into its mouth; a model that thinks first decides itself.
  void open_call(common_chat_templates_inputs inputs, Rendered& out) const {
    if (out.params.supports_thinking && inputs.enable_thinking) return;
    inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO;
    try {
      for (const auto& trigger : common_chat_templates_apply(templates_, inputs).grammar_triggers) {
        if (trigger.type != COMMON_GRAMMAR_TRIGGER_TYPE_WORD) continue;
        out.opening = trigger.value;
        break;
      }
    } catch (const std::exception&) {
      return;
    }
    out.prompt += out.opening;
    out.params.generation_prompt += out.opening;
  }

  bool own_ = false, plain_ = false;
  const common_chat_templates* templates_ = nullptr;
  common_chat_templates_ptr made_;
};

// Without the `count` oldest messages that are not the system's.
std::vector<common_chat_msg> without_oldest(const std::vector<common_chat_msg>& messages,
                                            std::size_t count) {
  std::vector<common_chat_msg> out;
  for (const common_chat_msg& message : messages) {
    if (message.role != "system" && count > 0) {
      count--;
    } else {
      out.push_back(message);
    }
  }
  return out;
}

struct Fitted {
  Rendered rendered;
  Tokens tokens;
};

// --- what the settings of a template mean for the sampler

void take_triggers(const Model& model, const common_chat_params& params, Prepared& out) {
  out.sampling.grammar_lazy = params.grammar_lazy;
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    common_grammar_trigger taken = trigger;
    if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
      const Tokens ids = tokens_of(model, trigger.value, false, true);
      if (ids.size() == 1 && out.preserved.contains(ids[0])) {
        taken.type = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
        taken.token = ids[0];
      }
    }
    out.sampling.grammar_triggers.push_back(std::move(taken));
  }
}

void take_thinking(const Model& model, const common_chat_params& params, Prepared& out) {
  if (params.thinking_start_tag.empty() || params.thinking_end_tags.empty()) return;
  auto& sampling = out.sampling;
  sampling.reasoning_budget_start = tokens_of(model, params.thinking_start_tag, false, true);
  for (const std::string& tag : params.thinking_end_tags) {
    sampling.reasoning_budget_end.push_back(tokens_of(model, tag, false, true));
  }
  sampling.reasoning_budget_forced = sampling.reasoning_budget_end.front();
}

void take_params(const Model& model, const ChatRequest& request, const Rendered& rendered,
                 Prepared& out) {
  const common_chat_params& params = rendered.params;
  for (const std::string& text : params.preserved_tokens) {
    const Tokens ids = tokens_of(model, text, false, true);
    if (ids.size() == 1) out.preserved.insert(ids[0]);
  }
  out.sampling.preserved_tokens = out.preserved;
  out.stops.insert(out.stops.end(), params.additional_stops.begin(), params.additional_stops.end());
  if (!params.grammar.empty()) {
    const auto type = !request.tools.empty()         ? COMMON_GRAMMAR_TYPE_TOOL_CALLS
                      : !request.json_schema.empty() ? COMMON_GRAMMAR_TYPE_OUTPUT_FORMAT
                                                     : COMMON_GRAMMAR_TYPE_USER;
    out.sampling.grammar = {type, params.grammar};
    out.sampling.generation_prompt = params.generation_prompt;
    take_triggers(model, params, out);
    take_thinking(model, params, out);
  }
  if (!rendered.marked_up) return;
  common_chat_parser_params parser(params);
  parser.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
  parser.parse_tool_calls =
      !request.tools.empty() && request.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
  if (!params.parser.empty()) parser.parser.load(params.parser);
  out.parser = std::move(parser);
}

// --- kinds of requests

// The middle is cut out: what is kept at the start, and as much of the end as fits.
Fit<void> cut_to_fit(const Prepared& out, bool truncate, Tokens& tokens) {
  if (tokens.size() < out.context_tokens) return {};
  if (!truncate) return unfit(End::prompt_too_long, "the prompt is longer than the context");
  const std::size_t keep = std::min<std::size_t>(out.keep, out.context_tokens / 2);
  const std::size_t surplus = tokens.size() - (out.context_tokens - 1);
  tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(keep),
               tokens.begin() + static_cast<std::ptrdiff_t>(keep + surplus));
  return {};
}

Fit<Tokens> infill_tokens(const Model& model, const ChatRequest& request) {
  if (!model.info.infills) {
    return unfit(End::suffix_unsupported, "the model has no tokens for a text with a hole");
  }
  Tokens out;
  const auto add = [&out](const Tokens& more) { out.insert(out.end(), more.begin(), more.end()); };
  if (llama_vocab_get_add_bos(model.vocab)) out.push_back(llama_vocab_bos(model.vocab));
  out.push_back(llama_vocab_fim_pre(model.vocab));
  add(tokens_of(model, request.prompt, false, false));
  out.push_back(llama_vocab_fim_suf(model.vocab));
  add(tokens_of(model, *request.suffix, false, false));
  out.push_back(llama_vocab_fim_mid(model.vocab));
  return out;
}

// The fewest messages are left out with which the rest fits.
Fit<Fitted> fit_messages(const Model& model, const ChatRequest& request, const Template& chosen,
                         std::size_t room) {
  const auto others = static_cast<std::size_t>(std::ranges::count_if(
      request.messages, [](const auto& message) { return message.role != "system"; }));
  const auto attempt = [&](std::size_t left_out) -> Fit<Fitted> {
    auto rendered = chosen.render(request, without_oldest(request.messages, left_out));
    if (!rendered) return tl::unexpected(rendered.error());
    Tokens tokens = tokens_of(model, rendered->prompt, true, true);
    if (tokens.size() >= room) {
      return unfit(End::prompt_too_long, "the messages are longer than the context");
    }
    return Fitted{*std::move(rendered), std::move(tokens)};
  };
  auto best = attempt(0);
  if (best || best.error().end != End::prompt_too_long || !request.truncate || others < 2) {
    return best;
  }
  std::size_t low = 1, high = others - 1;  // the last message stays
  while (low <= high) {
    const std::size_t middle = (low + high) / 2;
    if (auto tried = attempt(middle)) {
      best = std::move(tried);
      high = middle - 1;
    } else {
      low = middle + 1;
    }
  }
  return best;
}

// A text of its own: as it stands, or around a hole.
bool is_plain(const Model& model, const ChatRequest& request) {
  return request.raw || request.suffix ||
         (request.template_text.empty() && model.info.chat_template.empty());
}

Fit<void> prepare_plain(const Model& model, const ChatRequest& request, Prepared& out) {
  if (request.suffix) {
    auto tokens = infill_tokens(model, request);
    if (!tokens) return tl::unexpected(tokens.error());
    out.tokens = *std::move(tokens);
    if (out.tokens.size() < out.context_tokens) return {};
    return unfit(End::prompt_too_long, "prompt and suffix are longer than the context");
  }
  out.tokens = tokens_of(model, request.prompt, true, true);
  return cut_to_fit(out, request.truncate, out.tokens);
}

Fit<void> prepare_templated(const Model& model, ChatRequest& request, Prepared& out) {
  const bool one_prompt = request.messages.empty();
  if (one_prompt) {
    if (!request.system.empty()) {
      request.messages.emplace_back().role = "system";
      request.messages.back().content = request.system;
    }
    request.messages.emplace_back().role = "user";
    request.messages.back().content = request.prompt;
  }
  const auto chosen = Template::choose(model, request);
  if (!chosen) return tl::unexpected(chosen.error());
  const std::size_t room = one_prompt ? SIZE_MAX : out.context_tokens;
  auto fitted = fit_messages(model, request, *chosen, room);
  if (!fitted) return tl::unexpected(fitted.error());
  take_params(model, request, fitted->rendered, out);
  out.tokens = std::move(fitted->tokens);
  return cut_to_fit(out, request.truncate, out.tokens);
}

Fit<void> prepare_request(const Model& model, ByteView prompt, Prepared& out) {
  auto request = read_request(prompt);
  if (!request) return unfit(End::prompt_malformed, request.error().message);
  out.logprobs = request->logprobs;
  out.shift = request->shift;
  out.keep = request->keep < 0 ? out.context_tokens : static_cast<std::uint32_t>(request->keep);
  auto grammar = constrain(*request);
  if (!grammar) return tl::unexpected(grammar.error());
  const bool plain = request->messages.empty() && is_plain(model, *request);
  auto done = plain ? prepare_plain(model, *request, out) : prepare_templated(model, *request, out);
  if (!done) return done;
  if (out.sampling.grammar.empty() && request->tools.empty() && !grammar->empty()) {
    out.sampling.grammar = {COMMON_GRAMMAR_TYPE_USER, *std::move(grammar)};
  }
  if (request->keep < 0) out.keep = static_cast<std::uint32_t>(out.tokens.size());
  return {};
}

Fit<Prepared> prepare_any(const Model& model, const Begin& begin, ByteView prompt) {
  Prepared out;
  if (!model.info.completes) return unfit(End::model_unfit, "the model does not complete text");
  out.context_tokens = model.options.context_tokens;
  if (begin.job.context_tokens != 0) {
    out.context_tokens = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(begin.job.context_tokens, out.context_tokens));
  }
  out.stops = begin.job.stop;
  out.sampling = sampling_of(begin.job.sampling, out.context_tokens);
  if (begin.job.prompt_kind == job::PromptKind::text) {
    if (!is_utf8(prompt)) return unfit(End::prompt_malformed, "the prompt is not UTF-8");
    out.tokens = tokens_of(model, as_text(prompt), true, true);
    auto fits = cut_to_fit(out, false, out.tokens);
    if (!fits) return tl::unexpected(fits.error());
  } else if (static_cast<std::uint8_t>(begin.job.prompt_kind) == 1) {
    auto done = prepare_request(model, prompt, out);
    if (!done) return tl::unexpected(done.error());
  } else {
    return unfit(End::prompt_malformed, "the kind of prompt is not known");
  }
  if (out.tokens.empty()) return unfit(End::prompt_malformed, "the prompt is empty");
  return out;
}

}  // namespace

std::vector<llama_token> tokens_of(const Model& model, std::string_view text, bool add_special,
                                   bool special) {
  return common_tokenize(model.vocab, std::string(text), add_special, special);
}

Fit<Prepared> prepare(const Model& model, const Begin& begin, ByteView prompt) {
  try {
    return prepare_any(model, begin, prompt);
  } catch (const std::bad_alloc&) {
    return unfit(End::memory, "there is no memory for the prompt");
  } catch (const std::exception& error) {
    return unfit(End::prompt_malformed, error.what());
  }
}

}  // namespace phase::worker::inference
