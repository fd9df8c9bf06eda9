#include "api/openai/openai.h"

#include <algorithm>

#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

/// The field that "options.stop: expected …" and "unknown field x" are about; empty for none.
std::string field_of(const Error& error) {
  constexpr std::string_view kUnknown = "unknown field ";
  if (error.message.starts_with(kUnknown)) {
    return error.message.substr(kUnknown.size());
  }
  const std::string head =
      error.message.substr(0, std::min(error.message.find(':'), std::size_t{64}));
  const bool is_name = error.message.find(':') < 64 && std::ranges::all_of(
                                                           head,
                                                           [](char c) {
                                                             return (c >= 'a' && c <= 'z') ||
                                                                    c == '_' || c == '.' ||
                                                                    c == '[' || c == ']';
                                                           });
  return is_name ? head : std::string{};
}

std::string_view type_of(const Error& error) {
  switch (faces::status_of(error)) {
    case 400:
    case 413:
      return "invalid_request_error";
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    default:
      return "api_error";
  }
}

/// Where no handler was found: an object too, but with the status of a missing path or method.
http::Response refusal(const Error& error, std::string_view) {
  http::Response out = error_response(error);
  out.status = error.code == Code::unsupported ? 405 : out.status;
  return out;
}

}  // namespace

std::string error_object(const Error& error) {
  std::string out = R"({"message":)";
  faces::append_quoted(out, faces::valid_utf8(error.message));
  out.append(R"(,"type":")").append(type_of(error)).append(R"(","param":)");
  const std::string field = error.code == Code::invalid_argument ? field_of(error) : "";
  out += field.empty() ? "null" : faces::quoted(field);
  const bool unknown_model = error.code == Code::not_found && error.message.starts_with("model ");
  out += R"(,"code":)";
  return out += unknown_model ? R"("model_not_found"})" : "null}";
}

http::Response error_response(const Error& error) {
  return {faces::status_of(error), "application/json", R"({"error":)" + error_object(error) + "}",
          faces::retry_headers(error)};
}

http::Response json_answer(std::string text, http::Headers headers) {
  return {200, "application/json", std::move(text), std::move(headers)};
}

Error named(Error error, const std::string& model) {
  if (error.code == Code::not_found) {
    error.message = "model '" + model + "' not found";
  }
  return error;
}

std::uint64_t seconds(const FaceRef& face) {
  return face->clock.now_utc().unix_ms / 1'000;
}

std::string answer_id(const FaceRef& face, std::string_view prefix, const lucid::Route& route) {
  return std::string{prefix} + (route.job_id.empty() ? face->random.uuid() : route.job_id);
}

void append_usage(std::string& out, const faces::Summary& summary) {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  out += R"({"prompt_tokens":)" + number(summary.prompt_tokens) + R"(,"completion_tokens":)" +
         number(summary.completion_tokens) + R"(,"total_tokens":)" +
         number(summary.prompt_tokens + summary.completion_tokens) +
         R"(,"prompt_tokens_details":{"cached_tokens":)" + number(summary.cached_tokens) + "}}";
}

void add_routes(http::Router& router, FaceRef face) {
  router.add_error_face("/v1", refusal);
  add_chat_routes(router, face);
  add_vector_routes(router, face);
  add_model_routes(router, face);
  add_responses_routes(router, face);
  add_message_routes(router, face);
}

}  // namespace phase::openai
