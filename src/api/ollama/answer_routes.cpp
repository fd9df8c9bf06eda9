// /api/generate and /api/chat.
#include <boost/json.hpp>

#include "api/ollama/lines.h"
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

using faces::Part;

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

/// Lines of one streamed answer, each with the time it was written.
class LineWriter final : public faces::StreamWriter {
 public:
  LineWriter(FaceRef face, Lines lines, bool context, json::array turns)
      : face_(std::move(face)), lines_(lines), context_(context), turns_(std::move(turns)) {}

  void part(std::string& out, const Part& part) override {
    if (context_) {
      said_ += part.content;
    }
    lines_.part(out, face_->clock.now_utc(), part);
  }
  void last(std::string& out, const faces::Summary& summary, const lucid::Route& route) override {
    const std::string context = context_ ? context_of(std::move(turns_), said_) : std::string{};
    lines_.last(out, face_->clock.now_utc(), Part{}, summary, route, context);
  }
  void failed(std::string& out, const Error& error) override { out += error_line(error); }

 private:
  FaceRef face_;
  Lines lines_;
  bool context_;
  json::array turns_;
  std::string said_;  // for `context`
};

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
  auto lines = std::make_shared<LineWriter>(face, Lines(wish.kind, model), wish.context,
                                            std::move(wish.turns));
  co_return faces::stream_answer(kLines, std::move(*begun), std::move(lines));
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
