// upstream_request.h — an inference job in the words of llama-server's HTTP API.
//
// What it cannot say is refused by name, not left out: `template` (the server applies its own).
// `truncate` and `shift` are the server's to set and are left to it.
// Source: the README of llama.cpp's server.
#pragma once

#include <string>

#include "base/result.h"
#include "worker/inference/inference_worker.h"

namespace phase::lucid {

struct UpstreamRequest {
  /// What comes back: text as a stream of events, or one document.
  enum class Shape : std::uint8_t { text, embeddings, ranks };
  Shape shape = Shape::text;
  std::string route, body;
  std::size_t dimensions = 0;  ///< values wanted of each embedding; 0: all
};

/// Errors: Code::malformed for a prompt that spec/inference.md does not allow, Code::unsupported
/// for what a llama-server is not asked.
[[nodiscard]] Result<UpstreamRequest> upstream_request(const worker::InferenceRequest& request);

}  // namespace phase::lucid
