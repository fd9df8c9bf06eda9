// openai.h — the HTTP API that OpenAI's clients speak, over a node; also /v1/rerank and Anthropic's
// /v1/messages (spec/lucid-api.md).
#pragma once

#include "api/faces/face.h"

namespace phase::openai {

/// Adds the routes below /v1. The router must pass on faces::request_headers().
void add_routes(http::Router& router, faces::FaceRef face);

/// {"error": {"message", "type", "param", "code"}} with the error's status, and Retry-After where
/// coming again helps.
[[nodiscard]] http::Response error_response(const Error& error);
/// The object alone.
[[nodiscard]] std::string error_object(const Error& error);

}  // namespace phase::openai
