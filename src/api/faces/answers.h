// answers.h — an answer as the faces tell it: text, thought, calls and counts out of pieces and
// notes (spec/inference.md §3).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/faces/json_text.h"
#include "lucid/answer.h"

namespace phase::faces {

/// Text and notes of one answer; longer ones end with Code::too_large.
inline constexpr std::size_t kAnswerBytesMax = 64_MiB;
/// One note; a call's arguments stand in one.
inline constexpr std::size_t kNoteBytesMax = 4_MiB;
inline constexpr std::size_t kCallsMax = 128;

struct ToolCall {
  std::uint64_t index = 0;
  std::string id, name;
  std::string arguments;  ///< JSON text of an object
};
struct Chance {
  std::string token;
  std::vector<std::uint8_t> bytes;
  double logprob = 0;
};
struct TokenChances {
  Chance chosen;
  std::vector<Chance> top;
};

/// What came since the part before.
struct Part {
  std::string content, thinking;
  std::vector<ToolCall> calls;
  std::vector<TokenChances> logprobs;
  bool done = false;     ///< the last one
  bool restart = false;  ///< all before is void
};

/// How it went; complete with the part that is `done`.
struct Summary {
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  bool length = false;     ///< ended by a limit, not by the model or a stop string
  std::string stopped_by;  ///< the request's stop string that ended it; empty: none did
  Duration total{}, load{}, prompt{}, eval{};
  lucid::Verdict verdict = lucid::Verdict::pending;
  std::string failed_check;
  std::vector<lucid::Earlier> earlier;  ///< attempts that are not the answer
};

/// Reads one answer. Destroying it cancels the work.
class AnswerReader {
 public:
  enum class Mode : std::uint8_t {
    whole,   ///< nothing is told before the end: a restart is passed on as `Part::restart`
    stream,  ///< parts are told at once: after a restart the same words are left out
  };
  AnswerReader(std::unique_ptr<lucid::Answer> answer, Mode mode, bool logprobs);

  /// Parts that say something, then the one that is `done`. Errors: those of lucid::Answer;
  /// Code::invalid_argument when the engine refused the request, Code::internal when it failed,
  /// Code::protocol for notes that are none, Code::connection_closed when another provider took
  /// over and says something else.
  [[nodiscard]] Task<Result<Part>> next();

  [[nodiscard]] const lucid::Route& route() const noexcept { return route_; }
  [[nodiscard]] const Summary& summary() const noexcept { return summary_; }

 private:
  /// Nothing while there is nothing to tell.
  Result<std::optional<Part>> take(lucid::AnswerEvent event);
  Result<void> take_piece(const job::OutputPiece& piece);
  Result<void> take_text(std::string_view text);
  Result<void> take_notes(ByteView bytes);
  Result<void> take_note(std::string_view line);
  Result<void> take_call(const json::value& value);
  Result<void> take_logprobs(const json::value& value);
  void take_progress(const lucid::Progress& progress);
  Result<Part> finish(const lucid::Finished& finished);
  void restart();
  std::optional<Part> ready();

  std::unique_ptr<lucid::Answer> answer_;
  const Mode mode_;
  const bool logprobs_;
  lucid::Route route_;
  Summary summary_;
  TextJoin join_;
  std::string line_;  // of a note, until its end
  bool parsed_ = false;
  std::optional<Error> spoiled_;  ///< what came is no answer; told unless a restart cures it
  std::size_t bytes_ = 0;
  Part pending_;

  /// What was told, to leave it out after a restart, and how far the new telling is in it.
  struct Told {
    std::string content, thinking;
    std::size_t calls = 0, logprobs = 0;
  };
  Result<void> tell(std::string& told, std::size_t& at, std::string& to, std::string_view text);
  Told told_;
  std::size_t content_at_ = 0, thinking_at_ = 0, calls_at_ = 0, logprobs_at_ = 0;
};

/// The whole answer as one part.
[[nodiscard]] Task<Result<Part>> collect(AnswerReader& reader);

/// What a run that was refused or failed means to the client: by the completion's reason, with what
/// the engine said about it.
[[nodiscard]] Error completion_error(const lucid::Finished& finished);

}  // namespace phase::faces
