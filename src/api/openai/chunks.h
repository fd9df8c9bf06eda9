// chunks.h — chat completions and completions, whole and in chunks.
#pragma once

#include "api/faces/streaming.h"

namespace phase::openai {

enum class Kind : std::uint8_t { chat, completion };

/// Writes one answer. Chunks are server-sent events: "data: {…}" and an empty line.
class Chunks final : public faces::StreamWriter {
 public:
  /// `created`: seconds since 1970. `usage`: a stream ends with its counts.
  Chunks(Kind kind, std::string_view id, std::string_view model, std::uint64_t created, bool usage);

  /// Appends what came; nothing for a part that says nothing.
  void part(std::string& out, const faces::Part& part) override;
  /// Appends the chunk that says why it ended, one with `usage` when wished, and the end mark.
  void last(std::string& out, const faces::Summary& summary, const lucid::Route& route) override;
  /// Appends the error as the last event, with the end mark.
  void failed(std::string& out, const Error& error) override;
  [[nodiscard]] std::string whole(const faces::Part& all, const faces::Summary& summary,
                                  const lucid::Route& route);

 private:
  void open_object(std::string& out, bool chunk) const;
  void choice(std::string& out, const faces::Part& part, std::string_view reason, bool chunk);
  [[nodiscard]] std::string reason(const faces::Summary& summary) const;

  Kind kind_;
  std::string id_, model_;  // quoted
  std::uint64_t created_;
  bool usage_;
  bool called_ = false;         // tools
  std::size_t text_bytes_ = 0;  // told so far, for offsets of log probabilities
};

/// Appends the list of a chat completion's log probabilities.
void append_logprobs(std::string& out, const std::vector<faces::TokenChances>& all);

}  // namespace phase::openai
