// state.h — what a Store holds. Private to this folder.
#pragma once

#include "sql/database.h"
#include "store/store.h"

namespace phase::store {

struct Store::State {
  StoreOptions options;
  sql::Database database;

  // Facts, as in the file.
  std::uint64_t record_start = 0;    ///< manifests created before are refused
  std::uint64_t pruned_through = 0;  ///< the highest expiry of a forgotten id

  // Counts, so that limits cost no query.
  std::uint64_t replay_count = 0;
  std::uint64_t receipt_count = 0;
  std::uint64_t finished_count = 0;
  std::uint64_t transcript_bytes = 0;
  std::uint64_t next_replay_prune = 0;  ///< unix ms

  // Prepared once; each is reset after use.
  sql::Statement put_fact, has_replay, add_replay;
  sql::Statement add_receipt, get_receipt, drop_oldest_receipt;
  sql::Statement put_job, get_job, list_jobs, list_unfinished, job_state;
  sql::Statement add_part, get_part;

  /// Statements and counts. Called once, after migration.
  [[nodiscard]] Result<void> prepare();
  /// Reads the facts, or makes those of a new file; notices an unclean end of an earlier uptime.
  [[nodiscard]] Result<void> begin(UtcTime now);
  [[nodiscard]] Result<void> set_fact(std::string_view name, ByteView value);
  [[nodiscard]] Result<void> set_fact(std::string_view name, std::uint64_t value);
  [[nodiscard]] Result<std::optional<Bytes>> fact(std::string_view name);
  [[nodiscard]] Result<std::uint64_t> fact_number(std::string_view name);
  /// Forgets up to kReplaysPrunedAtOnce ids that expired.
  [[nodiscard]] Result<void> prune_replays(UtcTime now);
  /// One bounded step towards the limits on jobs and transcripts.
  [[nodiscard]] Result<void> prune_jobs();
  /// Removes up to kPartsPrunedAtOnce parts of a job's transcript. True: none is left.
  [[nodiscard]] Result<bool> drop_parts(std::uint64_t job_number);
};

/// Rows one call deletes at most: keeps each call short.
inline constexpr int kReplaysPrunedAtOnce = 1024;
inline constexpr int kPartsPrunedAtOnce = 8;
inline constexpr int kReceiptsPrunedAtOnce = 4;
/// Expired ids are looked for this often, ms.
inline constexpr std::uint64_t kReplayPruneIntervalMs = 10'000;

}  // namespace phase::store
