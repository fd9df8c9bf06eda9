// /api/generate and /api/chat.
#include <boost/json.hpp>

#include "api/ollama/lines.h"
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

using faces::Part;
using http::ByteSink;

constexpr std::string_view kLines = "application/x-ndjson";

/// What both requests come down to.
struct Wish {
  Kind kind = Kind::chat;
  faces::Draft draft;
  bool stream = true;
  bool load = false;
  bool context = false;
  json::array turns;
};

/// One answer on its way to its client.
struct Stream {
  FaceRef face;
  Lines lines;
  faces::Begun begun;
  bool context = false;
  json::array turns;
  std::string said;  // for `context`
};

Error named(Error error, const std::string& model) {
  if (error.code == Code::not_found) {
    error.message = "model '" + model + "' not found";
  }
  return error;
}

std::string context_of(json::array turns, std::string_view said) {
  turns.push_back(json::object{{"role", "assistant"}, {"content", said}});
  return context_text(turns);
}

/// Sends parts until the last. An error becomes the last line: the status is long gone.
Task<void> send_lines(std::shared_ptr<Stream> stream, ByteSink& sink) {
  Part part = std::move(stream->begun.first);
  std::string text;
  while (!part.done) {
    text.clear();
    stream->lines.part(text, stream->face->clock.now_utc(), part);
    if (stream->context) {
      stream->said += part.content;
    }
    const Result<void> written = co_await sink.write(text);
    if (!written) {
      co_return;
    }
    Result<Part> next = co_await stream->begun.reader->next();
    if (!next) {
      const std::string line = error_line(next.error());
      static_cast<void>(co_await sink.finish(line));
      co_return;
    }
    part = std::move(*next);
  }
  text.clear();
  const UtcTime now = stream->face->clock.now_utc();
  stream->lines.part(text, now, part);
  std::string context;
  if (stream->context) {
    context = context_of(std::move(stream->turns), stream->said + part.content);
  }
  stream->lines.last(text, now, Part{}, stream->begun.reader->summary(),
                     stream->begun.reader->route(), context);
  static_cast<void>(co_await sink.finish(text));
}

Task<Reply> load(FaceRef face, Wish wish) {
  const std::string model = wish.draft.ask.model;
  const lucid::KeepAlive keep = wish.draft.ask.keep_alive;
  const bool unload = keep && *keep == Duration{0};
  const Result<void> done = co_await face->lucid.load(model, keep);
  if (!done) {
    co_return error_response(named(done.error(), model));
  }
  const Lines lines(wish.kind, model);
  co_return json_answer(lines.loaded(face->clock.now_utc(), unload ? "unload" : "load"));
}

Task<Reply> answer_whole(FaceRef face, Wish wish, lucid::Ask ask) {
  const std::string model = ask.model;
  const bool logprobs = wish.draft.logprobs;
  Result<faces::Collected> got = co_await faces::ask_whole(face, std::move(ask), logprobs);
  if (!got) {
    co_return error_response(named(got.error(), model));
  }
  std::string context;
  if (wish.context) {
    context = context_of(std::move(wish.turns), got->all.content);
  }
  std::string text;
  const Lines lines(wish.kind, model);
  lines.last(text, face->clock.now_utc(), got->all, got->summary, got->route, context);
  text.pop_back();
  co_return json_answer(std::move(text), faces::answer_headers(got->route, &got->summary));
}

Task<Reply> answer_stream(FaceRef face, Wish wish, lucid::Ask ask) {
  const std::string model = ask.model;
  const bool logprobs = wish.draft.logprobs;
  Result<faces::Begun> begun = co_await faces::begin(face, std::move(ask), logprobs);
  if (!begun) {
    co_return error_response(named(begun.error(), model));
  }
  http::Stream reply;
  reply.content_type = kLines;
  reply.headers = faces::answer_headers(begun->reader->route(), nullptr);
  const Lines lines(wish.kind, model);
  auto stream = std::make_shared<Stream>(  // shared: a function of the standard library is copied
      Stream{face, lines, std::move(*begun), wish.context, std::move(wish.turns), {}});
  reply.source = [stream](ByteSink& sink) { return send_lines(stream, sink); };
  co_return reply;
}

Task<Reply> answer(FaceRef face, Wish wish, Request request) {
  if (wish.load) {
    return load(std::move(face), std::move(wish));
  }
  faces::read_headers(request, wish.draft.ask);
  const bool logprobs = wish.draft.logprobs;
  Result<lucid::Ask> ask = faces::finish(std::move(wish.draft));
  if (!ask) {
    return [](Error error) -> Task<Reply> { co_return error_response(error); }(ask.error());
  }
  wish.draft = {};
  wish.draft.logprobs = logprobs;
  return wish.stream ? answer_stream(std::move(face), std::move(wish), std::move(*ask))
                     : answer_whole(std::move(face), std::move(wish), std::move(*ask));
}

Task<Reply> post_generate(FaceRef face, Request request) {
  Result<GenerateRequest> read = read_generate(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  Wish wish{Kind::generate, std::move(read->draft), read->stream,
            read->load,     read->context,          std::move(read->turns)};
  request.body = {};
  co_return co_await answer(std::move(face), std::move(wish), std::move(request));
}

Task<Reply> post_chat(FaceRef face, Request request) {
  Result<ChatRequest> read = read_chat(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  Wish wish{Kind::chat, std::move(read->draft), read->stream, read->load, false, {}};
  request.body = {};
  co_return co_await answer(std::move(face), std::move(wish), std::move(request));
}

}  // namespace

void add_answer_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  const auto add = [&router](std::string pattern, http::Handler handler) {
    router.add(
        {post, std::move(pattern), faces::kPromptRequestBytesMax, std::move(handler), false, true});
  };
  add("/api/generate", with(face, post_generate));
  add("/api/chat", with(face, post_chat));
}

}  // namespace phase::ollama
