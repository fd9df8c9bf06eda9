// POST /v1/responses.
#include "api/openai/requests.h"
#include "api/openai/response_events.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

std::string bare_id(const FaceRef& face, const lucid::Route& route) {
  return answer_id(face, "", route);
}

Task<Reply> answer_stream(FaceRef face, json::object echoed, lucid::Ask ask) {
  const std::string model = ask.model;
  Result<faces::Begun> begun = co_await faces::begin(face, std::move(ask), false);
  if (!begun) {
    co_return error_response(named(begun.error(), model));
  }
  auto events = std::make_shared<ResponseEvents>(bare_id(face, begun->reader->route()), model,
                                                 seconds(face), std::move(echoed));
  co_return faces::stream_answer(kEventStream, std::move(*begun), std::move(events));
}

Task<Reply> answer_whole(FaceRef face, json::object echoed, lucid::Ask ask) {
  const std::string model = ask.model;
  const Result<faces::Collected> got = co_await faces::ask_whole(face, std::move(ask), false);
  if (!got) {
    co_return error_response(named(got.error(), model));
  }
  ResponseEvents events(bare_id(face, got->route), model, seconds(face), std::move(echoed));
  std::string unused;
  events.part(unused, got->all);
  events.last(unused, got->summary, got->route);
  co_return json_answer(events.whole(got->summary, got->route),
                        faces::answer_headers(got->route, &got->summary));
}

Task<Reply> post_responses(FaceRef face, Request request) {
  Result<ResponsesRequest> read = read_responses(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  faces::read_headers(request, read->draft.ask);
  Result<lucid::Ask> ask = faces::finish(std::move(read->draft));
  if (!ask) {
    co_return error_response(ask.error());
  }
  json::object echoed = std::move(read->echoed);
  if (read->stream) {
    co_return co_await answer_stream(face, std::move(echoed), std::move(*ask));
  }
  co_return co_await answer_whole(face, std::move(echoed), std::move(*ask));
}

}  // namespace

void add_responses_routes(http::Router& router, const FaceRef& face) {
  router.add({http::Method::post, "/v1/responses", faces::kPromptRequestBytesMax,
              with(face, post_responses), false, true});
}

}  // namespace phase::openai
