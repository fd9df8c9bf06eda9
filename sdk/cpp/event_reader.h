// event_reader.h — server-sent events out of a byte stream (WHATWG HTML §9.2.6). Private to this
// folder.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "base/result.h"

namespace phase::sdk {

struct RawEvent {
  std::string id, name, data;
};

/// Feed bytes as they come; take whole events.
class EventReader {
 public:
  explicit EventReader(std::uint64_t event_bytes_max) : event_bytes_max_(event_bytes_max) {}
  /// Errors: Code::too_large for an event above the limit.
  [[nodiscard]] Result<void> feed(std::string_view bytes);
  /// False: none complete.
  [[nodiscard]] bool take(RawEvent& event);

 private:
  void line(std::string_view text);
  std::uint64_t event_bytes_max_;
  std::string partial_;  // a line that has not ended
  RawEvent current_;
  bool has_data_ = false;
  std::deque<RawEvent> ready_;
};

}  // namespace phase::sdk
