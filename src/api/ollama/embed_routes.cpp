// /api/embed and the older /api/embeddings.
#include "api/ollama/routes_internal.h"

namespace phase::ollama {
namespace {

using faces::Collected;
using faces::Vectors;

/// Ollama names an unknown model differently here.
Error named(Error error, const std::string& model) {
  if (error.code == Code::not_found) {
    error.message = "model \"" + model + "\" not found, try pulling it first";
  }
  return error;
}

struct Embedded {
  Collected answer;
  Vectors vectors;
};

Task<Result<Embedded>> embed(FaceRef face, EmbedRequest read, Request request) {
  const std::size_t count = read.inputs.size();
  faces::read_headers(request, read.draft.ask);
  Result<lucid::Ask> ask = faces::finish(std::move(read.draft));
  if (!ask) {
    co_return fail(std::move(ask).error());
  }
  Result<Collected> got = co_await faces::ask_whole(face, std::move(*ask), false);
  if (!got) {
    co_return fail(named(got.error(), read.model));
  }
  Result<Vectors> vectors = faces::read_embeddings(got->all.content, count);
  if (!vectors) {
    co_return fail(std::move(vectors).error());
  }
  Embedded out{std::move(*got), std::move(*vectors)};
  co_return std::move(out);
}

std::string embed_json(const std::string& model, const Embedded& embedded) {
  const faces::Summary& summary = embedded.answer.summary;
  std::string out = R"({"model":)" + faces::quoted(model) + R"(,"embeddings":[)";
  bool first = true;
  for (const auto& vector : embedded.vectors.embeddings) {
    out += first ? "" : ",";
    first = false;
    faces::append_numbers(out, vector);
  }
  out += ']';
  const auto count = [&out](std::string_view name, std::uint64_t value) {
    if (value > 0) {
      out.append(",\"").append(name).append("\":") += std::to_string(value);
    }
  };
  count("total_duration", static_cast<std::uint64_t>(summary.total.count()));
  count("load_duration", static_cast<std::uint64_t>(summary.load.count()));
  count("prompt_eval_count", embedded.vectors.prompt_tokens);
  return out + R"(,"x_lucid":)" + faces::x_lucid(embedded.answer.route, summary) + "}";
}

Task<Reply> post_embed(FaceRef face, Request request) {
  Result<EmbedRequest> read = read_embed(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const std::string model = read->model;
  if (read->inputs.empty()) {
    co_return json_answer(R"({"model":)" + faces::quoted(model) + R"(,"embeddings":[]})");
  }
  Result<Embedded> got = co_await embed(face, std::move(*read), std::move(request));
  if (!got) {
    co_return error_response(got.error());
  }
  co_return json_answer(embed_json(model, *got),
                        faces::answer_headers(got->answer.route, &got->answer.summary));
}

Task<Reply> post_embeddings(FaceRef face, Request request) {
  Result<EmbedRequest> read = read_embeddings(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  if (read->inputs.empty()) {
    co_return json_answer(R"({"embedding":[]})");
  }
  Result<Embedded> got = co_await embed(face, std::move(*read), std::move(request));
  if (!got) {
    co_return error_response(got.error());
  }
  std::string out = R"({"embedding":)";
  faces::append_numbers(out, got->vectors.embeddings.front());
  out += R"(,"x_lucid":)" + faces::x_lucid(got->answer.route, got->answer.summary) + "}";
  co_return json_answer(std::move(out),
                        faces::answer_headers(got->answer.route, &got->answer.summary));
}

}  // namespace

void add_embed_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  const auto add = [&router](std::string pattern, http::Handler handler) {
    router.add(
        {post, std::move(pattern), faces::kPromptRequestBytesMax, std::move(handler), false, true});
  };
  add("/api/embed", with(face, post_embed));
  add("/api/embeddings", with(face, post_embeddings));
}

}  // namespace phase::ollama
