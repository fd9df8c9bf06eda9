#include "protocol/requester/record.h"

#include <algorithm>
#include <cmath>

namespace phase::requester {
namespace {

constexpr int kNewsShare = 8;

/// What is left of a count after so long.
double fade(Duration since) {
  return std::exp2(-static_cast<double>(since.count()) /
                   static_cast<double>(kRecordHalfLife.count()));
}

}  // namespace

void Record::Latency::add(Duration one) {
  if (!measured) {
    measured = true;
    mean = one;
    deviation = one / 2;
    return;
  }
  const Duration off = one - mean;
  mean += off / kNewsShare;
  deviation += (std::chrono::abs(off) - deviation) / kNewsShare;
}

Record::Entry& Record::entry(const identity::PublicKey& key, Instant now) {
  if (entries_.size() >= kRecordsMax && !entries_.contains(key)) {
    entries_.erase(std::ranges::min_element(entries_, {}, [](const auto& one) {
      return one.second.last_until.value_or(one.second.at);
    }));
  }
  const auto [found, made] = entries_.try_emplace(key);
  Entry& one = found->second;
  if (!made) {
    const double left = fade(now - one.at);
    one.successes *= left;
    one.failures *= left;
  }
  one.at = now;
  return one;
}

void Record::succeeded(const identity::PublicKey& key, std::optional<Duration> first_output,
                       Instant now) {
  Entry& one = entry(key, now);
  one.successes += 1;
  if (!first_output) return;
  one.first_output.add(*first_output);
  everybody_.add(*first_output);
}

void Record::failed(const identity::PublicKey& key, Instant now) {
  entry(key, now).failures += 1;
}

void Record::refused(const identity::PublicKey& key, Instant now) {
  Entry& one = entry(key, now);
  one.failures += 1;
  one.last_until = now + kRefusedWait;
}

Duration Record::cost(const identity::PublicKey& key, Instant now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return Duration{0};
  const Entry& one = found->second;
  const double left = fade(now - one.at);
  // One success more than there was: a first failure is not yet a habit.
  const double share = one.failures * left / ((one.successes + one.failures) * left + 1);
  const auto failures =
      static_cast<std::int64_t>(share * static_cast<double>(kFailureCost.count()));
  return one.first_output.mean + Duration(failures);
}

bool Record::comes_last(const identity::PublicKey& key, Instant now) const {
  const auto found = entries_.find(key);
  return found != entries_.end() && found->second.last_until && now < *found->second.last_until;
}

std::optional<Duration> Record::late_after(const identity::PublicKey& key) const {
  const auto found = entries_.find(key);
  if (found != entries_.end() && found->second.first_output.measured) {
    return found->second.first_output.late();
  }
  if (everybody_.measured) return everybody_.late();
  return std::nullopt;
}

}  // namespace phase::requester
