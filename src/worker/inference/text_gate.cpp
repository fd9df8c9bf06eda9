#include "worker/inference/text_gate.h"

#include <algorithm>

#include "worker/inference/message.h"

namespace phase::worker::inference {
namespace {

// How many bytes the character takes that this byte begins; 0: it begins none.
std::size_t announced_length(unsigned char first) {
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return first < 0x80 ? 1 : 0;
}

// The longest end of `text` that begins `stop`.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t length = std::min(text.size(), stop.size() - 1); length > 0; length--) {
    if (text.ends_with(stop.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace

std::size_t unfinished_character(std::string_view text) noexcept {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); back++) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return announced_length(byte) > back ? back : 0;
  }
  return 0;
}

TextGate::TextGate(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string TextGate::push(std::string_view bytes) {
  if (stopped_) return {};
  held_ += bytes;
  std::size_t found = std::string::npos, keep = unfinished_character(held_);
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at < found) stopped_by_ = stop;
    found = std::min(found, at);
    keep = std::max(keep, overlap(held_, stop));
  }
  if (found != std::string::npos) {
    stopped_ = true;
    const std::string out = well_formed(std::string_view(held_).substr(0, found));
    held_.clear();
    return out;
  }
  std::string out = well_formed(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string TextGate::finish() {
  std::string out = well_formed(held_);
  held_.clear();
  return out;
}

}  // namespace phase::worker::inference
