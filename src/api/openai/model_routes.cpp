// /v1/models, and /v1/audio/transcriptions, which no model here does.
#include <algorithm>

#include <boost/json.hpp>

#include "api/faces/fields.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

std::string owner(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos ? "library" : std::string{name.substr(0, slash)};
}

json::object model_object(std::string_view id, const lucid::Model& model) {
  return {{"id", id},
          {"object", "model"},
          {"created", model.modified_unix_ns / kNsPerSecond},
          {"owned_by", owner(model.name)}};
}

Task<Reply> get_models(FaceRef face, Request) {
  const Result<std::vector<lucid::Model>> models = co_await face->lucid.models().list();
  if (!models) {
    co_return error_response(models.error());
  }
  json::array data;
  for (const lucid::Model& model : *models) {
    data.push_back(model_object(model.name, model));
  }
  co_return json_answer(
      json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}}));
}

Task<Reply> get_model(FaceRef face, Request request) {
  const Result<std::string> name = http::decode_path(request.parameters[0]);
  if (!name) {
    co_return error_response(name.error());
  }
  const Result<lucid::ModelView> view = co_await face->lucid.models().show(*name);
  if (!view) {
    co_return error_response(named(view.error(), *name));
  }
  co_return json_answer(json::serialize(model_object(*name, view->model)));
}

/// The value of the part named `model` in a multipart body; empty when it is not found.
std::string model_in_form(std::string_view body) {
  constexpr std::string_view kName = "name=\"model\"";
  const std::size_t at = body.find(kName);
  if (at == std::string_view::npos) {
    return {};
  }
  const std::size_t begin = body.find("\r\n\r\n", at);
  if (begin == std::string_view::npos) {
    return {};
  }
  const std::string_view value = body.substr(begin + 4);
  return std::string{
      value.substr(0, std::min({value.find("\r\n"), value.size(), std::size_t{128}}))};
}

/// The table says what is wrong with it.
Task<Reply> post_transcription(FaceRef, Request request) {
  const std::string model = model_in_form(as_text(request.body));
  const Result<void> refused =
      faces::check_fields(json::object{{"file", "audio"}}, "audio", "", model);
  co_return error_response(refused.error());
}

}  // namespace

void add_model_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  router.add({get, "/v1/models", 0, with(face, get_models)});
  router.add({get, "/v1/models/{model...}", 0, with(face, get_model)});
  router.add({post, "/v1/audio/transcriptions", faces::kPromptRequestBytesMax,
              with(face, post_transcription)});
}

}  // namespace phase::openai
