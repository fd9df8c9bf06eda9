#include "api/faces/json_text.h"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

#include "base/bytes.h"

namespace phase::faces {
namespace {

using boost::system::error_code;

/// Builds values and counts names (an object keeps one of two equal ones) and sizes.
struct Builder {
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  explicit Builder(const JsonLimits& with) : limits(with) {}

  const JsonLimits& limits;
  json::value_stack stack;
  std::size_t names = 0;
  std::size_t depth = 0;
  std::string_view wrong;  // the limit that was passed
  std::string key;         // of the outermost object
  bool is_long = false;    // the value that follows is that of `long_name`

  /// False: stops the parser.
  bool within(std::size_t size, std::size_t max, std::string_view what, error_code& error) {
    if (size <= max) {
      return true;
    }
    wrong = what;
    error = json::make_error_code(json::error::string_too_large);
    return false;
  }

  bool on_document_begin(error_code&) {
    stack.reset();
    return true;
  }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    ++depth;
    return true;
  }
  bool on_object_end(std::size_t count, error_code& error) {
    --depth;
    if (!within(count, limits.names, "an object has too many names", error)) {
      return false;
    }
    stack.push_object(count);
    return true;
  }
  bool on_array_begin(error_code&) {
    ++depth;
    is_long = false;
    return true;
  }
  bool on_array_end(std::size_t count, error_code& error) {
    --depth;
    if (!within(count, limits.items, "an array has too many items", error)) {
      return false;
    }
    stack.push_array(count);
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t total, error_code& error) {
    if (depth == 1) {
      key.append(text.data(), text.size());
    }
    stack.push_chars(text);
    return within(total, limits.name_bytes, "a name is too long", error);
  }
  bool on_key(json::string_view text, std::size_t total, error_code& error) {
    ++names;
    if (depth == 1) {
      key.append(text.data(), text.size());
      is_long = !limits.long_name.empty() && key == limits.long_name;
      key.clear();
    } else {
      is_long = false;
    }
    stack.push_key(text);
    return within(total, limits.name_bytes, "a name is too long", error);
  }
  bool fits(std::size_t total, error_code& error) {
    return is_long || within(total, limits.string_bytes, "a string is too long", error);
  }
  bool on_string_part(json::string_view text, std::size_t total, error_code& error) {
    stack.push_chars(text);
    return fits(total, error);
  }
  bool on_string(json::string_view text, std::size_t total, error_code& error) {
    stack.push_string(text);
    return fits(total, error);
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, error_code&) {
    stack.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, error_code&) {
    stack.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view, error_code&) {
    stack.push_double(value);
    return true;
  }
  bool on_bool(bool value, error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }
};

/// Depth is bounded by the parser.
std::size_t count_names(const json::value& value) {
  std::size_t out = 0;
  if (const auto* object = value.if_object()) {
    out = object->size();
    for (const auto& [name, below] : *object) {
      out += count_names(below);
    }
  } else if (const auto* array = value.if_array()) {
    for (const json::value& below : *array) {
      out += below.is_structured() ? count_names(below) : 0;
    }
  }
  return out;
}

/// Bytes of the character that begins with this byte; 0 when none does.
std::size_t length_of(unsigned char first) {
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return 2;
  }
  if (first >= 0xe0 && first <= 0xef) {
    return 3;
  }
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/// Bytes at the end that begin a character and do not finish it.
std::size_t unfinished(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) != 0x80) {
      return length_of(byte) > back ? back : 0;
    }
  }
  return 0;
}

}  // namespace

Result<json::value> parse_json(std::string_view text, std::size_t depth_max) {
  JsonLimits limits;
  limits.depth = depth_max;
  return parse_json(text, limits);
}

Result<json::value> parse_json(std::string_view text, const JsonLimits& limits) {
  json::parse_options options;
  options.max_depth = limits.depth;
  json::basic_parser<Builder> parser(options, limits);
  error_code error;
  std::size_t used = 0;
  try {
    used = parser.write_some(false, text.data(), text.size(), error);
  } catch (const std::exception& problem) {
    return fail(Code::too_large, std::string{"this JSON is too large: "} + problem.what());
  }
  if (!error && used != text.size()) {
    error = json::make_error_code(json::error::extra_data);
  }
  if (error && !parser.handler().wrong.empty()) {
    return fail(Code::too_large, std::string{parser.handler().wrong});
  }
  if (error) {
    return fail(Code::malformed,
                "this is not JSON: " + error.message() + " at byte " + std::to_string(used));
  }
  json::value out = parser.handler().stack.release();
  if (count_names(out) != parser.handler().names) {
    return fail(Code::malformed, "a name stands twice in one JSON object");
  }
  return out;
}

Result<json::object> parse_object(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return fail(Code::malformed, "missing request body");
  }
  PHASE_TRY(json::value value, parse_json(text));
  if (!value.is_object()) {
    return fail(Code::malformed, "the request must be a JSON object");
  }
  return std::move(value.as_object());
}

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      continue;
    }
    out.append(text, from, i - from);
    from = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
  }
  out.append(text, from);
  out += '"';
}

std::string quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

std::string valid_utf8(std::string_view text) {
  if (is_utf8(as_bytes(text))) {
    return std::string{text};
  }
  std::string out;
  while (!text.empty()) {
    const std::size_t length = length_of(static_cast<unsigned char>(text.front()));
    if (length != 0 && length <= text.size() && is_utf8(as_bytes(text.substr(0, length)))) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    } else {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string TextJoin::add(std::string_view bytes) {
  rest_.append(bytes);
  const std::size_t keep = unfinished(rest_);
  std::string out = valid_utf8(std::string_view{rest_}.substr(0, rest_.size() - keep));
  rest_.erase(0, rest_.size() - keep);
  return out;
}

std::string TextJoin::end() {
  std::string out = valid_utf8(rest_);
  rest_.clear();
  return out;
}

}  // namespace phase::faces
