// text_gate.h — lets the text of tokens out as whole characters and never as part of a stop string.
//
// Tokens end anywhere: in the middle of a character, or of a stop string. What could still become
// either is held back until it is decided. Bytes that cannot be UTF-8 become U+FFFD. Pure values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phase::worker::inference {

class TextGate {
 public:
  TextGate() = default;
  /// Empty stop strings are ignored.
  explicit TextGate(std::vector<std::string> stops);

  /// Takes the next bytes and returns what can go out now. After a stop string was found nothing
  /// goes out any more.
  [[nodiscard]] std::string push(std::string_view bytes);
  /// What was held back, at the end of the text.
  [[nodiscard]] std::string finish();
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  /// The stop string that was found; empty before.
  [[nodiscard]] const std::string& stopped_by() const noexcept { return stopped_by_; }
  /// Bytes that went in so far and have not gone out.
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }

 private:
  std::vector<std::string> stops_;
  std::string held_, stopped_by_;
  bool stopped_ = false;
};

/// Bytes at the end of `text` that begin a character and do not finish it: 0 … 3.
[[nodiscard]] std::size_t unfinished_character(std::string_view text) noexcept;

}  // namespace phase::worker::inference
