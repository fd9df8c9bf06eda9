#include "policy/budget.h"

#include <algorithm>

namespace phase::policy {
namespace {

/// Units of one job: nanoseconds of a minute.
constexpr std::uint64_t kJobUnits = 60'000'000'000;
constexpr Duration kSweepInterval = 1s;

constexpr std::uint64_t capacity(std::uint32_t per_minute) {
  return std::uint64_t{per_minute} * kJobUnits;
}
/// Keeps every product of a rate and a minute within 64 bits, refill included.
constexpr std::uint32_t kPerMinuteMax = 100'000'000;
static_assert(2 * capacity(kPerMinuteMax) > capacity(kPerMinuteMax));
static_assert(capacity(kPerMinuteMax) / kJobUnits == kPerMinuteMax);

}  // namespace

Budget::Budget(BudgetLimits limits) : limits_(limits) {
  limits_.per_key = std::min(limits_.per_key, kPerMinuteMax);
  limits_.per_peer = std::min(limits_.per_peer, kPerMinuteMax);
  limits_.total = std::min(limits_.total, kPerMinuteMax);
  total_.units = capacity(limits_.total);
}

void Budget::refill(Bucket& bucket, std::uint32_t per_minute, Instant now) {
  const std::int64_t passed = std::max<std::int64_t>(0, (now - bucket.refilled).count());
  // A minute fills any bucket, so that the product below stays small.
  const auto ns = static_cast<std::uint64_t>(
      std::min<std::int64_t>(passed, static_cast<std::int64_t>(kJobUnits)));
  bucket.units = std::min(capacity(per_minute), bucket.units + ns * per_minute);
  bucket.refilled = std::max(bucket.refilled, now);
}

std::optional<Duration> Budget::wait_of(const Bucket& bucket, std::uint32_t per_minute) {
  if (bucket.units >= kJobUnits) {
    return std::nullopt;
  }
  if (per_minute == 0) {
    return Duration{static_cast<std::int64_t>(kJobUnits)};
  }
  const std::uint64_t missing = kJobUnits - bucket.units;
  return Duration{static_cast<std::int64_t>((missing + per_minute - 1) / per_minute)};
}

void Budget::sweep(Buckets& buckets, std::uint32_t per_minute, Instant now) {
  for (auto it = buckets.begin(); it != buckets.end();) {
    refill(it->second, per_minute, now);
    it = it->second.units == capacity(per_minute) ? buckets.erase(it) : std::next(it);
  }
}

Budget::Bucket* Budget::bucket_of(Buckets& buckets, const identity::PublicKey& id,
                                  std::uint32_t per_minute, Instant now) {
  if (const auto found = buckets.find(id); found != buckets.end()) {
    refill(found->second, per_minute, now);
    return &found->second;
  }
  if (buckets.size() >= limits_.buckets_max) {
    if (swept_.ns != 0 && now - swept_ < kSweepInterval) {
      return nullptr;
    }
    swept_ = now;
    sweep(buckets, per_minute, now);
    if (buckets.size() >= limits_.buckets_max) {
      return nullptr;
    }
  }
  return &buckets.emplace(id, Bucket{capacity(per_minute), now}).first->second;
}

std::optional<Duration> Budget::take(const identity::PublicKey& key,
                                     const identity::PublicKey& peer, Instant now) {
  refill(total_, limits_.total, now);
  if (const auto wait = wait_of(total_, limits_.total)) {
    return wait;  // before any table grows
  }
  Bucket* const of_key = bucket_of(keys_, key, limits_.per_key, now);
  Bucket* const of_peer =
      of_key == nullptr ? nullptr : bucket_of(peers_, peer, limits_.per_peer, now);
  if (of_peer == nullptr) {
    return kSweepInterval;
  }
  const auto key_wait = wait_of(*of_key, limits_.per_key);
  const auto peer_wait = wait_of(*of_peer, limits_.per_peer);
  if (key_wait || peer_wait) {
    return std::max(key_wait.value_or(Duration{}), peer_wait.value_or(Duration{}));
  }
  total_.units -= kJobUnits;
  of_key->units -= kJobUnits;
  of_peer->units -= kJobUnits;
  return std::nullopt;
}

}  // namespace phase::policy
