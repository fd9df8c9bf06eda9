// rate_limit.h — token buckets: how often who may ask, by kind of request.
//
// Pure but for the time that is passed in. Belongs to one executor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/vcp/api_server.h"

namespace phase::vcp::api {

enum class Tier : std::uint8_t { none, auth, node, task, proof, general, read };
[[nodiscard]] std::string_view tier_name(Tier tier) noexcept;
[[nodiscard]] const Rate& rate_of(const Rates& rates, Tier tier) noexcept;

inline constexpr std::size_t kBucketsMax = 100'000;
/// A bucket that was not asked for so long is full again, and dropped.
inline constexpr Duration kBucketIdle = 600s;

class RateLimiter {
 public:
  explicit RateLimiter(std::size_t buckets_max = kBucketsMax) : buckets_max_(buckets_max) {}
  /// Takes one token of the bucket of `subject` and `tier`: nothing when it had one, else how long
  /// until it has. A rate of 0 lets nothing pass.
  [[nodiscard]] std::optional<Duration> take(std::string_view subject, Tier tier, const Rate& rate,
                                             Instant now);
  [[nodiscard]] std::size_t buckets() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    Instant at;
  };
  void make_room(Instant now);
  std::size_t buckets_max_;
  Instant cleaned_;
  std::unordered_map<std::string, Bucket> buckets_;
};

/// Addresses in CIDR notation, "10.0.0.0/8" or "2001:db8::/32".
class AddressSet {
 public:
  /// Errors: Code::invalid_argument naming the text.
  [[nodiscard]] static Result<AddressSet> parse(const std::vector<std::string>& cidrs);
  [[nodiscard]] bool contains(std::string_view address) const;

 private:
  struct Range {
    std::vector<std::uint8_t> bytes;
    unsigned bits = 0;
  };
  std::vector<Range> ranges_;
};

/// Whom the peer at `peer` speaks for: the last address in `forwarded` (X-Forwarded-For) that is no
/// trusted proxy, where the peer is one; else itself. `real` (X-Real-IP) where nothing was
/// forwarded.
[[nodiscard]] std::string client_address(const std::string& peer, std::string_view forwarded,
                                         std::string_view real, const AddressSet& trusted);
[[nodiscard]] bool is_loopback(std::string_view address);

}  // namespace phase::vcp::api
