#include "api/vcp/schema.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>

#include "api/vcp/times.h"
#include "base/bytes.h"

namespace phase::vcp::api {

struct Schema::Node {
  enum class Kind : std::uint8_t { text, integer, number, boolean, anything, array, object };
  Kind kind = Kind::anything;
  bool nullable = false;
  bool bounded = false;  // number
  Form form = Form::any;
  std::size_t size_min = 0, size_max = kAny;
  std::uint64_t min = 0, max = 0;
  double low = 0, high = 0;
  std::vector<std::string> words;
  std::string name, about;
  std::vector<Field> fields;
  std::vector<Schema> of;  // one, of an array
};

namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_uuid(std::string_view text) {
  constexpr std::size_t kLength = 36;
  if (text.size() != kLength) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !digit) {
      return false;
    }
  }
  return true;
}

bool is_base64(std::string_view text) {
  // Only the form: a module is decoded where it is used.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return text.size() % 4 == 0 &&
         std::ranges::all_of(text.substr(0, text.size() - padding),
                             [](char c) { return is_letter(c) || c == '+' || c == '/'; });
}

struct FormFacts {
  std::string_view pattern, what;
};

FormFacts facts_of(Schema::Form form) {
  using enum Schema::Form;
  switch (form) {
    case node_name:
      return {"^[A-Za-z0-9_-]+$", "expected letters, digits, - or _"};
    case word:
      return {"^[A-Za-z0-9_]+$", "expected letters, digits or _"};
    case base64:
      return {"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
              "expected base64 (RFC 4648, padded)"};
    case sha256:
      return {"^[0-9a-f]{64}$", "expected 64 hexadecimal digits in small letters"};
    case date_time:
      return {"", "expected a time as 2026-01-31T12:00:00Z"};
    case uuid:
      return {"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "expected a UUID in small letters"};
    case any:
      break;
  }
  return {};
}

bool fits(Schema::Form form, std::string_view text) {
  using enum Schema::Form;
  switch (form) {
    case node_name:
      return std::ranges::all_of(text, [](char c) { return is_letter(c) || c == '-' || c == '_'; });
    case word:
      return std::ranges::all_of(text, [](char c) { return is_letter(c) || c == '_'; });
    case base64:
      return is_base64(text);
    case sha256:
      return text.size() == 64 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
             });
    case date_time:
      return parse_utc(text).has_value();
    case uuid:
      return is_uuid(text);
    case any:
      break;
  }
  return true;
}

void add(std::vector<FieldError>& wrong, const std::string& path, std::string message) {
  if (wrong.size() < kFieldErrorsMax) {
    wrong.push_back({path.empty() ? "body" : path, std::move(message)});
  }
}

std::string bounds(std::string_view what, std::size_t min, std::size_t max) {
  std::string out = "expected ";
  if (max == Schema::kAny) {
    return out + "at least " + std::to_string(min) + std::string{what};
  }
  return out + std::to_string(min) + " to " + std::to_string(max) + std::string{what};
}

std::string number_text(double value) {
  return json::serialize(json::value(value == std::floor(value) && std::abs(value) < 1e15
                                         ? json::value(static_cast<std::int64_t>(value))
                                         : json::value(value)));
}

std::string below(const std::string& path, std::string_view name) {
  return (path.empty() ? "" : path + ".") + printable(name, 64);
}

void check_text(std::string_view text, std::size_t min, std::size_t max, Schema::Form form,
                const std::vector<std::string>& words, const std::string& path,
                std::vector<FieldError>& wrong) {
  if (text.size() < min || text.size() > max) {
    return add(wrong, path, bounds(" bytes", min, max));
  }
  if (text.find('\0') != std::string_view::npos) {
    return add(wrong, path, "has a NUL inside");
  }
  if (!words.empty() && std::ranges::find(words, text) == words.end()) {
    std::string all;
    for (const std::string& word : words) {
      all += (all.empty() ? "" : ", ") + word;
    }
    return add(wrong, path, "expected one of " + all);
  }
  if (!fits(form, text)) {
    add(wrong, path, std::string{facts_of(form).what});
  }
}

}  // namespace

// ── Making ──

