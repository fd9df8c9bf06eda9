// /api/pull, /api/push, /api/create: lines of progress. /api/blobs: files on their way in.
#include "api/ollama/lines.h"
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

using http::ByteSink;
using lucid::TransferLine;
using TransferRef = std::shared_ptr<lucid::Transfer>;  // the stream's function is copied

/// Largest file that may be uploaded.
constexpr std::uint64_t kBlobBytesMax = 1ULL << 40;
constexpr std::string_view kSuccess = R"({"status":"success"})";

std::string line_json(const TransferLine& line) {
  std::string out = R"({"status":)";
  faces::append_quoted(out, faces::valid_utf8(line.status));
  if (!line.digest.empty()) {
    out += R"(,"digest":)" + faces::quoted(line.digest);
  }
  if (line.total) {
    out += R"(,"total":)" + std::to_string(*line.total);
  }
  if (line.completed) {
    out += R"(,"completed":)" + std::to_string(*line.completed);
  }
  return out += '}';
}

/// `first` was read to learn that it began at all.
Task<void> send_progress(TransferRef transfer, std::optional<TransferLine> first, ByteSink& sink) {
  std::optional<TransferLine> line = std::move(first);
  bool success = false;
  while (line) {
    success = line->status == "success";
    const std::string text = line_json(*line) + "\n";
    const Result<void> written = co_await sink.write(text);
    if (!written) {
      co_return;
    }
    Result<std::optional<TransferLine>> next = co_await transfer->next();
    if (!next) {
      const std::string last = error_line(next.error());
      static_cast<void>(co_await sink.finish(last));
      co_return;
    }
    line = std::move(*next);
  }
  const std::string end = success ? std::string{} : std::string{kSuccess} + "\n";
  static_cast<void>(co_await sink.finish(end));
}

Task<Reply> follow(Result<std::unique_ptr<lucid::Transfer>> begun, bool stream) {
  if (!begun) {
    co_return error_response(begun.error());
  }
  TransferRef transfer = std::move(*begun);
  Result<std::optional<TransferLine>> line = co_await transfer->next();
  if (!line) {
    co_return error_response(line.error());
  }
  if (stream) {
    http::Stream reply;
    reply.content_type = "application/x-ndjson";
    reply.source = [transfer, first = std::move(*line)](ByteSink& sink) {
      return send_progress(transfer, first, sink);
    };
    co_return reply;
  }
  while (*line) {
    line = co_await transfer->next();
    if (!line) {
      co_return error_response(line.error());
    }
  }
  co_return json_answer(std::string{kSuccess});
}

Task<Reply> post_pull(FaceRef face, Request request) {
  const Result<TransferRequest> read = read_transfer(as_text(request.body), "ollama.pull");
  if (!read) {
    co_return error_response(read.error());
  }
  Result<std::unique_ptr<lucid::Transfer>> begun = co_await face->lucid.models().pull(read->model);
  co_return co_await follow(std::move(begun), read->stream);
}

Task<Reply> post_push(FaceRef face, Request request) {
  const Result<TransferRequest> read = read_transfer(as_text(request.body), "ollama.push");
  if (!read) {
    co_return error_response(read.error());
  }
  Result<std::unique_ptr<lucid::Transfer>> begun = co_await face->lucid.models().push(read->model);
  co_return co_await follow(std::move(begun), read->stream);
}

Task<Reply> post_create(FaceRef face, Request request) {
  Result<CreateRequest> read = read_create(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const bool stream = read->stream;
  Result<std::unique_ptr<lucid::Transfer>> begun = co_await face->lucid.models().create(
      std::move(read->model), std::move(read->recipe), std::move(read->files));
  co_return co_await follow(std::move(begun), stream);
}

Task<Reply> head_blob(FaceRef face, Request request) {
  const Result<std::string> digest = read_digest(request.parameters[0]);
  if (!digest) {
    co_return error_response(digest.error());
  }
  const bool there = face->lucid.models().has_blob(*digest);
  co_return http::Response{there ? 200 : 404, "", ""};
}

/// Reads what is left of a body, so that the connection can go on. False: it broke.
Task<bool> skip(http::BodyReader& body) {
  bool more = true;
  while (more) {
    const Result<ByteView> piece = co_await body.read();
    if (!piece) {
      co_return false;
    }
    more = !piece->empty();
  }
  co_return true;
}

Task<Result<bool>> take_blob(FaceRef face, std::string digest, http::BodyReader& body) {
  Result<std::unique_ptr<lucid::Models::Upload>> upload =
      co_await face->lucid.models().upload(std::move(digest));
  if (!upload) {
    co_return fail(std::move(upload).error());
  }
  bool more = true;
  while (more) {
    const Result<ByteView> piece = co_await body.read();
    if (!piece) {
      co_return fail(piece.error());
    }
    more = !piece->empty();
    if (more) {
      const Result<void> written = co_await (*upload)->write(*piece);
      if (!written) {
        co_return fail(written.error());
      }
    }
  }
  co_return co_await (*upload)->commit();
}

Task<Reply> post_blob(FaceRef face, Request request) {
  Result<std::string> digest = read_digest(request.parameters[0]);
  if (!digest) {
    co_return error_response(digest.error());
  }
  if (face->lucid.models().has_blob(*digest)) {
    static_cast<void>(co_await skip(*request.upload));
    co_return http::Response{200, "", ""};
  }
  Result<bool> fresh = co_await take_blob(face, std::move(*digest), *request.upload);
  if (!fresh && fresh.error().code == Code::verification_failed) {
    co_return error_response({Code::invalid_argument, fresh.error().message, {}});
  }
  if (!fresh) {
    co_return error_response(fresh.error());
  }
  co_return http::Response{*fresh ? 201 : 200, "", ""};
}

}  // namespace

void add_transfer_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  const auto add = [&router](std::string pattern, std::uint64_t bytes, http::Handler handler) {
    router.add({post, std::move(pattern), bytes, std::move(handler), false, true});
  };
  add("/api/pull", faces::kSmallRequestBytesMax, with(face, post_pull));
  add("/api/push", faces::kSmallRequestBytesMax, with(face, post_push));
  add("/api/create", faces::kPromptRequestBytesMax, with(face, post_create));
  router.add({head, "/api/blobs/{digest}", 0, with(face, head_blob)});
  router.add({post, "/api/blobs/{digest}", kBlobBytesMax, with(face, post_blob), true});
}

}  // namespace phase::ollama
