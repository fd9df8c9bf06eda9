// arbitrary_request.h — for fuzzing: JSON objects out of any bytes, with the names that requests
// have, so that readers are reached and not only the parser.
#pragma once

#include <array>

#include <boost/json.hpp>

#include "api/faces/field_table.h"
#include "base/bytes.h"

namespace phase::faces {

class ArbitraryRequest {
 public:
  explicit ArbitraryRequest(ByteView bytes) : rest_(bytes) {}
  [[nodiscard]] std::string text() { return boost::json::serialize(object(kDepth)); }

 private:
  static constexpr int kDepth = 5;

  std::size_t below(std::size_t bound) {
    std::size_t out = 0;
    for (int i = 0; i < 2 && !rest_.empty(); ++i) {
      out = out << 8 | rest_.front();
      rest_ = rest_.subspan(1);
    }
    return out % bound;
  }

  boost::json::object object(int depth) {
    const auto rows = field_table();
    const std::string_view section = rows[below(rows.size())].section;
    boost::json::object out{{"model", "m"}};
    for (const FieldRow& row : rows) {
      if (row.section == section && below(3) == 0) {
        out[row.name] = value(depth - 1);
      }
    }
    if (below(16) == 0) {
      out[rows[below(rows.size())].name] = value(depth - 1);
    }
    return out;
  }

  boost::json::value value(int depth) {
    static constexpr std::array<std::string_view, 16> kTexts{
        "",           "json", "user",        "assistant",     "tool",
        "function",   "text", "json_object", "function_call", "function_call_output",
        "message",    "5m",   "{}",          "tool_use",      "tool_result",
        "json_schema"};
    switch (below(depth > 0 ? 9 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return static_cast<std::int64_t>(below(65'536)) - 3;
      case 3:
        return static_cast<double>(below(65'536)) / 1'000;
      case 4:
      case 5:
        return boost::json::value(kTexts[below(kTexts.size())]);
      case 6: {
        boost::json::array out;
        for (std::size_t i = 0, n = below(4); i < n; ++i) {
          out.push_back(value(depth - 1));
        }
        return out;
      }
      default:
        return object(depth);
    }
  }

  ByteView rest_;
};

}  // namespace phase::faces
