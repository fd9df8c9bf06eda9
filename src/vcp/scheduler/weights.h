// weights.h — a sum tree: pick an index with a probability in proportion to its weight, change a
// weight, both in logarithmic time (Fenwick 1994).
#pragma once

#include <cstdint>
#include <vector>

namespace phase::vcp {

class WeightTree {
 public:
  /// All weights are zero.
  explicit WeightTree(std::size_t size);
  /// Sums stay below 2^64: at most 2^32 per weight.
  void set(std::size_t index, std::uint32_t weight);
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  /// The index that `at` falls on when all weights are laid end to end. Requires at < total().
  [[nodiscard]] std::size_t find(std::uint64_t at) const;

 private:
  std::vector<std::uint64_t> sums_;  // 1-based; sums_[i] covers i - lowbit(i) + 1 … i
  std::vector<std::uint32_t> weights_;
  std::size_t top_;  // the largest power of two ≤ size
  std::uint64_t total_ = 0;
};

}  // namespace phase::vcp
