#include "api/faces/asking.h"

#include <array>

#include <boost/json.hpp>

#include "base/check.h"
#include "lucid/options.h"
#include "protocol/job/job.h"

namespace phase::faces {
namespace {

constexpr std::int64_t kIntMax = INT32_MAX;

Result<void> read_stop(const Fields& fields, Draft& draft) {
  PHASE_TRY(std::vector<std::string> stop, fields.texts("stop", lucid::kStopsMax));
  for (std::string& text : stop) {
    if (text.size() > kStopBytesMax) {
      return fields.wrong("stop", "strings of at most " + std::to_string(kStopBytesMax) + " bytes");
    }
    if (!text.empty()) {
      draft.ask.stop.push_back(std::move(text));
    }
  }
  return {};
}

}  // namespace

Result<lucid::Ask> finish(Draft draft) {
  const std::string text = json::serialize(draft.prompt);
  if (text.size() > job::kPromptBytesMax) {
    return fail(Code::too_large,
                "the prompt has more than " + std::to_string(job::kPromptBytesMax) + " bytes");
  }
  draft.ask.prompt = to_bytes(text);
  return std::move(draft.ask);
}

Result<void> read_sampling(const Fields& fields, Draft& draft) {
  job::Sampling& sampling = draft.ask.sampling;
  for (const lucid::PpmOption& row : lucid::kPpmOptions) {
    PHASE_TRY(const auto value, fields.ppm(row.name, row.min, row.max));
    if (value) {
      sampling.*row.field = value;
    }
  }
  PHASE_TRY(const auto top_k, fields.integer("top_k", -1, kIntMax));
  if (top_k) {
    sampling.top_k = std::max<std::int64_t>(*top_k, 0);
  }
  PHASE_TRY(const auto last_n, fields.integer("repeat_last_n", -1, kIntMax));
  if (last_n) {
    sampling.repeat_last_n = last_n;
  }
  PHASE_TRY(const auto seed, fields.integer("seed", INT64_MIN, INT64_MAX));
  if (seed && *seed >= 0) {
    sampling.seed = static_cast<std::uint64_t>(*seed);
    draft.ask.seeded = true;
  }
  return read_stop(fields, draft);
}

Result<json::object> tool(const Fields& function) {
  PHASE_TRY(const std::string name, function.text("name"));
  PHASE_TRY(const std::string description, function.text("description"));
  PHASE_TRY(json::object * parameters, function.object("parameters"));
  PHASE_TRY_VOID(function.boolean("strict", false));
  PHASE_TRY(const std::string type, function.text("type"));
  if (!type.empty() && type != "function") {
    return function.wrong("type", "function");
  }
  if (name.empty()) {
    return function.wrong("name", "the function's name");
  }
  json::object out{{"name", name}};
  if (!description.empty()) {
    out.emplace("description", description);
  }
  out.emplace("parameters", parameters == nullptr ? json::object{} : std::move(*parameters));
  return json::object{{"type", "function"}, {"function", std::move(out)}};
}

Result<void> read_tools(const Fields& fields, Draft& draft) {
  PHASE_TRY(json::array * list, fields.array("tools"));
  if (list == nullptr || list->empty()) {
    return {};
  }
  if (list->size() > kToolsMax) {
    return fields.wrong("tools", "at most " + std::to_string(kToolsMax) + " tools");
  }
  json::array out;
  for (json::value& entry : *list) {
    if (!entry.is_object()) {
      return fields.wrong("tools", "a list of objects");
    }
    PHASE_TRY(const Fields one, Fields::open(entry.as_object(), "tool", "tools[]."));
    PHASE_TRY(const std::string type, one.text("type"));
    if (!type.empty() && type != "function") {
      return one.wrong("type", "function");
    }
    PHASE_TRY(json::object * function, one.object("function"));
    if (function == nullptr) {
      return one.wrong("function", "an object");
    }
    PHASE_TRY(const Fields inner, Fields::open(*function, "tool.function", "tools[].function."));
    PHASE_TRY(json::object made, tool(inner));
    out.push_back(std::move(made));
  }
  draft.prompt["tools"] = std::move(out);
  return {};
}

Result<void> read_think(const Fields& fields, std::string_view name, Draft& draft) {
  const json::value* value = fields.find(name);
  if (value == nullptr) {
    return {};
  }
  if (value->is_bool()) {
    draft.prompt["think"] = value->as_bool();
    return {};
  }
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEfforts{
      {{"none", ""},
       {"minimal", "low"},
       {"low", "low"},
       {"medium", "medium"},
       {"high", "high"},
       {"xhigh", "high"},
       {"max", "high"}}};
  for (const auto& [word, effort] : kEfforts) {
    if (value->is_string() && view(value->as_string()) == word) {
      draft.prompt["think"] = effort.empty() ? json::value(false) : json::value(effort);
      return {};
    }
  }
  return fields.wrong(name, R"(true, false, "low", "medium", "high" or "max")");
}

Result<void> read_logprobs(const Fields& fields, Draft& draft) {
  PHASE_TRY(const bool wanted, fields.boolean("logprobs", false));
  PHASE_TRY(const auto top, fields.integer("top_logprobs", 0, kTopLogprobsMax));
  if (!wanted) {
    if (top && *top > 0) {
      return fields.wrong("top_logprobs", "logprobs to be true with it");
    }
    return {};
  }
  draft.logprobs = true;
  draft.prompt["logprobs"] = top.value_or(0);
  return {};
}

Result<void> read_keep_alive(const Fields& fields, lucid::KeepAlive& out) {
  const json::value* value = fields.find("keep_alive");
  if (value == nullptr) {
    return {};
  }
  std::optional<Duration> keep;
  if (value->is_number()) {
    keep = lucid::keep_alive_of(value->to_number<double>());
  } else if (value->is_string()) {
    keep = lucid::keep_alive_of(view(value->as_string()));
  }
  if (!keep) {
    return fields.wrong("keep_alive", R"(seconds, or a duration as "5m")");
  }
  out = keep;
  return {};
}

json::object earlier_call(std::string id, std::string name, json::object arguments) {
  json::object out;
  if (!id.empty()) {
    out.emplace("id", std::move(id));
  }
  out.emplace("function",
              json::object{{"name", std::move(name)}, {"arguments", std::move(arguments)}});
  return out;
}

Draft embed_draft(std::string model, const std::vector<std::string>& inputs) {
  PHASE_CHECK(!inputs.empty() && inputs.size() <= kEmbedInputsMax);
  Draft out;
  out.ask.model = std::move(model);
  out.ask.prompt_kind = 2;
  json::array list;
  for (const std::string& text : inputs) {
    list.emplace_back(text);
  }
  out.prompt["input"] = std::move(list);
  return out;
}

}  // namespace phase::faces
