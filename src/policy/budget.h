// budget.h — how many jobs per minute: for each requester key, for each delivering peer, and in
// all.
//
// Token buckets: a budget of n jobs a minute holds at most n and refills evenly, so n jobs may come
// at once and n more over the next minute. Belongs to one executor; never blocks, reads no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "identity/identity.h"

namespace phase::policy {

/// Jobs a minute. 0: none. Above 100 million counts as that.
struct BudgetLimits {
  std::uint32_t per_key = 600;
  std::uint32_t per_peer = 600;
  std::uint32_t total = 6'000;
  /// Keys, and peers, remembered at once. A bucket that is full again is forgotten. When there is
  /// no place for another, newcomers wait; nobody's debt is forgotten. While `total` is below it
  /// this cannot happen.
  std::size_t buckets_max = 16'384;
};

class Budget {
 public:
  explicit Budget(BudgetLimits limits);

  /// Takes one job from all three buckets, or from none. Returns how long to wait when one is
  /// empty.
  [[nodiscard]] std::optional<Duration> take(const identity::PublicKey& key,
                                             const identity::PublicKey& peer, Instant now);
  /// Keys and peers remembered now.
  [[nodiscard]] std::size_t buckets() const noexcept { return keys_.size() + peers_.size(); }

 private:
  /// Counts in units of 1/60e9 job, so that n jobs a minute refill n units each nanosecond: exact.
  struct Bucket {
    std::uint64_t units = 0;
    Instant refilled;
  };
  using Buckets = std::unordered_map<identity::PublicKey, Bucket, HashHasher>;

  static void refill(Bucket& bucket, std::uint32_t per_minute, Instant now);
  [[nodiscard]] static std::optional<Duration> wait_of(const Bucket& bucket,
                                                       std::uint32_t per_minute);
  /// The refilled bucket of `id`, made when there is place; null when there is none.
  [[nodiscard]] Bucket* bucket_of(Buckets& buckets, const identity::PublicKey& id,
                                  std::uint32_t per_minute, Instant now);
  void sweep(Buckets& buckets, std::uint32_t per_minute, Instant now);

  BudgetLimits limits_;
  Bucket total_;
  Buckets keys_, peers_;
  Instant swept_;  // a sweep visits every bucket: at most one a second
};

}  // namespace phase::policy
