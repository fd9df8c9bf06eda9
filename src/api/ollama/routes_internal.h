// routes_internal.h — what the route files of this folder share.
#pragma once

#include "api/http/message.h"
#include "api/ollama/ollama.h"
#include "api/ollama/requests.h"

namespace phase::ollama {

using faces::FaceRef;
using http::Reply;
using http::Request;

/// A handler that fails politely once the server is closed.
template <typename Function>
http::Handler with(const FaceRef& face, Function function) {
  return [face, function](Request request) -> Task<Reply> {
    if (face->closed) {
      return [](Error error) -> Task<Reply> {
        co_return error_response(error);
      }(Error{Code::unavailable, "the server is stopping", {}});
    }
    return function(face, std::move(request));
  };
}

/// 200 with one JSON text.
[[nodiscard]] http::Response json_answer(std::string text, http::Headers headers = {});

void add_answer_routes(http::Router& router, const FaceRef& face);  // generate, chat
void add_embed_routes(http::Router& router, const FaceRef& face);   // embed, embeddings
void add_model_routes(http::Router& router, const FaceRef& face);   // tags, ps, show, copy, delete
void add_transfer_routes(http::Router& router, const FaceRef& face);  // pull, push, create, blobs
void add_receipt_routes(http::Router& router, const FaceRef& face);

}  // namespace phase::ollama
