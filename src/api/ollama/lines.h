// lines.h — the objects that /api/generate and /api/chat answer with: one a line, or one in all.
#pragma once

#include "api/faces/face.h"

namespace phase::ollama {

enum class Kind : std::uint8_t { generate, chat };

/// Writes the lines of one answer. The model is named as the client wrote it.
class Lines {
 public:
  Lines(Kind kind, std::string_view model);

  /// Appends what came, with its line end; nothing for a part that says nothing.
  void part(std::string& out, UtcTime now, const faces::Part& part) const;
  /// Appends the last line: what came with it, counts, timings, `x_lucid`. `context`: JSON text of
  /// a list, or empty.
  void last(std::string& out, UtcTime now, const faces::Part& part, const faces::Summary& summary,
            const lucid::Route& route, std::string_view context) const;
  /// The answer to a request that only loads or unloads.
  [[nodiscard]] std::string loaded(UtcTime now, std::string_view reason) const;

 private:
  void begin(std::string& out, UtcTime now) const;
  void body(std::string& out, const faces::Part& part) const;
  Kind kind_;
  std::string model_;  // quoted
};

/// {"error": "…"} with its line end.
[[nodiscard]] std::string error_line(const Error& error);

}  // namespace phase::ollama
