#include "worker/inference/answer_reader.h"

#include <optional>

#include "base/hash.h"
#include "worker/inference/notes.h"
#include "worker/inference/text_gate.h"

namespace phase::worker::inference {
namespace {

// Each parse reads the whole text, so a long text is not parsed for every token: the work stays
// proportional to its length.
constexpr std::size_t kGrowthBetweenParses = 64;
constexpr std::size_t kIdDigits = 8;

std::optional<common_chat_msg> parse(const std::string& text, bool partial,
                                     const common_chat_parser_params& params) {
  try {
    return common_chat_parse(text, partial, params);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// What `now` has beyond `said`, in whole characters; nothing when it is no continuation.
std::string growth(std::string& said, const std::string& now) {
  if (now.size() <= said.size() || !now.starts_with(said)) return {};
  const std::size_t whole = now.size() - unfinished_character(now);
  if (whole <= said.size()) return {};
  std::string more = now.substr(said.size(), whole - said.size());
  said += more;
  return more;
}

// Blanks around a thought belong to its markup.
std::string trimmed(const std::string& text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

// The same call has the same id in every run of a job: notes are part of what a receipt signs.
std::string id_of(const common_chat_tool_call& call, std::size_t index) {
  if (!call.id.empty()) return call.id;
  const Sha256 hash =
      sha256(as_bytes(std::to_string(index) + ' ' + call.name + ' ' + call.arguments));
  return "call_" + to_hex(hash.bytes()).substr(0, kIdDigits);
}

}  // namespace

AnswerReader::AnswerReader(common_chat_parser_params params) : params_(std::move(params)) {}

std::string AnswerReader::notes_of(const common_chat_msg& message, std::size_t calls) {
  std::string notes;
  if (const std::string more = growth(thought_said_, trimmed(message.reasoning_content));
      !more.empty()) {
    notes += text_note("thinking", more);
  }
  if (const std::string more = growth(content_said_, message.content); !more.empty()) {
    notes += text_note("content", more);
  }
  for (; calls_said_ < calls; calls_said_++) {
    const common_chat_tool_call& call = message.tool_calls[calls_said_];
    notes += tool_call_note(calls_said_, id_of(call, calls_said_), call.name, call.arguments);
  }
  return notes;
}

std::string AnswerReader::push(std::string_view text) {
  text_ += text;
  if (text_.size() - read_at_ < read_at_ / kGrowthBetweenParses) return {};
  read_at_ = text_.size();
  const auto message = parse(text_, true, params_);
  if (!message) return {};
  // The last call may still grow.
  const std::size_t calls = message->tool_calls.size();
  return notes_of(*message, calls == 0 ? 0 : calls - 1);
}

std::string AnswerReader::finish(bool complete) {
  std::optional<common_chat_msg> message;
  if (complete) message = parse(text_, false, params_);
  if (!message) message = parse(text_, true, params_);
  if (!message) {
    // Not what the template promises: then the text itself is the answer.
    if (!content_said_.empty() || !thought_said_.empty() || calls_said_ > 0 || text_.empty()) {
      return {};
    }
    return text_note("content", text_);
  }
  return notes_of(*message, message->tool_calls.size());
}

}  // namespace phase::worker::inference
