#include "worker/inference/strict_json.h"

#include <unordered_set>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>

namespace phase::worker::inference {
namespace {

namespace json = boost::json;
using boost::system::error_code;

// Sees every name of every object, and nothing else.
struct NameCheck {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  std::vector<std::unordered_set<std::string>> objects;
  std::string name;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t, error_code&) { return true; }
  bool on_object_begin(error_code&) {
    objects.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    objects.pop_back();
    return true;
  }
  bool on_key_part(std::string_view part, std::size_t, error_code&) {
    name += part;
    return true;
  }
  bool on_key(std::string_view last, std::size_t, error_code& error) {
    name += last;
    const bool fresh = objects.back().insert(std::exchange(name, {})).second;
    if (!fresh) error = json::make_error_code(json::error::syntax);
    return fresh;
  }
  bool on_string_part(std::string_view, std::size_t, error_code&) { return true; }
  bool on_string(std::string_view, std::size_t, error_code&) { return true; }
  bool on_number_part(std::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t, std::string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t, std::string_view, error_code&) { return true; }
  bool on_double(double, std::string_view, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(std::string_view, error_code&) { return true; }
  bool on_comment(std::string_view, error_code&) { return true; }
};

}  // namespace

Result<json::value> parse_strictly(ByteView text) {
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  error_code error;
  json::basic_parser<NameCheck> names(options);
  const std::size_t read =
      names.write_some(false, reinterpret_cast<const char*>(text.data()), text.size(), error);
  if (!error && read == text.size()) {
    json::value value = json::parse(as_text(text), error, {}, options);
    if (!error) return value;
  }
  return fail(Code::malformed, "the prompt is not the JSON it should be, at byte " +
                                   std::to_string(read) + " of " + std::to_string(text.size()));
}

Members::Members(const json::value& value) : object_(value.if_object()) {
  if (object_ == nullptr) refuse("an object is expected");
}

bool Members::has(std::string_view name) const {
  return object_ != nullptr && object_->contains(name);
}

void Members::refuse(std::string why) {
  if (wrong_.empty()) wrong_ = std::move(why);
}

const json::value* Members::any(std::string_view name) {
  taken_.emplace(name);
  return object_ == nullptr ? nullptr : object_->if_contains(name);
}

std::string Members::text(std::string_view name) {
  const json::value* value = any(name);
  if (value == nullptr || value->is_null()) return {};
  if (const auto* text = value->if_string()) return std::string(*text);
  refuse("'" + std::string(name) + "' is a text");
  return {};
}

bool Members::boolean(std::string_view name, bool otherwise) {
  const json::value* value = any(name);
  if (value == nullptr) return otherwise;
  if (const auto* boolean = value->if_bool()) return *boolean;
  refuse("'" + std::string(name) + "' is true or false");
  return otherwise;
}

std::int64_t Members::integer(std::string_view name, std::int64_t otherwise, std::int64_t low,
                              std::int64_t high) {
  const json::value* value = any(name);
  if (value == nullptr) return otherwise;
  const auto* number = value->if_int64();
  if (number != nullptr && *number >= low && *number <= high) return *number;
  refuse("'" + std::string(name) + "' is a whole number from " + std::to_string(low) + " to " +
         std::to_string(high));
  return otherwise;
}

const json::array* Members::list(std::string_view name, std::size_t count_max) {
  const json::value* value = any(name);
  if (value == nullptr) return nullptr;
  const auto* list = value->if_array();
  if (list != nullptr && list->size() <= count_max) return list;
  refuse("'" + std::string(name) + "' is a list of at most " + std::to_string(count_max));
  return nullptr;
}

Result<void> Members::close() const {
  if (!wrong_.empty()) return fail(Code::malformed, wrong_);
  for (const auto& member : *object_) {
    if (!taken_.contains(std::string_view(member.key()))) {
      return fail(Code::malformed,
                  "'" + printable(std::string_view(member.key()), 64) + "' is not known");
    }
  }
  return {};
}

}  // namespace phase::worker::inference
