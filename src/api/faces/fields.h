// fields.h — reading members of a request by name and type. Null is the same as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/faces/field_table.h"
#include "api/faces/json_text.h"

namespace phase::faces {

/// The members of one object, which it borrows. Errors everywhere: Code::invalid_argument, naming
/// the field.
class Fields {
 public:
  /// Checks the names against the table first.
  [[nodiscard]] static Result<Fields> open(json::object& object, std::string_view section,
                                           std::string place = {}, std::string_view model = {});

  /// Null when absent.
  [[nodiscard]] json::value* find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }

  /// Empty when absent.
  [[nodiscard]] Result<std::string> text(std::string_view name) const;
  [[nodiscard]] Result<bool> boolean(std::string_view name, bool otherwise) const;
  /// A whole number; 3.0 counts as one.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view name, std::int64_t min,
                                                            std::int64_t max) const;
  /// A number as parts per million.
  [[nodiscard]] Result<std::optional<std::int64_t>> ppm(std::string_view name, double min,
                                                        double max) const;
  /// A text or a list of texts; empty when absent.
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view name,
                                                       std::size_t count_max) const;
  [[nodiscard]] Result<json::object*> object(std::string_view name) const;  ///< null when absent
  [[nodiscard]] Result<json::array*> array(std::string_view name) const;    ///< null when absent

  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view name, std::string_view expected) const;
  /// "options.stop": a name as messages say it.
  [[nodiscard]] std::string path(std::string_view name) const { return place_ + std::string{name}; }

 private:
  Fields(json::object& object, std::string place) : object_(&object), place_(std::move(place)) {}
  json::object* object_;
  std::string place_;
};

/// `model` or the older `name`. Errors: Code::invalid_argument when there is none.
[[nodiscard]] Result<std::string> model_name(const Fields& fields);

}  // namespace phase::faces
