// ollama.h — Ollama's HTTP API over a node (spec/lucid-api.md).
#pragma once

#include "api/faces/face.h"

namespace phase::ollama {

/// Adds the routes below / and /api. The router must pass on faces::request_headers().
void add_routes(http::Router& router, faces::FaceRef face);

/// {"error": "…"} with the error's status, and Retry-After where coming again helps.
[[nodiscard]] http::Response error_response(const Error& error);

}  // namespace phase::ollama
