// strict_json.h — JSON of a request, as strictly as spec/inference.md §1 wants it.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::worker::inference {

inline constexpr std::size_t kJsonDepthMax = 64;

/// RFC 8259 text, UTF-8, at most kJsonDepthMax levels, no name twice in an object.
/// Errors: Code::malformed, with what is wrong.
[[nodiscard]] Result<boost::json::value> parse_strictly(ByteView text);

/// Takes an object's members by name; what nobody took is an error. The first error stays, and
/// everything taken after it is empty.
class Members {
 public:
  explicit Members(const boost::json::value& value);

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name);  ///< empty when absent or null
  [[nodiscard]] bool boolean(std::string_view name, bool otherwise);
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise,
                                     std::int64_t low, std::int64_t high);
  /// Null when absent.
  [[nodiscard]] const boost::json::value* any(std::string_view name);
  [[nodiscard]] const boost::json::array* list(std::string_view name, std::size_t count_max);
  void refuse(std::string why);
  /// Errors: Code::malformed for the first thing that was wrong, or a member nobody took.
  [[nodiscard]] Result<void> close() const;

 private:
  const boost::json::object* object_ = nullptr;
  std::set<std::string, std::less<>> taken_;
  std::string wrong_;
};

}  // namespace phase::worker::inference
