// database_journal.h — the journal in one SQLite file or a PostgreSQL database, written by a thread
// of its own.
//
// Batches that come while one is written go together into the next transaction (group commit), so
// the disk's fsync bounds the latency of a commit, not their number.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "sql/postgres.h"
#include "vcp/state/journal.h"

namespace phase::vcp {

class Tables;

/// Batches of one transaction; more wait for the next.
inline constexpr std::size_t kBatchesAtOnce = 4'096;
/// Final tasks that stay, with their results, runs and receipts, unless it is said otherwise.
inline constexpr std::uint64_t kTasksKept = 100'000;
/// Looked for what may go once so many task rows were written, and so many go at a time.
inline constexpr std::uint64_t kPruneEvery = 1'000;
/// So often a server is asked whether it is there, and told that its leader is.
inline constexpr auto kServerAskedEvery = 2s;
/// Of a copy, between two transactions.
inline constexpr int kCopyPagesAtOnce = 256;

struct JournalOptions {
  std::uint64_t tasks_kept = kTasksKept;
  std::uint64_t prune_every = kPruneEvery;  ///< above 0
};

/// What a state file says.
struct StateFacts {
  std::uint64_t nodes = 0, tasks = 0, entries = 0;
  Sha256 head;  ///< of the ledger's chain
};
/// Reads a file that nobody uses, the ledger's whole chain included. Errors: those of opening it;
/// Code::verification_failed or malformed when what it says cannot be.
[[nodiscard]] Result<StateFacts> check_state(const std::filesystem::path& file);

class DatabaseJournal final : public Journal {
 public:
  /// Opens or makes the file. Errors: those of sql::Database::open and sql::migrate.
  [[nodiscard]] static Result<std::unique_ptr<DatabaseJournal>> open(
      asio::any_io_executor executor, Clock& clock, const std::filesystem::path& file,
      JournalOptions options = {});
  /// On a server, with a fence (vcp/state/lease.h): `still_here` is run every kServerAskedEvery;
  /// when the connection is lost, or another coordinator leads, `broken` is called once and nothing
  /// is written any more.
  [[nodiscard]] static Result<std::unique_ptr<DatabaseJournal>> open(
      asio::any_io_executor executor, Clock& clock, sql::Postgres server, JournalOptions options,
      std::string still_here, std::function<void(const Error&)> broken);
  ~DatabaseJournal() override;  ///< what was appended is written first

  /// Copies what settled before this call, and perhaps more, into a new file, between the writes.
  /// Errors: those of sql::Copy, settled.
  [[nodiscard]] Task<Result<void>> copy_to(std::filesystem::path file);

  [[nodiscard]] Task<Result<Loaded>> load() override;
  void append(Batch batch) override;
  [[nodiscard]] Task<Result<void>> settled() override;
  [[nodiscard]] std::size_t waiting() const override;
  [[nodiscard]] Task<Result<std::optional<TaskRow>>> task(TaskId id) override;
  [[nodiscard]] Task<Result<std::vector<RunRow>>> runs(TaskId id) override;
  [[nodiscard]] Task<Result<TaskPage>> tasks(TaskQuery query) override;
  [[nodiscard]] Task<Result<std::optional<ConnectSession>>> session(std::string id) override;
  [[nodiscard]] Task<Result<std::vector<Entry>>> entries(std::string account,
                                                         std::uint64_t sequence,
                                                         std::size_t limit) override;

 private:
  struct State;
  [[nodiscard]] static std::unique_ptr<DatabaseJournal> begin(asio::any_io_executor executor,
                                                              Clock& clock, Tables tables,
                                                              JournalOptions options);
  explicit DatabaseJournal(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutine that writes
};

}  // namespace phase::vcp
