// memory_replay_record.h — ReplayRecord in memory, for tests, simulation and one-shot nodes.
#pragma once

#include <map>

#include "protocol/manifest/manifest.h"

namespace phase::manifest {

class MemoryReplayRecord final : public ReplayRecord {
 public:
  /// `began`: manifests created before it are refused. `entries_max`: ids remembered at once.
  explicit MemoryReplayRecord(UtcTime began, std::size_t entries_max = kReplayRecordMax)
      : began_(began), entries_max_(entries_max) {}

  /// Also refuses (Code::expired) what expires no later than ids it already dropped: a clock that
  /// goes back must not let a forgotten id in again.
  [[nodiscard]] Result<void> admit(const JobId& id, UtcTime created, UtcTime expires,
                                   UtcTime now) override;
  [[nodiscard]] std::size_t size() const noexcept { return by_id_.size(); }

 private:
  UtcTime began_;
  std::size_t entries_max_;
  UtcTime dropped_to_;  // what expires up to here may have been forgotten
  std::map<JobId, UtcTime> by_id_;
  std::multimap<UtcTime, JobId> by_expiry_;
};

}  // namespace phase::manifest
