#include "vcp/gateway/token_bucket.h"

#include <algorithm>

namespace phase::vcp::gateway {
namespace {

double burst(std::uint64_t rate) {
  return static_cast<double>(std::max(rate / 10, kBurstBytesMin));
}

}  // namespace

TokenBucket::TokenBucket(std::uint64_t rate) : rate_(rate), held_(burst(rate)) {}

void TokenBucket::set_rate(std::uint64_t rate) {
  rate_ = rate;
  held_ = std::min(held_, burst(rate));
}

Duration TokenBucket::take(std::uint64_t bytes, Instant now) {
  if (rate_ == 0) return Duration::zero();
  const auto rate = static_cast<double>(rate_);
  if (begun_ && now > at_) {
    const std::chrono::duration<double> passed = now - at_;
    held_ = std::min(held_ + passed.count() * rate, burst(rate_));
  }
  begun_ = true;
  at_ = std::max(at_, now);
  held_ -= static_cast<double>(bytes);
  if (held_ >= 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-held_ / rate));
}

}  // namespace phase::vcp::gateway
