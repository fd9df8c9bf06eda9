#include "api/ollama/ollama.h"

#include "api/ollama/lines.h"
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

Task<Reply> get_root(FaceRef, Request) {
  co_return http::Response{200, "text/plain; charset=utf-8", "Ollama is running"};
}

Task<Reply> get_version(FaceRef, Request) {
  co_return json_answer(R"({"version":")" + std::string{faces::kOllamaVersion} + R"("})");
}

Task<Reply> get_status(FaceRef, Request) {
  co_return json_answer(R"({"cloud":{"disabled":true,"source":"none"}})");
}

Task<Reply> no_account(FaceRef, Request) {
  co_return error_response({Code::unsupported,
                            "there is no cloud account here: this server is not a client of one",
                            {}});
}

/// As Go's router says it where no handler was found; else as an error of the API.
http::Response refusal(const Error& error, std::string_view) {
  if (error.code == Code::not_found) {
    return {404, "text/plain", "404 page not found"};
  }
  if (error.code == Code::unsupported) {
    return {405, "text/plain", "405 method not allowed"};
  }
  return error_response(error);
}

}  // namespace

http::Response json_answer(std::string text, http::Headers headers) {
  return {200, "application/json; charset=utf-8", std::move(text), std::move(headers)};
}

http::Response error_response(const Error& error) {
  std::string text = error_line(error);
  text.pop_back();
  return {faces::status_of(error), "application/json; charset=utf-8", std::move(text),
          faces::retry_headers(error)};
}

void add_routes(http::Router& router, FaceRef face) {
  using enum http::Method;
  router.add_error_face("", refusal);
  router.add({get, "/", 0, with(face, get_root)});
  router.add({get, "/api/version", 0, with(face, get_version)});
  router.add({get, "/api/status", 0, with(face, get_status)});
  router.add({post, "/api/me", faces::kSmallRequestBytesMax, with(face, no_account)});
  router.add({post, "/api/signout", faces::kSmallRequestBytesMax, with(face, no_account)});
  add_answer_routes(router, face);
  add_embed_routes(router, face);
  add_model_routes(router, face);
  add_transfer_routes(router, face);
  add_receipt_routes(router, face);
}

}  // namespace phase::ollama
