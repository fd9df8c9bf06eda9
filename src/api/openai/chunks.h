// chunks.h — chat completions and completions, whole and in chunks.
#pragma once

#include "api/faces/face.h"

namespace phase::openai {

enum class Kind : std::uint8_t { chat, completion };

/// Writes one answer. Chunks are server-sent events: "data: {…}" and an empty line.
class Chunks {
 public:
  /// `created`: seconds since 1970.
  Chunks(Kind kind, std::string_view id, std::string_view model, std::uint64_t created);

  /// Appends what came; nothing for a part that says nothing.
  void part(std::string& out, const faces::Part& part);
  /// Appends the chunk that says why it ended, one with `usage` when wished, and the end mark.
  void last(std::string& out, const faces::Summary& summary, const lucid::Route& route, bool usage);
  [[nodiscard]] std::string whole(const faces::Part& all, const faces::Summary& summary,
                                  const lucid::Route& route);

 private:
  void begin(std::string& out, bool chunk) const;
  void choice(std::string& out, const faces::Part& part, std::string_view reason, bool chunk);
  [[nodiscard]] std::string reason(const faces::Summary& summary) const;

  Kind kind_;
  std::string id_, model_;  // quoted
  std::uint64_t created_;
  bool called_ = false;         // tools
  std::size_t text_bytes_ = 0;  // told so far, for offsets of log probabilities
};

/// An error as the last event of a stream, with the end mark.
[[nodiscard]] std::string error_chunk(const Error& error);

/// Appends the list of a chat completion's log probabilities.
void append_logprobs(std::string& out, const std::vector<faces::TokenChances>& all);

}  // namespace phase::openai
