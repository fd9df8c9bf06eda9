// Answers and errors as this API says them.
#include <cmath>

#include <boost/json.hpp>

#include "api/vcp/call_internal.h"

namespace phase::vcp::api {
namespace {

constexpr std::size_t kErrorTextBytesMax = 2'048;

/// "username: expected …" names a field.
std::optional<FieldError> field_in(std::string_view message) {
  constexpr std::size_t kFieldBytesMax = 64;
  const std::size_t colon = message.find(": ");
  if (colon == 0 || colon == std::string_view::npos || colon > kFieldBytesMax) {
    return std::nullopt;
  }
  const std::string_view field = message.substr(0, colon);
  if (field.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]") !=
      std::string_view::npos) {
    return std::nullopt;
  }
  return FieldError{std::string{field}, std::string{message.substr(colon + 2)}};
}

http::Response error_object(const ErrorWord& word, const Error& error, json::array details) {
  json::object out{{"error", json::string(word.word)},
                   {"message", printable(error.message, kErrorTextBytesMax)}};
  if (!error.hint.empty()) {
    out["hint"] = printable(error.hint, kErrorTextBytesMax);
  }
  if (!details.empty()) {
    out["details"] = std::move(details);
  }
  return http::json_response(word.status, json::serialize(out));
}

}  // namespace

ErrorWord error_word(Code code) noexcept {
  switch (code) {
    case Code::malformed:
      return {400, "bad_request"};
    case Code::unauthorized:
    case Code::expired:
      return {401, "unauthorized"};
    case Code::rejected:
      return {402, "insufficient_credits"};
    case Code::permission_denied:
      return {403, "forbidden"};
    case Code::not_found:
      return {404, "not_found"};
    case Code::already_exists:
      return {409, "conflict"};
    case Code::too_large:
      return {413, "payload_too_large"};
    case Code::invalid_argument:
      return {422, "validation_error"};
    case Code::unsupported:
      return {501, "not_implemented"};
    case Code::busy:
    case Code::unavailable:
    case Code::timed_out:
    case Code::cancelled:
      return {503, "service_unavailable"};
    default:
      return {500, "internal_error"};
  }
}

http::Reply answer_json(int status, const json::value& value) {
  return http::json_response(status, json::serialize(value));
}

http::Response error_reply(const Error& error, const std::vector<FieldError>& wrong,
                           std::optional<Duration> retry_after) {
  ErrorWord word = error_word(error.code);
  if (retry_after) {
    word = {429, "rate_limited"};
  }
  json::array details;
  for (const FieldError& one : wrong) {
    details.push_back(json::object{{"field", one.field}, {"message", one.message}});
  }
  if (word.status == 422 && wrong.empty()) {
    if (const auto one = field_in(error.message)) {
      details.push_back(json::object{{"field", one->field}, {"message", one->message}});
    }
  }
  http::Response out = error_object(word, error, std::move(details));
  if (retry_after) {
    const double seconds = std::chrono::duration<double>(*retry_after).count();
    out.headers.emplace_back("Retry-After",
                             std::to_string(static_cast<std::uint64_t>(std::ceil(seconds))));
  } else if (word.status == 503) {
    out.headers.emplace_back("Retry-After", "5");
  } else if (word.status == 401) {
    out.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  return out;
}

http::Response refusal_reply(const Error& error) {
  ErrorWord word = error_word(error.code);
  Error said = error;
  if (error.code == Code::unsupported) {
    word = {405, "method_not_allowed"};
  } else if (error.code == Code::invalid_argument) {
    word = {400, "bad_request"};
  }
  if (word.status == 404 || word.status == 405) {
    said.hint = "/api-docs/openapi.json lists the requests";
  }
  return error_object(word, said, {});
}

// ── Checked members ──

std::string text_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains({name.data(), name.size()});
  return value == nullptr || !value->is_string()
             ? std::string{}
             : std::string{value->as_string().data(), value->as_string().size()};
}

std::uint64_t number_of(const json::object& from, std::string_view name, std::uint64_t otherwise) {
  boost::system::error_code error;
  const json::value* value = from.if_contains({name.data(), name.size()});
  const bool there = value != nullptr && value->is_number();
  const auto out = there ? value->to_number<std::uint64_t>(error) : otherwise;
  return error ? otherwise : out;
}

double real_of(const json::object& from, std::string_view name, double otherwise) {
  boost::system::error_code error;
  const json::value* value = from.if_contains({name.data(), name.size()});
  const bool there = value != nullptr && value->is_number();
  const double out = there ? value->to_number<double>(error) : otherwise;
  return error ? otherwise : out;
}

bool flag_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_bool() && value->as_bool();
}

}  // namespace phase::vcp::api
