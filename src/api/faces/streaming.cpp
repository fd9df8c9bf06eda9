#include "api/faces/streaming.h"

namespace phase::faces {
namespace {

struct Running {
  Begun begun;
  std::shared_ptr<StreamWriter> writer;
};

Task<void> send(std::shared_ptr<Running> running, http::ByteSink& sink) {
  StreamWriter& writer = *running->writer;
  Part part = std::move(running->begun.first);
  std::string text;
  writer.begin(text);
  while (!part.done) {
    writer.part(text, part);
    const Result<void> written = co_await sink.write(text);
    if (!written) {
      co_return;
    }
    text.clear();
    Result<Part> next = co_await running->begun.reader->next();
    if (!next) {
      writer.failed(text, next.error());
      static_cast<void>(co_await sink.finish(text));
      co_return;
    }
    part = std::move(*next);
  }
  writer.part(text, part);
  writer.last(text, running->begun.reader->summary(), running->begun.reader->route());
  static_cast<void>(co_await sink.finish(text));
}

}  // namespace

http::Stream stream_answer(std::string_view content_type, Begun begun,
                           std::shared_ptr<StreamWriter> writer) {
  http::Stream reply;
  reply.content_type = content_type;
  reply.headers = answer_headers(begun.reader->route(), nullptr);
  auto running = std::make_shared<Running>(  // shared: the stream's function is copied
      Running{std::move(begun), std::move(writer)});
  reply.source = [running](http::ByteSink& sink) { return send(running, sink); };
  return reply;
}

}  // namespace phase::faces
