// answer_reader.h — takes a model's markup apart: content, thought, tool calls, as notes.
#pragma once

#include <string>
#include <string_view>

#include "chat.h"

namespace phase::worker::inference {

class AnswerReader {
 public:
  explicit AnswerReader(common_chat_parser_params params);

  /// Takes whole characters; returns the notes they make possible.
  [[nodiscard]] std::string push(std::string_view text);
  /// The rest of the notes. `complete`: the model ended by itself.
  [[nodiscard]] std::string finish(bool complete);

 private:
  [[nodiscard]] std::string notes_of(const common_chat_msg& message, std::size_t calls);

  common_chat_parser_params params_;
  std::string text_;
  std::string content_said_, thought_said_;
  std::size_t calls_said_ = 0;
  std::size_t read_at_ = 0;  ///< length of text_ when it was last parsed
};

}  // namespace phase::worker::inference
