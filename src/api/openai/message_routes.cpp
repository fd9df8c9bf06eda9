// POST /v1/messages.
#include "api/openai/message_events.h"
#include "api/openai/requests.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

using faces::Part;
using http::ByteSink;

struct Running {
  MessageEvents events;
  faces::Begun begun;
};

http::Response refuse(const Error& error) {
  return {faces::status_of(error), "application/json", message_error(error),
          faces::retry_headers(error)};
}

Task<void> send_message(std::shared_ptr<Running> running, ByteSink& sink) {
  Part part = std::move(running->begun.first);
  std::string text;
  running->events.begin(text);
  while (!part.done) {
    running->events.part(text, part);
    const Result<void> written = co_await sink.write(text);
    if (!written) {
      co_return;
    }
    text.clear();
    Result<Part> next = co_await running->begun.reader->next();
    if (!next) {
      const std::string last = "event: error\ndata: " + message_error(next.error()) + "\n\n";
      static_cast<void>(co_await sink.finish(last));
      co_return;
    }
    part = std::move(*next);
  }
  running->events.part(text, part);
  running->events.last(text, running->begun.reader->summary(), running->begun.reader->route());
  static_cast<void>(co_await sink.finish(text));
}

Task<Reply> answer_stream(FaceRef face, lucid::Ask ask) {
  const std::string model = ask.model;
  Result<faces::Begun> begun = co_await faces::begin(face, std::move(ask), false);
  if (!begun) {
    co_return refuse(named(begun.error(), model));
  }
  const lucid::Route& route = begun->reader->route();
  http::Stream reply;
  reply.content_type = "text/event-stream";
  reply.headers = faces::answer_headers(route, nullptr);
  const MessageEvents events(answer_id(face, "msg_", route), model);
  auto running = std::make_shared<Running>(  // shared: the stream's function is copied
      Running{events, std::move(*begun)});
  reply.source = [running](ByteSink& sink) { return send_message(running, sink); };
  co_return reply;
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
