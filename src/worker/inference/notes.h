// notes.h — the lines of stream 2 (spec/inference.md §3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/inference/message.h"

namespace phase::worker::inference {

/// One token of a logprobs note.
struct TokenProbability {
  std::string bytes;
  double logprob = 0;
  std::vector<TokenProbability> top;
};

/// Each returns one line, with its end.
[[nodiscard]] std::string parsed_note();
[[nodiscard]] std::string text_note(std::string_view member, std::string_view text);
[[nodiscard]] std::string logprobs_note(const std::vector<TokenProbability>& tokens);
/// `stop`: the stop string of the request that ended the text; empty: none did.
[[nodiscard]] std::string done_note(std::uint64_t prompt_tokens, std::uint64_t completion_tokens,
                                    bool at_limit, std::string_view stop = {});
/// `arguments` is JSON text. Empty when it is not an object.
[[nodiscard]] std::string tool_call_note(std::size_t index, std::string_view id,
                                         std::string_view name, std::string_view arguments);

}  // namespace phase::worker::inference