Schema Schema::text(std::size_t bytes_min, std::size_t bytes_max) {
  Node node;
  node.kind = Node::Kind::text;
  node.size_min = bytes_min;
  node.size_max = bytes_max;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::words(std::vector<std::string> words) {
  Node node;
  node.kind = Node::Kind::text;
  node.words = std::move(words);
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::integer(std::uint64_t min, std::uint64_t max) {
  Node node;
  node.kind = Node::Kind::integer;
  node.min = min;
  node.max = max;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::number(double min, double max) {
  Node node;
  node.kind = Node::Kind::number;
  node.bounded = true;
  node.low = min;
  node.high = max;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::number() {
  Node node;
  node.kind = Node::Kind::number;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::boolean() {
  Node node;
  node.kind = Node::Kind::boolean;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::anything() {
  return Schema(std::make_shared<Node>());
}

Schema Schema::array(Schema of, std::size_t items_max) {
  Node node;
  node.kind = Node::Kind::array;
  node.size_max = items_max;
  node.of.push_back(std::move(of));
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::object(std::string name, std::vector<Field> fields) {
  Node node;
  node.kind = Node::Kind::object;
  node.name = std::move(name);
  node.fields = std::move(fields);
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::form(Form form) const {
  Node node = *node_;
  node.form = form;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::nullable() const {
  Node node = *node_;
  node.nullable = true;
  return Schema(std::make_shared<Node>(std::move(node)));
}

Schema Schema::about(std::string text) const {
  Node node = *node_;
  node.about = std::move(text);
  return Schema(std::make_shared<Node>(std::move(node)));
}

// ── Checking ──

void Schema::check(const json::value& value, const std::string& path,
                   std::vector<FieldError>& wrong) const {
  const Node& node = *node_;
  if (value.is_null() && node.nullable) {
    return;
  }
  boost::system::error_code error;
  switch (node.kind) {
    case Node::Kind::anything:
      return;
    case Node::Kind::boolean:
      return value.is_bool() ? void() : add(wrong, path, "expected true or false");
    case Node::Kind::text:
      if (!value.is_string()) {
        return add(wrong, path, "expected a string");
      }
      return check_text({value.as_string().data(), value.as_string().size()}, node.size_min,
                        node.size_max, node.form, node.words, path, wrong);
    case Node::Kind::integer: {
      const bool whole = value.is_int64() || value.is_uint64();
      const auto number = whole ? value.to_number<std::uint64_t>(error) : 0;
      if (!whole || error || number < node.min || number > node.max) {
        add(wrong, path,
            "expected a whole number from " + std::to_string(node.min) + " to " +
                std::to_string(node.max));
      }
      return;
    }
    case Node::Kind::number: {
      const double number = value.is_number() ? value.to_number<double>(error) : 0;
      if (!value.is_number() || error || !std::isfinite(number) ||
          (node.bounded && (number < node.low || number > node.high))) {
        add(wrong, path,
            node.bounded ? "expected a number from " + number_text(node.low) + " to " +
                               number_text(node.high)
                         : "expected a number");
      }
      return;
    }
    case Node::Kind::array:
      if (!value.is_array() || value.as_array().size() > node.size_max) {
        return add(wrong, path,
                   "expected an array" +
                       (node.size_max == kAny
                            ? std::string{}
                            : " of at most " + std::to_string(node.size_max) + " items"));
      }
      for (std::size_t i = 0; i < value.as_array().size(); ++i) {
        node.of.front().check(value.as_array()[i], path + "[" + std::to_string(i) + "]", wrong);
      }
      return;
    case Node::Kind::object:
      return check_members(value, path, wrong);
  }
}

void Schema::check_members(const json::value& value, const std::string& path,
                           std::vector<FieldError>& wrong) const {
  if (!value.is_object()) {
    return add(wrong, path, "expected an object");
  }
  for (const Field& field : node_->fields) {
    const json::value* member = value.as_object().if_contains(field.name);
    if (member != nullptr) {
      field.schema.check(*member, below(path, field.name), wrong);
    } else if (field.required) {
      add(wrong, below(path, field.name), "is missing");
    }
  }
  for (const auto& member : value.as_object()) {
    const std::string_view name{member.key().data(), member.key().size()};
    if (std::ranges::find(node_->fields, name, &Field::name) == node_->fields.end()) {
      add(wrong, below(path, name), "is not known here");
    }
  }
}

// ── Describing ──

json::object Schema::body(json::object& components) const {
  static constexpr std::string_view kTypes[] = {"string", "integer", "number", "boolean",
                                                "",       "array",   "object"};
  const Node& node = *node_;
  json::object out;
  const std::string_view type = kTypes[static_cast<std::size_t>(node.kind)];
  if (!type.empty()) {
    out["type"] = node.nullable ? json::value(json::array{json::string(type), "null"})
                                : json::value(json::string(type));
  }
  if (node.kind == Node::Kind::text) {
    const FormFacts facts = facts_of(node.form);
    if (!facts.pattern.empty()) {
      out["pattern"] = json::string(facts.pattern);
    }
    if (node.form == Form::date_time) {
      out["format"] = "date-time";
    }
    if (!node.words.empty()) {
      json::array words;
      for (const std::string& word : node.words) {
        words.push_back(json::string(word));
      }
      if (node.nullable) {
        words.push_back(nullptr);
      }
      out["enum"] = std::move(words);
    }
    if (node.size_min != 0) {
      out["minLength"] = node.size_min;
    }
    if (node.size_max != kAny) {
      out["maxLength"] = node.size_max;
    }
  }
  if (node.kind == Node::Kind::integer) {
    out["minimum"] = node.min;
    out["maximum"] = node.max;
  }
  if (node.kind == Node::Kind::number && node.bounded) {
    out["minimum"] = node.low;
    out["maximum"] = node.high;
  }
  if (node.kind == Node::Kind::array) {
    out["items"] = node.of.front().describe(components);
    if (node.size_max != kAny) {
      out["maxItems"] = node.size_max;
    }
  }
  if (node.kind == Node::Kind::object) {
    json::object properties;
    json::array required;
    for (const Field& field : node.fields) {
      properties[field.name] = field.schema.describe(components);
      if (field.required) {
        required.push_back(json::string(field.name));
      }
    }
    out["properties"] = std::move(properties);
    if (!required.empty()) {
      out["required"] = std::move(required);
    }
    out["additionalProperties"] = false;
  }
  if (!node.about.empty()) {
    out["description"] = node.about;
  }
  return out;
}

json::object Schema::describe(json::object& components) const {
  const Node& node = *node_;
  if (node.kind != Node::Kind::object || node.name.empty()) {
    return body(components);
  }
  if (!components.contains(node.name)) {
    components[node.name] = nullptr;  // so that a form within itself ends
    Node plain = node;
    plain.nullable = false;
    components[node.name] = Schema(std::make_shared<Node>(std::move(plain))).body(components);
  }
  const json::object reference{{"$ref", "#/components/schemas/" + node.name}};
  if (!node.nullable) {
    return reference;
  }
  return {{"anyOf", json::array{reference, json::object{{"type", "null"}}}}};
}

}  // namespace phase::vcp::api
