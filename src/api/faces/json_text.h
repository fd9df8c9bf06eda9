// json_text.h — JSON from clients and engines: bounded, strict, no name twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "base/result.h"

namespace phase::faces {

namespace json = boost::json;

/// Levels of a request. Prompts may have 64 (spec/inference.md §1) and put a request's values at
/// most four levels deeper.
inline constexpr std::size_t kJsonDepthMax = 60;

/// What a document may have, checked while it is read.
struct JsonLimits {
  std::size_t depth = kJsonDepthMax;
  std::size_t items = SIZE_MAX;         ///< of one array
  std::size_t names = SIZE_MAX;         ///< of one object
  std::size_t name_bytes = SIZE_MAX;    ///< of one name, decoded
  std::size_t string_bytes = SIZE_MAX;  ///< of one string, decoded
  /// A member of the outermost object whose string may be as long as it likes; empty: none.
  std::string_view long_name = {};
};
/// Errors: Code::malformed as below, Code::too_large naming the limit.
[[nodiscard]] Result<json::value> parse_json(std::string_view text, const JsonLimits& limits);

/// RFC 8259 text, UTF-8. Errors: Code::malformed (with the place), also for a name that stands
/// twice in an object.
[[nodiscard]] Result<json::value> parse_json(std::string_view text,
                                             std::size_t depth_max = kJsonDepthMax);
/// The same, and it is an object.
[[nodiscard]] Result<json::object> parse_object(std::string_view text);

/// Appends text as a JSON string with its quotes. `text` is UTF-8.
void append_quoted(std::string& out, std::string_view text);
[[nodiscard]] std::string quoted(std::string_view text);

/// `text` with everything that is not UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// Cuts a byte stream of text between characters: what a token leaves unfinished waits for the
/// next.
class TextJoin {
 public:
  /// The whole characters so far; broken ones as U+FFFD.
  [[nodiscard]] std::string add(std::string_view bytes);
  /// What is left at the end.
  [[nodiscard]] std::string end();

 private:
  std::string rest_;  // at most three bytes
};

[[nodiscard]] inline std::string_view view(const json::string& text) noexcept {
  return {text.data(), text.size()};
}

}  // namespace phase::faces
