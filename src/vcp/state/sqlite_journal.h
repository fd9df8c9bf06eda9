// sqlite_journal.h — the journal in one SQLite file, written by a thread of its own.
//
// Batches that come while one is written go together into the next transaction (group commit), so
// the disk's fsync bounds the latency of a commit, not their number.
#pragma once

#include <filesystem>
#include <memory>

#include "vcp/state/journal.h"

namespace phase::vcp {

/// Batches of one transaction; more wait for the next.
inline constexpr std::size_t kBatchesAtOnce = 4'096;

class SqliteJournal final : public Journal {
 public:
  /// Opens or makes the file. Errors: those of sql::Database::open and sql::migrate.
  [[nodiscard]] static Result<std::unique_ptr<SqliteJournal>> open(
      asio::any_io_executor executor, Clock& clock, const std::filesystem::path& file);
  ~SqliteJournal() override;  ///< what was appended is written first

  [[nodiscard]] Task<Result<Loaded>> load() override;
  void append(Batch batch) override;
  [[nodiscard]] Task<Result<void>> settled() override;
  [[nodiscard]] std::size_t waiting() const override;
  [[nodiscard]] Task<Result<std::optional<TaskRow>>> task(TaskId id) override;
  [[nodiscard]] Task<Result<std::vector<RunRow>>> runs(TaskId id) override;
  [[nodiscard]] Task<Result<TaskPage>> tasks(TaskQuery query) override;
  [[nodiscard]] Task<Result<std::vector<Entry>>> entries(std::string account,
                                                         std::uint64_t sequence,
                                                         std::size_t limit) override;

 private:
  struct State;
  explicit SqliteJournal(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutine that writes
};

}  // namespace phase::vcp
