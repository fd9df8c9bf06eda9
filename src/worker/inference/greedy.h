// greedy.h — the most likely token under penalties, without a list of the whole vocabulary.
//
// What the engine's chain of penalties and top-k 1 chooses, in one pass: the engine sorts a copy of
// all logits and looks each up among the last tokens. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>

namespace phase::worker::inference {

struct Penalties {
  std::size_t last = 0;  ///< tokens back that count; 0: none do
  float repeat = 1, frequency = 0, presence = 0;
};

class Greedy {
 public:
  explicit Greedy(Penalties penalties);

  /// The next token of the text is this.
  void accept(std::int32_t token);
  /// The index of the largest logit under the penalties, the first of several; `logits` is changed
  /// only while this runs. It must not be empty.
  [[nodiscard]] std::int32_t choose(std::span<float> logits) const;

 private:
  [[nodiscard]] float penalized(float logit, std::size_t count) const;

  Penalties penalties_;
  std::deque<std::int32_t> window_;
  std::map<std::int32_t, std::size_t> counts_;  ///< of the tokens in the window
};

}  // namespace phase::worker::inference
