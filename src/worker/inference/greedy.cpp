#include "worker/inference/greedy.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

namespace phase::worker::inference {
namespace {

// Lanes that are compared side by side, as the processor can.
constexpr std::size_t kLanes = 16;

float largest(std::span<const float> values) {
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t at = 0;
  for (; at + kLanes <= values.size(); at += kLanes) {
    for (std::size_t i = 0; i < kLanes; i++) {
      lanes[i] = lanes[i] < values[at + i] ? values[at + i] : lanes[i];
    }
  }
  float out = *std::ranges::max_element(lanes);
  for (; at < values.size(); at++) out = std::max(out, values[at]);
  return out;
}

}  // namespace

Greedy::Greedy(Penalties penalties) : penalties_(penalties) {
  const bool any =
      penalties_.repeat != 1.0F || penalties_.frequency != 0 || penalties_.presence != 0;
  if (!any) penalties_.last = 0;
}

void Greedy::accept(std::int32_t token) {
  if (penalties_.last == 0) return;
  if (window_.size() >= penalties_.last) {
    const auto oldest = counts_.find(window_.front());
    if (--oldest->second == 0) counts_.erase(oldest);
    window_.pop_front();
  }
  window_.push_back(token);
  counts_[token]++;
}

// A logit below zero is multiplied: dividing would make it likelier.
float Greedy::penalized(float logit, std::size_t count) const {
  const float repeated = logit <= 0 ? logit * penalties_.repeat : logit / penalties_.repeat;
  return repeated - static_cast<float>(count) * penalties_.frequency - penalties_.presence;
}

std::int32_t Greedy::choose(std::span<float> logits) const {
  std::vector<std::pair<std::size_t, float>> changed;
  changed.reserve(counts_.size());
  for (const auto& [token, count] : counts_) {
    const auto at = static_cast<std::size_t>(token);
    if (token < 0 || at >= logits.size()) continue;
    changed.emplace_back(at, logits[at]);
    logits[at] = penalized(logits[at], count);
  }
  const float best = largest(logits);
  const auto found = std::ranges::find(logits, best);
  for (const auto& [at, logit] : changed) logits[at] = logit;
  // Not-a-number compares with nothing: a model that gives only that says its first token.
  return found == logits.end() ? 0 : static_cast<std::int32_t>(found - logits.begin());
}

}  // namespace phase::worker::inference
