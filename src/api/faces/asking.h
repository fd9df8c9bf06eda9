// asking.h — requests of either face, made into an ask (spec/inference.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/faces/fields.h"
#include "lucid/answer.h"

namespace phase::faces {

inline constexpr std::size_t kStopBytesMax = 4096;  ///< of one string
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kMessagesMax = 100'000;
inline constexpr std::size_t kEmbedInputsMax = 2'048;
inline constexpr std::size_t kRankDocumentsMax = 1'024;
inline constexpr std::int64_t kTopLogprobsMax = 20;
inline constexpr std::int64_t kTokensMax = 1LL << 40;

/// An ask on its way: members of the prompt are kept apart until all are there.
struct Draft {
  lucid::Ask ask;
  json::object prompt;
  bool logprobs = false;
};
/// Errors: Code::too_large for a prompt above job::kPromptBytesMax.
[[nodiscard]] Result<lucid::Ask> finish(Draft draft);

/// temperature, top_p, min_p, typical_p, top_k, repeat_last_n, the penalties, seed and stop, as far
/// as they are there.
[[nodiscard]] Result<void> read_sampling(const Fields& fields, Draft& draft);
/// `tools` of Ollama and of chat completions: [{type: "function", function: {…}}].
[[nodiscard]] Result<void> read_tools(const Fields& fields, Draft& draft);
/// One function, under the name, description and parameters that a client gave.
[[nodiscard]] Result<json::object> tool(const Fields& function);
/// true, false, or how hard; `none` is false, `minimal` is `low`, `max` and `xhigh` are `high`.
[[nodiscard]] Result<void> read_think(const Fields& fields, std::string_view name, Draft& draft);
/// `logprobs` (true or false) and `top_logprobs`.
[[nodiscard]] Result<void> read_logprobs(const Fields& fields, Draft& draft);
/// Sets `keep_alive`: seconds, or text as "5m", "1h30m", "-1". Errors: Code::invalid_argument.
[[nodiscard]] Result<void> read_keep_alive(const Fields& fields, lucid::KeepAlive& out);

/// A call of an earlier turn, for the prompt.
[[nodiscard]] json::object earlier_call(std::string id, std::string name, json::object arguments);

/// An ask for embeddings: `inputs` not empty, at most kEmbedInputsMax (checked).
[[nodiscard]] Draft embed_draft(std::string model, const std::vector<std::string>& inputs);

}  // namespace phase::faces
