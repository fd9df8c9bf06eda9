// replay.h — a replay record that lives as long as its process. Normative: spec/manifest.md.
//
// For tests and simulations; a daemon uses the durable one of src/store.
#pragma once

#include <cstddef>
#include <map>
#include <unordered_set>

#include "protocol/manifest/manifest.h"

namespace phase::manifest {

class MemoryReplayRecord final : public ReplayRecord {
 public:
  /// Knows nothing of manifests created before `began`, so it refuses them.
  explicit MemoryReplayRecord(UtcTime began, std::size_t ids_max = kReplayRecordMax)
      : began_(began), ids_max_(ids_max) {}

  /// Also refuses (Code::expired) what expires no later than an id it already dropped: a clock that
  /// went back must not let a forgotten id in again.
  [[nodiscard]] Result<void> admit(const JobId& id, UtcTime created, UtcTime expires,
                                   UtcTime now) override;
  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

 private:
  void drop_expired(UtcTime now);

  UtcTime began_;
  std::size_t ids_max_;
  UtcTime dropped_to_;  // everything that expires up to here may have been forgotten
  std::unordered_set<JobId, HashHasher> ids_;
  std::multimap<UtcTime, JobId> by_expiry_;
};

}  // namespace phase::manifest
