#include "sdk/cpp/wire.h"

#include <optional>

#include <boost/json.hpp>

namespace phase::sdk {
namespace {

namespace json = boost::json;

constexpr std::size_t kMessageMax = 2048;

Code code_from_name(std::string_view name) {
  for (auto value = static_cast<int>(Code::invalid_argument);
       value <= static_cast<int>(Code::internal); ++value) {
    if (name == code_name(static_cast<Code>(value))) {
      return static_cast<Code>(value);
    }
  }
  return Code::internal;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string()
             ? printable(std::string_view{value->as_string().data(), value->as_string().size()},
                         kMessageMax)
             : std::string{};
}

}  // namespace

Result<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed, "the daemon's answer is not a JSON object");
  }
  return std::move(value.as_object());
}

Error read_error_object(const json::object& object) {
  return {code_from_name(text_at(object, "code")), text_at(object, "message"),
          text_at(object, "hint")};
}

Error read_error_answer(int status, std::string_view text) {
  auto object = parse_object(text);
  const json::value* error = object ? object->if_contains("error") : nullptr;
  if (error == nullptr || !error->is_object()) {
    return {Code::protocol, "the daemon answered " + std::to_string(status) + " without a reason",
            ""};
  }
  return read_error_object(error->as_object());
}

Result<job::OutputPiece> read_output(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* stream = object != nullptr ? object->if_contains("stream") : nullptr;
  const json::value* data = object != nullptr ? object->if_contains("data") : nullptr;
  boost::system::error_code error;
  const auto number =
      stream != nullptr && stream->is_number() ? stream->to_number<std::uint64_t>(error) : 0;
  if (data == nullptr || !data->is_string() || error || (number != 1 && number != 2)) {
    return fail(Code::malformed, "a piece of output is not {\"stream\", \"data\"}");
  }
  job::OutputPiece piece;
  piece.stream = static_cast<job::OutputStream>(number);
  PHASE_TRY(piece.data,
            from_base64(std::string_view{data->as_string().data(), data->as_string().size()}));
  return piece;
}

}  // namespace phase::sdk
