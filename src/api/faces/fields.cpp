#include "api/faces/fields.h"

#include <cmath>

#include <boost/json.hpp>

#include "base/bytes.h"

namespace phase::faces {
namespace {

constexpr std::size_t kModelNameBytesMax = 512;
constexpr double kMillion = 1e6;

/// A number written without decimals, 1e400 left out.
std::string plain(double value) {
  std::string out = std::to_string(value);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) {
    out.pop_back();
  }
  return out;
}

std::optional<std::int64_t> whole(const json::value& value) {
  boost::system::error_code error;
  const auto out = value.is_number() ? value.to_number<std::int64_t>(error) : 0;
  return value.is_number() && !error ? std::optional(out) : std::nullopt;
}

}  // namespace

Result<Fields> Fields::open(json::object& object, std::string_view section, std::string place,
                            std::string_view model) {
  PHASE_TRY_VOID(check_fields(object, section, place, model));
  return Fields(object, std::move(place));
}

json::value* Fields::find(std::string_view name) const {
  json::value* value = object_->if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

tl::unexpected<Error> Fields::wrong(std::string_view name, std::string_view expected) const {
  return fail(Code::invalid_argument, path(name) + ": expected " + std::string{expected});
}

Result<std::string> Fields::text(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) {
    return std::string{};
  }
  if (!value->is_string()) {
    return wrong(name, "a string");
  }
  return std::string{view(value->as_string())};
}

Result<bool> Fields::boolean(std::string_view name, bool otherwise) const {
  const json::value* value = find(name);
  if (value != nullptr && !value->is_bool()) {
    return wrong(name, "true or false");
  }
  return value == nullptr ? otherwise : value->as_bool();
}

Result<std::optional<std::int64_t>> Fields::integer(std::string_view name, std::int64_t min,
                                                    std::int64_t max) const {
  const json::value* value = find(name);
  if (value == nullptr) {
    return std::optional<std::int64_t>{};
  }
  const auto number = whole(*value);
  if (!number || *number < min || *number > max) {
    return wrong(name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return number;
}

Result<std::optional<std::int64_t>> Fields::ppm(std::string_view name, double min,
                                                double max) const {
  const json::value* value = find(name);
  if (value == nullptr) {
    return std::optional<std::int64_t>{};
  }
  const double number = value->is_number() ? value->to_number<double>() : std::nan("");
  if (!(number >= min && number <= max)) {
    return wrong(name, "a number from " + plain(min) + " to " + plain(max));
  }
  return std::optional<std::int64_t>(std::llround(number * kMillion));
}

Result<std::vector<std::string>> Fields::texts(std::string_view name, std::size_t count_max) const {
  std::vector<std::string> out;
  const json::value* value = find(name);
  if (value == nullptr) {
    return out;
  }
  if (value->is_string()) {
    out.emplace_back(view(value->as_string()));
    return out;
  }
  const json::array* list = value->if_array();
  if (list == nullptr || list->size() > count_max) {
    return wrong(name, "a string or a list of at most " + std::to_string(count_max) + " strings");
  }
  for (const json::value& entry : *list) {
    if (!entry.is_string()) {
      return wrong(name, "a list of strings");
    }
    out.emplace_back(view(entry.as_string()));
  }
  return out;
}

Result<json::object*> Fields::object(std::string_view name) const {
  json::value* value = find(name);
  if (value != nullptr && !value->is_object()) {
    return wrong(name, "an object");
  }
  return value == nullptr ? nullptr : &value->as_object();
}

Result<json::array*> Fields::array(std::string_view name) const {
  json::value* value = find(name);
  if (value != nullptr && !value->is_array()) {
    return wrong(name, "a list");
  }
  return value == nullptr ? nullptr : &value->as_array();
}

Result<std::string> model_name(const Fields& fields) {
  PHASE_TRY(std::string name, fields.text("model"));
  if (name.empty()) {
    PHASE_TRY(name, fields.text("name"));
  }
  if (name.empty()) {
    return fail(Code::invalid_argument, "model is required");
  }
  if (name.size() > kModelNameBytesMax || name.find('\0') != std::string::npos) {
    return fail(Code::invalid_argument, "invalid model name");
  }
  return name;
}

}  // namespace phase::faces
