// /v1/chat/completions and /v1/completions.
#include "api/openai/chunks.h"
#include "api/openai/requests.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

/// What both requests come down to.
struct Wish {
  Kind kind = Kind::chat;
  std::string prefix;  // of the id
  bool stream = false;
  bool usage = false;
  bool logprobs = false;
  std::string echo;
};

Task<Reply> answer_stream(FaceRef face, Wish wish, lucid::Ask ask) {
  const std::string model = ask.model;
  Result<faces::Begun> begun = co_await faces::begin(face, std::move(ask), wish.logprobs);
  if (!begun) {
    co_return error_response(named(begun.error(), model));
  }
  const std::string id = answer_id(face, wish.prefix, begun->reader->route());
  begun->first.content.insert(0, wish.echo);
  auto chunks = std::make_shared<Chunks>(wish.kind, id, model, seconds(face), wish.usage);
  co_return faces::stream_answer(kEventStream, std::move(*begun), std::move(chunks));
}

Task<Reply> answer_whole(FaceRef face, Wish wish, lucid::Ask ask) {
  const std::string model = ask.model;
  Result<faces::Collected> got = co_await faces::ask_whole(face, std::move(ask), wish.logprobs);
  if (!got) {
    co_return error_response(named(got.error(), model));
  }
  const std::string id = answer_id(face, wish.prefix, got->route);
  Chunks chunks(wish.kind, id, model, seconds(face), false);
  got->all.content.insert(0, wish.echo);
  std::string text = chunks.whole(got->all, got->summary, got->route);
  co_return json_answer(std::move(text), faces::answer_headers(got->route, &got->summary));
}

Task<Reply> answer(FaceRef face, Wish wish, faces::Draft draft, Request request) {
  wish.logprobs = draft.logprobs;
  faces::read_headers(request, draft.ask);
  Result<lucid::Ask> ask = faces::finish(std::move(draft));
  if (!ask) {
    return [](Error error) -> Task<Reply> { co_return error_response(error); }(ask.error());
  }
  return wish.stream ? answer_stream(std::move(face), std::move(wish), std::move(*ask))
                     : answer_whole(std::move(face), std::move(wish), std::move(*ask));
}

Task<Reply> post_chat(FaceRef face, Request request) {
  Result<ChatRequest> read = read_chat(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  Wish wish{Kind::chat, "chatcmpl-", read->stream, read->usage, false, {}};
  request.body = {};
  faces::Draft draft = std::move(read->draft);
  co_return co_await answer(std::move(face), std::move(wish), std::move(draft), std::move(request));
}

Task<Reply> post_completion(FaceRef face, Request request) {
  Result<CompletionRequest> read = read_completion(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  Wish wish{Kind::completion, "cmpl-", read->stream, read->usage, false, std::move(read->echo)};
  request.body = {};
  faces::Draft draft = std::move(read->draft);
  co_return co_await answer(std::move(face), std::move(wish), std::move(draft), std::move(request));
}

}  // namespace

void add_chat_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  const auto add = [&router](std::string pattern, http::Handler handler) {
    router.add(
        {post, std::move(pattern), faces::kPromptRequestBytesMax, std::move(handler), false, true});
  };
  add("/v1/chat/completions", with(face, post_chat));
  add("/v1/completions", with(face, post_completion));
}

}  // namespace phase::openai
