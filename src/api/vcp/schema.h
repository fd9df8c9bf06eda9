// schema.h — the form of a JSON value, said once: requests are checked against it, and the OpenAPI
// document is written from it (JSON Schema 2020-12, as OpenAPI 3.1 has it).
//
// Values. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

namespace phase::vcp::api {

namespace json = boost::json;

/// One thing that is wrong with a request, by the path of its member.
struct FieldError {
  std::string field, message;
};
/// More of them are not told.
inline constexpr std::size_t kFieldErrorsMax = 16;

struct Field;

class Schema {
 public:
  enum class Form : std::uint8_t { any, node_name, word, base64, sha256, date_time, uuid };

  [[nodiscard]] static Schema text(std::size_t bytes_min = 0, std::size_t bytes_max = kAny);
  [[nodiscard]] static Schema words(std::vector<std::string> words);
  [[nodiscard]] static Schema integer(std::uint64_t min = 0, std::uint64_t max = kIntegerMax);
  [[nodiscard]] static Schema number(double min, double max);
  [[nodiscard]] static Schema number();
  [[nodiscard]] static Schema boolean();
  [[nodiscard]] static Schema anything();
  [[nodiscard]] static Schema array(Schema of, std::size_t items_max = kAny);
  /// Unknown members are refused. `name` is the component in the document.
  [[nodiscard]] static Schema object(std::string name, std::vector<Field> fields);

  [[nodiscard]] Schema form(Form form) const;
  [[nodiscard]] Schema nullable() const;
  [[nodiscard]] Schema about(std::string text) const;

  /// Adds what is wrong with `value`, which stands at `path`.
  void check(const json::value& value, const std::string& path,
             std::vector<FieldError>& wrong) const;
  /// The schema; named objects go to `components` and are referred to.
  [[nodiscard]] json::object describe(json::object& components) const;

  static constexpr std::size_t kAny = SIZE_MAX;
  /// Largest integer that every JSON reader keeps whole (RFC 8259 §6).
  static constexpr std::uint64_t kIntegerMax = (1ULL << 53) - 1;

 private:
  struct Node;
  explicit Schema(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  void check_members(const json::value& value, const std::string& path,
                     std::vector<FieldError>& wrong) const;
  [[nodiscard]] json::object body(json::object& components) const;
  std::shared_ptr<const Node> node_;
};

struct Field {
  std::string name;
  Schema schema;
  bool required = true;
};
[[nodiscard]] inline Field optional(std::string name, Schema schema) {
  return {std::move(name), std::move(schema), false};
}

}  // namespace phase::vcp::api
