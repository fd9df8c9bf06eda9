// face.h — what every route of lucidd's faces is given, and what their answers share.
#pragma once

#include <memory>
#include <string>

#include "api/faces/answers.h"
#include "api/http/access.h"
#include "api/http/message.h"
#include "base/clock.h"
#include "base/random.h"
#include "lucid/answer.h"

namespace phase::faces {

/// The version of Ollama's API that is spoken here; clients compare it.
inline constexpr std::string_view kOllamaVersion = "0.24.0";
/// Body of a request with a prompt.
inline constexpr std::uint64_t kPromptRequestBytesMax = 64_MiB;
/// Body of any other request.
inline constexpr std::uint64_t kSmallRequestBytesMax = 1_MiB;

/// Shared by the routes of one server. `closed` is set before the node goes: no handler touches it
/// after that.
struct Face {
  lucid::Lucid& lucid;
  const Clock& clock;
  Random& random;
  bool closed = false;
};
using FaceRef = std::shared_ptr<Face>;

/// Request headers the faces look at.
[[nodiscard]] std::vector<std::string> request_headers();

/// Who may talk to the faces: http::local_programs, and scripts of allowed pages see X-Lucid
/// headers.
[[nodiscard]] http::AccessPolicy access_policy(std::vector<std::string> hosts,
                                               std::vector<std::string> origins);

/// Local-only, hedging and conversation of a request's headers.
void read_headers(const http::Request& request, lucid::Ask& ask);

/// X-Lucid-Routed-Via, X-Lucid-Served-By, X-Lucid-Job, X-Lucid-Receipt-Verified. `summary` null: a
/// stream, whose verdict is pending.
[[nodiscard]] http::Headers answer_headers(const lucid::Route& route, const Summary* summary);
/// {"receipt", "verified", "routed_via", "served_by"}, "failed_check" when refused, and "earlier"
/// when others were asked too.
[[nodiscard]] std::string x_lucid(const lucid::Route& route, const Summary& summary);

/// Status of an error: those of spec/errors.md, but 500 for what only the node can answer for.
[[nodiscard]] int status_of(const Error& error);
/// Retry-After for what may succeed later (seconds of the hint, else 1); empty otherwise.
[[nodiscard]] http::Headers retry_headers(const Error& error);

/// "2026-08-01T12:00:00.000000000Z"
[[nodiscard]] std::string timestamp(UtcTime time);
[[nodiscard]] std::string timestamp_ns(std::uint64_t unix_ns);

/// First part of an answer, and the reader for the rest: errors until here have their own status.
struct Begun {
  std::unique_ptr<AnswerReader> reader;
  Part first;
};
[[nodiscard]] Task<Result<Begun>> begin(FaceRef face, lucid::Ask ask, bool logprobs);
/// The whole answer.
struct Collected {
  lucid::Route route;
  Summary summary;
  Part all;
};
[[nodiscard]] Task<Result<Collected>> ask_whole(FaceRef face, lucid::Ask ask, bool logprobs);

/// An answer whose stream 1 is a JSON document (embeddings, ranks).
struct Vectors {
  std::vector<std::vector<float>> embeddings;
  std::vector<double> scores;
  std::uint64_t prompt_tokens = 0;
};
/// A JSON list, each number in the fewest digits that mean the same float.
void append_numbers(std::string& out, const std::vector<float>& numbers);
/// Errors: Code::protocol when the document has not the form, or not `count` entries.
[[nodiscard]] Result<Vectors> read_embeddings(std::string_view text, std::size_t count);
[[nodiscard]] Result<Vectors> read_scores(std::string_view text, std::size_t count);

}  // namespace phase::faces
