// GET /api/receipts/{job}: the receipt of an answer, and what it takes to check it.
#include <boost/json.hpp>

#include "api/ollama/routes_internal.h"
#include "protocol/job/output.h"

namespace phase::ollama {
namespace {

using Kept = lucid::Lucid::Kept;

http::Response cose(const Bytes& bytes) {
  return {200, "application/cose", std::string{as_text(bytes)}};
}

json::array transcript(const Kept& kept) {
  json::array out;
  for (const job::OutputPiece& piece : kept.output) {
    out.push_back(
        json::object{{"stream", static_cast<int>(piece.stream)}, {"data", to_base64(piece.data)}});
  }
  return out;
}

std::string whole_json(const std::string& job, const Kept& kept) {
  return json::serialize(json::object{{"job", job},
                                      {"receipt", to_base64(kept.receipt)},
                                      {"manifest", to_base64(kept.manifest)},
                                      {"prompt", to_base64(kept.prompt)},
                                      {"transcript", transcript(kept)}});
}

bool wants_json(const Request& request) {
  const auto accept = request.headers.find("accept");
  return accept != request.headers.end() &&
         accept->second.find("application/json") != std::string::npos;
}

Task<Reply> get_receipt(FaceRef face, Request request) {
  const std::string job = request.parameters[0];
  const Result<Kept> kept = co_await face->lucid.receipt(job);
  if (!kept) {
    Error error = kept.error();
    if (error.code == Code::not_found) {
      error.message = "there is no receipt of job " + printable(job, 64);
    }
    co_return error_response(error);
  }
  const auto found = request.query.find("part");
  const std::string part = found == request.query.end() ? "receipt" : found->second;
  if (found == request.query.end() && wants_json(request)) {
    co_return json_answer(whole_json(job, *kept));
  }
  if (part == "receipt") {
    co_return cose(kept->receipt);
  }
  if (part == "manifest") {
    co_return cose(kept->manifest);
  }
  if (part == "prompt") {
    co_return http::Response{200, "application/octet-stream", std::string{as_text(kept->prompt)}};
  }
  if (part == "output") {
    co_return json_answer(json::serialize(json::object{{"transcript", transcript(*kept)}}));
  }
  co_return error_response(
      {Code::invalid_argument, "part: expected receipt, manifest, prompt or output", {}});
}

}  // namespace

void add_receipt_routes(http::Router& router, const FaceRef& face) {
  router.add({http::Method::get, "/api/receipts/{job}", 0, with(face, get_receipt)});
}

}  // namespace phase::ollama
