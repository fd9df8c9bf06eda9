#include "vcp/scheduler/weights.h"

#include <bit>

#include "base/check.h"

namespace phase::vcp {

WeightTree::WeightTree(std::size_t size)
    : sums_(size + 1, 0), weights_(size, 0), top_(std::bit_floor(size)) {}

void WeightTree::set(std::size_t index, std::uint32_t weight) {
  PHASE_CHECK(index < weights_.size());
  const std::uint64_t before = weights_[index];
  if (before == weight) return;
  weights_[index] = weight;
  total_ += weight - before;
  for (std::size_t at = index + 1; at < sums_.size(); at += at & (~at + 1)) {
    sums_[at] += weight - before;
  }
}

std::size_t WeightTree::find(std::uint64_t at) const {
  PHASE_CHECK(at < total_);
  std::size_t index = 0;
  for (std::size_t step = top_; step != 0; step /= 2) {
    if (index + step < sums_.size() && sums_[index + step] <= at) {
      index += step;
      at -= sums_[index];
    }
  }
  return index;
}

}  // namespace phase::vcp
