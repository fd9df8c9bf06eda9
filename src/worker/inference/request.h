// request.h — a prompt of kind 1 (spec/inference.md §2), read and checked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chat.h"
#include "worker/inference/message.h"

namespace phase::worker::inference {

inline constexpr std::size_t kMessagesMax = 65'536;
inline constexpr std::size_t kToolsMax = 1024, kToolCallsMax = 1024;
inline constexpr std::int64_t kLogprobsMax = 20;

struct ChatRequest {
  std::vector<common_chat_msg> messages;  ///< empty: `prompt`
  std::string prompt, system, template_text, grammar;
  bool raw = false;
  std::optional<std::string> suffix;
  std::vector<common_chat_tool> tools;
  common_chat_tool_choice tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO;
  std::string json_schema;  ///< of `format`; empty: none
  bool think = true;
  std::string effort;  ///< "low", "medium", "high", or empty
  std::optional<std::uint32_t> logprobs;
  std::int64_t keep = 0;  ///< -1: the whole prompt
  bool truncate = true, shift = true;
};

/// Errors: Code::malformed.
[[nodiscard]] Result<ChatRequest> read_request(ByteView prompt);

}  // namespace phase::worker::inference
