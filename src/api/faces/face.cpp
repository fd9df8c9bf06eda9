#include "api/faces/face.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include <boost/json.hpp>

namespace phase::faces {
namespace {

constexpr std::uint64_t kRetrySecondsMax = 3'600;
constexpr std::size_t kConversationBytesMax = 128;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

bool is_yes(std::string_view text) {
  std::string lower;
  for (const char c : text) {
    if (c != ' ' && c != '\t') {
      lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return lower == "1" || lower == "true" || lower == "yes" || lower == "on";
}

std::string_view verdict_text(lucid::Verdict verdict) {
  switch (verdict) {
    case lucid::Verdict::verified:
      return "true";
    case lucid::Verdict::refused:
      return "false";
    case lucid::Verdict::pending:
      break;
  }
  return "pending";
}

tl::unexpected<Error> no_document(std::string_view what) {
  return fail(Code::protocol,
              "the provider's answer is not what was asked for: " + std::string{what});
}

std::uint64_t prompt_tokens(const json::object& document) {
  const json::value* value = document.if_contains("prompt_tokens");
  boost::system::error_code error;
  const auto out =
      value != nullptr && value->is_number() ? value->to_number<std::uint64_t>(error) : 0;
  return error ? 0 : out;
}

Result<std::vector<float>> vector_of(const json::value& value) {
  const json::array* list = value.if_array();
  if (list == nullptr || list->empty()) {
    return no_document("an embedding is no list of numbers");
  }
  std::vector<float> out;
  out.reserve(list->size());
  for (const json::value& number : *list) {
    if (!number.is_number()) {
      return no_document("an embedding is no list of numbers");
    }
    out.push_back(static_cast<float>(number.to_number<double>()));
    if (!std::isfinite(out.back())) {
      return no_document("an embedding is not finite");
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> request_headers() {
  return {"accept", "content-type", "x-lucid-local-only", "x-lucid-conversation", "x-lucid-hedge"};
}

http::AccessPolicy access_policy(std::vector<std::string> hosts, std::vector<std::string> origins) {
  http::AccessPolicy out = http::local_programs(std::move(hosts), std::move(origins));
  out.exposed_headers =
      "X-Lucid-Routed-Via, X-Lucid-Served-By, X-Lucid-Job, X-Lucid-Receipt-Verified, Retry-After";
  return out;
}

void read_headers(const http::Request& request, lucid::Ask& ask) {
  const auto local = request.headers.find("x-lucid-local-only");
  ask.local_only = local != request.headers.end() && is_yes(local->second);
  const auto hedge = request.headers.find("x-lucid-hedge");
  ask.hedge = hedge != request.headers.end() && is_yes(hedge->second);
  const auto conversation = request.headers.find("x-lucid-conversation");
  if (conversation != request.headers.end() &&
      conversation->second.size() <= kConversationBytesMax) {
    ask.conversation = conversation->second;
  }
}

http::Headers answer_headers(const lucid::Route& route, const Summary* summary) {
  http::Headers out;
  if (!route.routed_via.empty()) {
    out.emplace_back("X-Lucid-Routed-Via", route.routed_via);
  }
  if (!route.served_by.empty()) {
    out.emplace_back("X-Lucid-Served-By", route.served_by);
  }
  if (!route.job_id.empty()) {
    out.emplace_back("X-Lucid-Job", route.job_id);
  }
  out.emplace_back("X-Lucid-Receipt-Verified",
                   verdict_text(summary == nullptr ? lucid::Verdict::pending : summary->verdict));
  return out;
}

std::string x_lucid(const lucid::Route& route, const Summary& summary) {
  std::string out = R"({"receipt":)";
  append_quoted(out, route.job_id);
  const bool open = summary.verdict == lucid::Verdict::pending;
  out += R"(,"verified":)";
  out += open ? R"("pending")" : verdict_text(summary.verdict);
  out += R"(,"routed_via":)";
  append_quoted(out, route.routed_via);
  out += R"(,"served_by":)";
  append_quoted(out, route.served_by);
  if (summary.verdict == lucid::Verdict::refused) {
    out += R"(,"failed_check":)";
    append_quoted(out, summary.failed_check);
  }
  if (!summary.earlier.empty()) {
    out += R"(,"earlier":[)";
    for (const lucid::Earlier& one : summary.earlier) {
      out += &one == &summary.earlier.front() ? R"({"job":)" : R"(,{"job":)";
      append_quoted(out, one.job_id);
      out += R"(,"served_by":)";
      append_quoted(out, one.served_by);
      out += R"(,"result":)";
      append_quoted(out, one.result);
      out += '}';
    }
    out += ']';
  }
  return out += '}';
}

int status_of(const Error& error) {
  return code_http_status(error.code);
}

http::Headers retry_headers(const Error& error) {
  if (error.code != Code::busy && error.code != Code::unavailable) {
    return {};
  }
  std::uint64_t seconds = 1;
  const std::size_t digit = error.hint.find_first_of("0123456789");
  if (digit != std::string::npos) {
    std::from_chars(error.hint.data() + digit, error.hint.data() + error.hint.size(), seconds);
  }
  seconds = std::clamp<std::uint64_t>(seconds, 1, kRetrySecondsMax);
  return {{"Retry-After", std::to_string(seconds)}};
}

std::string timestamp(UtcTime time) {
  return timestamp_ns(time.unix_ms * 1'000'000);
}

std::string timestamp_ns(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kNsPerSecond);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09lluZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<unsigned long long>(unix_ns % kNsPerSecond));
  return text;
}

Task<Result<Begun>> begin(FaceRef face, lucid::Ask ask, bool logprobs) {
  Result<std::unique_ptr<lucid::Answer>> answer = co_await face->lucid.ask(std::move(ask));
  if (!answer) {
    co_return fail(std::move(answer).error());
  }
  Begun out;
  out.reader =
      std::make_unique<AnswerReader>(std::move(*answer), AnswerReader::Mode::stream, logprobs);
  Result<Part> first = co_await out.reader->next();
  if (!first) {
    co_return fail(std::move(first).error());
  }
  out.first = std::move(*first);
  co_return std::move(out);
}

Task<Result<Collected>> ask_whole(FaceRef face, lucid::Ask ask, bool logprobs) {
  Result<std::unique_ptr<lucid::Answer>> answer = co_await face->lucid.ask(std::move(ask));
  if (!answer) {
    co_return fail(std::move(answer).error());
  }
  AnswerReader reader(std::move(*answer), AnswerReader::Mode::whole, logprobs);
  Result<Part> all = co_await collect(reader);
  if (!all) {
    co_return fail(std::move(all).error());
  }
  Collected out{reader.route(), reader.summary(), std::move(*all)};
  co_return std::move(out);
}

void append_numbers(std::string& out, const std::vector<float>& numbers) {
  out += '[';
  char text[32];
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto end = std::to_chars(text, text + sizeof text, numbers[i]).ptr;
    out += i == 0 ? "" : ",";
    out.append(text, end);
  }
  out += ']';
}

Result<Vectors> read_embeddings(std::string_view text, std::size_t count) {
  PHASE_TRY(const json::object document, parse_object(text));
  const json::value* list = document.if_contains("embeddings");
  if (list == nullptr || !list->is_array() || list->as_array().size() != count) {
    return no_document("it has not one embedding for each input");
  }
  Vectors out;
  out.prompt_tokens = prompt_tokens(document);
  for (const json::value& entry : list->as_array()) {
    PHASE_TRY(std::vector<float> vector, vector_of(entry));
    out.embeddings.push_back(std::move(vector));
  }
  return out;
}

Result<Vectors> read_scores(std::string_view text, std::size_t count) {
  PHASE_TRY(const json::object document, parse_object(text));
  const json::value* list = document.if_contains("scores");
  if (list == nullptr || !list->is_array() || list->as_array().size() != count) {
    return no_document("it has not one score for each document");
  }
  Vectors out;
  out.prompt_tokens = prompt_tokens(document);
  for (const json::value& entry : list->as_array()) {
    if (!entry.is_number() || !std::isfinite(entry.to_number<double>())) {
      return no_document("a score is no number");
    }
    out.scores.push_back(entry.to_number<double>());
  }
  return out;
}

}  // namespace phase::faces
