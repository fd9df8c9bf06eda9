// model_name.h — names of models as Ollama spells them: [namespace/]name[:tag].
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::lucid {

inline constexpr std::size_t kModelNameBytesMax = 350;  ///< all parts together
inline constexpr std::size_t kModelPartBytesMax = 80;

/// A name in one spelling: lower case, tag written out, the default namespace left out.
struct ModelName {
  std::string space;  ///< empty: the default one, "library"
  std::string name;
  std::string tag = "latest";

  /// "tiny:latest", "someone/tiny:q8".
  [[nodiscard]] std::string text() const;
  friend auto operator<=>(const ModelName&, const ModelName&) = default;

  /// Reads what a user or client wrote; a host before the namespace is dropped. Errors:
  /// Code::invalid_argument.
  [[nodiscard]] static Result<ModelName> parse(std::string_view text);
};

}  // namespace phase::lucid
