#include "sdk/cpp/event_reader.h"

#include <algorithm>
#include <utility>

namespace phase::sdk {

Result<void> EventReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + current_.data.size() + piece.size() > event_bytes_max_) {
      return fail(Code::too_large, "an event of the daemon has more than " +
                                       std::to_string(event_bytes_max_) + " bytes");
    }
    partial_ += piece;
    if (end == std::string_view::npos) {
      return {};
    }
    bytes.remove_prefix(end + 1);
    if (partial_.ends_with('\r')) {
      partial_.pop_back();
    }
    const std::string whole = std::exchange(partial_, {});
    line(whole);
  }
  return {};
}

void EventReader::line(std::string_view text) {
  if (text.empty()) {
    if (has_data_) {
      ready_.push_back(current_);
    }
    const std::string id = std::move(current_.id);  // an id stays in force until another comes
    current_ = {id, {}, {}};
    has_data_ = false;
    return;
  }
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view field = text.substr(0, colon);
  std::string_view value = text.substr(std::min(colon + 1, text.size()));
  if (value.starts_with(' ')) {
    value.remove_prefix(1);
  }
  if (field == "data") {
    current_.data += has_data_ ? "\n" : "";
    current_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    current_.name = value;
  } else if (field == "id") {
    current_.id = value;
  }
}

bool EventReader::take(RawEvent& event) {
  if (ready_.empty()) {
    return false;
  }
  event = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

}  // namespace phase::sdk
