// routes_internal.h — what the route files of this folder share.
#pragma once

#include "api/faces/streaming.h"
#include "api/openai/openai.h"

namespace phase::openai {

namespace json = boost::json;
using faces::FaceRef;
using http::Reply;
using http::Request;

inline constexpr std::string_view kEventStream = "text/event-stream";

template <typename Function>
http::Handler with(const FaceRef& face, Function function) {
  const auto refuse = [](const Error& error) { return error_response(error); };
  return faces::guarded(face, refuse, function);
}

/// 200 with one JSON text.
[[nodiscard]] http::Response json_answer(std::string text, http::Headers headers = {});
/// Code::not_found in the words of this API.
[[nodiscard]] Error named(Error error, const std::string& model);
/// Seconds since 1970.
[[nodiscard]] std::uint64_t seconds(const FaceRef& face);
/// The job's handle behind a prefix, "chatcmpl-…", so that a client's id leads to the receipt; a
/// random one when there is none.
[[nodiscard]] std::string answer_id(const FaceRef& face, std::string_view prefix,
                                    const lucid::Route& route);

/// Appends a chat completion's or completion's `usage` object.
void append_usage(std::string& out, const faces::Summary& summary);

void add_chat_routes(http::Router& router, const FaceRef& face);    // completions too
void add_vector_routes(http::Router& router, const FaceRef& face);  // embeddings, rerank
void add_model_routes(http::Router& router, const FaceRef& face);   // models, audio
void add_responses_routes(http::Router& router, const FaceRef& face);
void add_message_routes(http::Router& router, const FaceRef& face);

}  // namespace phase::openai
