// /v1/embeddings and /v1/rerank.
#include <algorithm>
#include <bit>
#include <numeric>

#include <boost/json.hpp>

#include "api/openai/requests.h"
#include "api/openai/routes_internal.h"

namespace phase::openai {
namespace {

using faces::Collected;
using faces::Vectors;

/// float32, little-endian.
std::string packed(const std::vector<float>& vector) {
  Bytes bytes;
  bytes.reserve(vector.size() * 4);
  for (const float number : vector) {
    const auto bits = std::bit_cast<std::uint32_t>(number);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
    }
  }
  return to_base64(bytes);
}

Task<Result<Collected>> ask(FaceRef face, faces::Draft draft, const Request& request) {
  const std::string model = draft.ask.model;
  faces::read_headers(request, draft.ask);
  Result<lucid::Ask> made = faces::finish(std::move(draft));
  if (!made) {
    co_return fail(std::move(made).error());
  }
  Result<Collected> got = co_await faces::ask_whole(face, std::move(*made), false);
  if (!got) {
    co_return fail(named(got.error(), model));
  }
  co_return std::move(got);
}

std::string usage_and_receipt(const Collected& got, const Vectors& vectors) {
  const std::string tokens = std::to_string(vectors.prompt_tokens);
  return R"(,"usage":{"prompt_tokens":)" + tokens + R"(,"total_tokens":)" + tokens +
         R"(},"x_lucid":)" + faces::x_lucid(got.route, got.summary) + "}";
}

Task<Reply> post_embeddings(FaceRef face, Request request) {
  Result<EmbeddingsRequest> read = read_embeddings(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const std::string model = read->draft.ask.model;
  const Result<Collected> got = co_await ask(face, std::move(read->draft), request);
  if (!got) {
    co_return error_response(got.error());
  }
  const Result<Vectors> vectors = faces::read_embeddings(got->all.content, read->count);
  if (!vectors) {
    co_return error_response(vectors.error());
  }
  std::string out = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < vectors->embeddings.size(); ++i) {
    out += i == 0 ? "" : ",";
    out += R"({"object":"embedding","index":)" + std::to_string(i) + R"(,"embedding":)";
    if (read->base64) {
      out += '"' + packed(vectors->embeddings[i]) + '"';
    } else {
      faces::append_numbers(out, vectors->embeddings[i]);
    }
    out += '}';
  }
  out += R"(],"model":)" + faces::quoted(model) + usage_and_receipt(*got, *vectors);
  co_return json_answer(std::move(out), faces::answer_headers(got->route, &got->summary));
}

std::string ranked(const RerankRequest& request, const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&scores](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(order.size(), request.top_n));
  json::array out;
  for (const std::size_t index : order) {
    json::object one{{"index", index}, {"relevance_score", scores[index]}};
    if (request.return_documents) {
      one.emplace("document", json::object{{"text", request.documents[index]}});
    }
    out.push_back(std::move(one));
  }
  return json::serialize(out);
}

Task<Reply> post_rerank(FaceRef face, Request request) {
  Result<RerankRequest> read = read_rerank(as_text(request.body));
  if (!read) {
    co_return error_response(read.error());
  }
  const std::string model = read->draft.ask.model;
  faces::Draft draft = std::move(read->draft);
  const Result<Collected> got = co_await ask(face, std::move(draft), request);
  if (!got) {
    co_return error_response(got.error());
  }
  const Result<Vectors> vectors = faces::read_scores(got->all.content, read->documents.size());
  if (!vectors) {
    co_return error_response(vectors.error());
  }
  std::string out = R"({"object":"list","model":)" + faces::quoted(model) + R"(,"results":)" +
                    ranked(*read, vectors->scores) + usage_and_receipt(*got, *vectors);
  co_return json_answer(std::move(out), faces::answer_headers(got->route, &got->summary));
}

}  // namespace

void add_vector_routes(http::Router& router, const FaceRef& face) {
  using enum http::Method;
  const auto add = [&router](std::string pattern, http::Handler handler) {
    router.add(
        {post, std::move(pattern), faces::kPromptRequestBytesMax, std::move(handler), false, true});
  };
  add("/v1/embeddings", with(face, post_embeddings));
  add("/v1/rerank", with(face, post_rerank));
}

}  // namespace phase::openai
