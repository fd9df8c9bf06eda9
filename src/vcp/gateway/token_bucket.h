// token_bucket.h — how long to wait before some bytes may go on.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace phase::vcp::gateway {

/// Shared by all who send under one limit; a value, no clock of its own. What was taken above the
/// limit is a debt that the next ones wait for, too, so the rate holds whoever sends.
class TokenBucket {
 public:
  /// Bytes a second; 0: no limit. The bucket is full at first: a tenth of a second's bytes, but at
  /// least kBurstBytesMin.
  explicit TokenBucket(std::uint64_t rate = 0);
  /// What was taken stays taken.
  void set_rate(std::uint64_t rate);
  /// Takes `bytes` and answers when they may be sent: after this time from `now`.
  [[nodiscard]] Duration take(std::uint64_t bytes, Instant now);

 private:
  std::uint64_t rate_ = 0;
  double held_ = 0;  ///< below 0: a debt
  Instant at_;
  bool begun_ = false;
};
inline constexpr std::uint64_t kBurstBytesMin = 16'384;

}  // namespace phase::vcp::gateway
