// routes_internal.h — what the route files of this folder share.
#pragma once

#include "api/faces/streaming.h"
#include "api/ollama/ollama.h"
#include "api/ollama/requests.h"

namespace phase::ollama {

using faces::FaceRef;
using http::Reply;
using http::Request;

template <typename Function>
http::Handler with(const FaceRef& face, Function function) {
  const auto refuse = [](const Error& error) { return error_response(error); };
  return faces::guarded(face, refuse, function);
}

/// 200 with one JSON text.
[[nodiscard]] http::Response json_answer(std::string text, http::Headers headers = {});

void add_answer_routes(http::Router& router, const FaceRef& face);  // generate, chat
void add_embed_routes(http::Router& router, const FaceRef& face);   // embed, embeddings
void add_model_routes(http::Router& router, const FaceRef& face);   // tags, ps, show, copy, delete
void add_transfer_routes(http::Router& router, const FaceRef& face);  // pull, push, create, blobs
void add_receipt_routes(http::Router& router, const FaceRef& face);

}  // namespace phase::ollama
