// POST /v1/messages.
#include "api/openai/message_events.h"
#include "api/openai/requests.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

http::Response refuse(const Error& error) {
  return {faces::status_of(error), "application/json", message_error(error),
          faces::retry_headers(error)};
}

Task<Reply> answer_stream(FaceRef face, lucid::Ask ask) {
  const std::string model = ask.model;
  Result<faces::Begun> begun = co_await faces::begin(face, std::move(ask), false);
  if (!begun) {
    co_return refuse(named(begun.error(), model));
  }
  auto events =
      std::make_shared<MessageEvents>(answer_id(face, "msg_", begun->reader->route()), model);
  co_return faces::stream_answer(kEventStream, std::move(*begun), std::move(events));
}

Task<Reply> post_messages(FaceRef face, Request request) {
  Result<MessagesRequest> read = read_messages(as_text(request.body));
  if (!read) {
    co_return refuse(read.error());
  }
  const std::string model = read->draft.ask.model;
  faces::read_headers(request, read->draft.ask);
  Result<lucid::Ask> ask = faces::finish(std::move(read->draft));
  if (!ask) {
    co_return refuse(ask.error());
  }
  if (read->stream) {
    co_return co_await answer_stream(face, std::move(*ask));
  }
  const Result<faces::Collected> got = co_await faces::ask_whole(face, std::move(*ask), false);
  if (!got) {
    co_return refuse(named(got.error(), model));
  }
  const MessageEvents events(answer_id(face, "msg_", got->route), model);
  co_return json_answer(events.whole(got->all, got->summary, got->route),
                        faces::answer_headers(got->route, &got->summary));
}

}  // namespace

void add_message_routes(http::Router& router, const FaceRef& face) {
  router.add_error_face("/v1/messages", [](const Error& error, std::string_view) {
    http::Response out = refuse(error);
    out.status = error.code == Code::unsupported ? 405 : out.status;
    return out;
  });
  router.add({http::Method::post, "/v1/messages", faces::kPromptRequestBytesMax,
              with(face, post_messages), false, true});
}

}  // namespace phase::openai
