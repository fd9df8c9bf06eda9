#include "protocol/manifest/replay.h"

#include <algorithm>

namespace phase::manifest {

Result<void> MemoryReplayRecord::admit(const JobId& id, UtcTime created, UtcTime expires,
                                       UtcTime now) {
  drop_expired(now);
  if (created < began_) {
    return fail(Code::replayed, "the manifest is older than this provider's record of job ids");
  }
  if (expires <= dropped_to_) return fail(Code::expired, "the manifest has expired");
  if (ids_.contains(id)) return fail(Code::replayed, "the job id was seen before");
  if (ids_.size() >= ids_max_) {
    return fail(Code::busy, "the record of job ids is full", "it has room again as ids expire");
  }
  ids_.insert(id);
  by_expiry_.emplace(expires, id);
  return {};
}

void MemoryReplayRecord::drop_expired(UtcTime now) {
  dropped_to_ = std::max(dropped_to_, now);
  const auto end = by_expiry_.upper_bound(dropped_to_);
  for (auto entry = by_expiry_.begin(); entry != end; ++entry) ids_.erase(entry->second);
  by_expiry_.erase(by_expiry_.begin(), end);
}

}  // namespace phase::manifest
