// /api/tags, /api/ps, /api/show, /api/copy, /api/delete.
#include "api/ollama/model_json.h"
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

Error named(Error error, const std::string& model, char quote) {
  if (error.code == Code::not_found) {
    error.message = std::string{"model "} + quote + model + quote + " not found";
  }
  return error;
}

Task<Reply> get_tags(FaceRef face, Request) {
  const Result<std::vector<lucid::Model>> models = co_await face->lucid.models().list();
  if (!models) {
    co_return error_response(models.error());
  }
  co_return json_answer(tags_json(*models));
}

Task<Reply> get_ps(FaceRef face, Request) {
  co_return json_answer(ps_json(face->lucid.models().running()));
}

Task<Reply> post_show(FaceRef face, Request request) {
  const Result<ShowRequest> read = read_show(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const Result<lucid::ModelView> view = co_await face->lucid.models().show(read->model);
  if (!view) {
    co_return error_response(named(view.error(), read->model, '\''));
  }
  co_return json_answer(show_json(*view, *read));
}

http::Response empty_answer() {
  return {200, "", ""};
}

Task<Reply> post_copy(FaceRef face, Request request) {
  const auto read = read_copy(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const Result<void> done = co_await face->lucid.models().copy(read->first, read->second);
  if (!done) {
    co_return error_response(named(done.error(), read->first, '"'));
  }
  co_return empty_answer();
}

Task<Reply> delete_model(FaceRef face, Request request) {
  const Result<std::string> name = read_delete(as_text(request.body));
  if (!name) {
    co_return error_response(name.error());
  }
  const Result<void> done = co_await face->lucid.models().remove(*name);
  if (!done) {
    co_return error_response(named(done.error(), *name, '\''));
  }
  co_return empty_answer();
}

}  // namespace

void add_model_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  router.add({get, "/api/tags", 0, with(face, get_tags)});
  router.add({get, "/api/ps", 0, with(face, get_ps)});
  router.add({post, "/api/show", faces::kSmallRequestBytesMax, with(face, post_show)});
  router.add({post, "/api/copy", faces::kSmallRequestBytesMax, with(face, post_copy)});
  router.add({remove, "/api/delete", faces::kSmallRequestBytesMax, with(face, delete_model)});
}

}  // namespace phase::ollama
