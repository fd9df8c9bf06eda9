// field_table.h — every field the HTTP faces of lucidd know: what it does, or the error it returns,
// and the test that shows it.
//
// One place: requests are read by it (a name that does not stand here is refused), and the table of
// spec/lucid-api.md is made of it (tests/lucid_fields).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include "base/result.h"

namespace phase::faces {

enum class Treatment : std::uint8_t {
  effect,   ///< does what `what` says
  refused,  ///< an error, `what`, where it says something: not null, false, "", [] or {}
};

struct FieldRow {
  std::string_view section;  ///< "ollama.chat"
  std::string_view name;
  Treatment treatment = Treatment::effect;
  std::string_view what;  ///< `{model}` stands for the model's name
  std::string_view test;  ///< "Suite.Name"
};
/// A group of fields: the body of a request, or an object inside one.
struct FieldSection {
  std::string_view name;
  std::string_view title;  ///< "POST /api/chat", "messages[] of /api/chat"
};

[[nodiscard]] std::span<const FieldSection> field_sections() noexcept;
[[nodiscard]] std::span<const FieldRow> field_table() noexcept;

/// Every name of the object stands in the section, and no refused one says something. `place` goes
/// before names in messages ("options."), `model` into those of refused fields. Errors:
/// Code::invalid_argument that names the field.
[[nodiscard]] Result<void> check_fields(const boost::json::object& object, std::string_view section,
                                        std::string_view place, std::string_view model);

}  // namespace phase::faces
