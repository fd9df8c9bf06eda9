// requests.h — bodies of Ollama's requests, read into asks. Of a stranger's bytes: every name is
// one of the field table, every value in range. Errors everywhere: Code::malformed,
// invalid_argument, too_large.
#pragma once

#include "api/faces/asking.h"
#include "base/result.h"
#include "lucid/answer.h"

namespace phase::ollama {

namespace json = boost::json;

struct GenerateRequest {
  faces::Draft draft;
  bool stream = true;
  bool load = false;     ///< an empty prompt: nothing is asked
  bool context = false;  ///< the answer gives `context`
  json::array turns;     ///< messages before the answer, for `context`
};
/// Errors: also Code::not_found without a model, as Ollama has it.
[[nodiscard]] Result<GenerateRequest> read_generate(std::string_view body);

struct ChatRequest {
  faces::Draft draft;
  bool stream = true;
  bool load = false;  ///< no messages: nothing is asked
};
[[nodiscard]] Result<ChatRequest> read_chat(std::string_view body);

struct EmbedRequest {
  std::string model;
  std::vector<std::string> inputs;  ///< empty: nothing to ask
  faces::Draft draft;               ///< when there are inputs
};
[[nodiscard]] Result<EmbedRequest> read_embed(std::string_view body);
[[nodiscard]] Result<EmbedRequest> read_embeddings(std::string_view body);

struct ShowRequest {
  std::string model;
  bool verbose = false;
  std::string system, template_text;
  json::object options;
};
[[nodiscard]] Result<ShowRequest> read_show(std::string_view body);

struct CreateRequest {
  std::string model;
  lucid::ModelRecipe recipe;
  std::vector<std::pair<std::string, std::string>> files;
  bool stream = true;
};
[[nodiscard]] Result<CreateRequest> read_create(std::string_view body);

struct TransferRequest {
  std::string model;
  bool stream = true;
};
/// `section`: "ollama.pull" or "ollama.push".
[[nodiscard]] Result<TransferRequest> read_transfer(std::string_view body,
                                                    std::string_view section);
[[nodiscard]] Result<std::pair<std::string, std::string>> read_copy(std::string_view body);
[[nodiscard]] Result<std::string> read_delete(std::string_view body);

/// `context` of an answer: turns of a conversation as whole numbers a client keeps and gives back:
/// the length of their JSON text, then six of its bytes in each.
[[nodiscard]] std::string context_text(const json::array& turns);
/// Errors: Code::invalid_argument for numbers that are not of `context_text`.
[[nodiscard]] Result<json::array> read_context(const json::array& numbers);

/// "sha256:<64 hex digits>" in that spelling; "sha256-…" is taken too. Errors:
/// Code::invalid_argument.
[[nodiscard]] Result<std::string> read_digest(std::string_view text);

}  // namespace phase::ollama
