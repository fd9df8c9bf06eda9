// requests.h — bodies of the /v1 requests, read into asks. Of a stranger's bytes: every name is one
// of the field table, every value in range. Errors everywhere: Code::malformed, invalid_argument,
// too_large.
#pragma once

#include "api/faces/asking.h"
#include "base/result.h"
#include "lucid/answer.h"

namespace phase::openai {

namespace json = boost::json;

struct ChatRequest {
  faces::Draft draft;
  bool stream = false;
  bool usage = false;  ///< a chunk with `usage` at the end of the stream
};
[[nodiscard]] Result<ChatRequest> read_chat(std::string_view body);

struct CompletionRequest {
  faces::Draft draft;
  bool stream = false;
  bool usage = false;
  std::string echo;  ///< text that goes before the answer
};
[[nodiscard]] Result<CompletionRequest> read_completion(std::string_view body);

struct EmbeddingsRequest {
  faces::Draft draft;
  std::size_t count = 0;
  bool base64 = false;
};
[[nodiscard]] Result<EmbeddingsRequest> read_embeddings(std::string_view body);

struct RerankRequest {
  faces::Draft draft;
  std::vector<std::string> documents;
  std::size_t top_n = 0;
  bool return_documents = false;
};
[[nodiscard]] Result<RerankRequest> read_rerank(std::string_view body);

struct ResponsesRequest {
  faces::Draft draft;
  bool stream = false;
  json::object echoed;  ///< members of the request that the response repeats
};
[[nodiscard]] Result<ResponsesRequest> read_responses(std::string_view body);

struct MessagesRequest {
  faces::Draft draft;
  bool stream = false;
};
/// Anthropic's.
[[nodiscard]] Result<MessagesRequest> read_messages(std::string_view body);

}  // namespace phase::openai
