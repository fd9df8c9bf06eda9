// record.h — what a requester remembers of providers: how often they kept their word, how long
// their first output took. Bounded; old news counts less. No clock of its own.
#pragma once

#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "identity/identity.h"

namespace phase::requester {

/// Providers remembered; the one not heard of for longest goes first.
inline constexpr std::size_t kRecordsMax = 4'096;
/// Successes and failures count half after so long.
inline constexpr Duration kRecordHalfLife = 600s;
/// Who sent a receipt that was refused comes after all others for so long.
inline constexpr Duration kRefusedWait = 1800s;
/// A provider that always fails counts as so much further away.
inline constexpr Duration kFailureCost = 2s;

class Record {
 public:
  /// It did the job; `first_output`: from the offer to the first byte, when there was one.
  void succeeded(const identity::PublicKey& key, std::optional<Duration> first_output, Instant now);
  /// It was lost, silent, declined, or gave up.
  void failed(const identity::PublicKey& key, Instant now);
  /// Its receipt, or a checkpoint, was refused.
  void refused(const identity::PublicKey& key, Instant now);

  /// How much further away it counts: the usual time to its first output, and its failures.
  /// Nothing for whom nobody asked yet, so that it is tried.
  [[nodiscard]] Duration cost(const identity::PublicKey& key, Instant now) const;
  /// True while it comes after all others.
  [[nodiscard]] bool comes_last(const identity::PublicKey& key, Instant now) const;
  /// A first output that takes longer than this is late: the usual time and four deviations. Of
  /// anybody when this one was never measured; nothing when nobody was.
  [[nodiscard]] std::optional<Duration> late_after(const identity::PublicKey& key) const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  /// Mean and mean deviation, the newest measurement counting an eighth.
  struct Latency {
    bool measured = false;
    Duration mean{0}, deviation{0};
    void add(Duration one);
    [[nodiscard]] Duration late() const { return mean + 4 * deviation; }
  };
  struct Entry {
    double successes = 0, failures = 0;
    Instant at;  // when these were last made to fade
    Latency first_output;
    std::optional<Instant> last_until;
  };
  Entry& entry(const identity::PublicKey& key, Instant now);

  std::unordered_map<identity::PublicKey, Entry, HashHasher> entries_;
  Latency everybody_;
};

}  // namespace phase::requester
