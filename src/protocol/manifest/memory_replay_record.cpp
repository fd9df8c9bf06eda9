#include "protocol/manifest/memory_replay_record.h"

#include <algorithm>

namespace phase::manifest {

Result<void> MemoryReplayRecord::admit(const JobId& id, UtcTime created, UtcTime expires,
                                       UtcTime now) {
  dropped_to_ = std::max(dropped_to_, now);
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= dropped_to_) {
    by_id_.erase(by_expiry_.begin()->second);
    by_expiry_.erase(by_expiry_.begin());
  }
  if (created < began_) return fail(Code::replayed, "manifest is older than the replay record");
  if (expires <= dropped_to_) return fail(Code::expired, "manifest has expired");
  if (by_id_.contains(id)) return fail(Code::replayed, "job " + id.hex() + " was seen before");
  if (by_id_.size() >= entries_max_) return fail(Code::busy, "replay record is full");
  by_id_.emplace(id, expires);
  by_expiry_.emplace(expires, id);
  return {};
}

}  // namespace phase::manifest
