// tables_internal.h — rows of the journal to and from a database. Runs on the journal's thread
// only.
#pragma once

#include "sql/database.h"
#include "vcp/state/database_journal.h"

namespace phase::vcp {

class Tables {
 public:
  /// Opens or makes the file, at the newest schema.
  [[nodiscard]] static Result<Tables> open(const std::filesystem::path& file);
  /// The tables of `database`, at the newest schema.
  [[nodiscard]] static Result<Tables> make(sql::Database database);
  /// Whether the database answers, and still lets us write: this.
  [[nodiscard]] Result<void> ask(const std::string& change);
  /// Final tasks beyond so many go, oldest first, with their runs.
  void keep(std::uint64_t tasks, std::uint64_t every) noexcept {
    kept_ = tasks;
    prune_every_ = every;
  }
  /// Copies the file as it is; `this` outlives the copy.
  [[nodiscard]] Result<std::unique_ptr<sql::Copy>> copy(const std::filesystem::path& to);
  [[nodiscard]] Result<std::uint64_t> tasks_held();
  /// All of it in one transaction, on the disk when this returns.
  [[nodiscard]] Result<void> write(const std::vector<Batch>& batches);
  [[nodiscard]] Result<Loaded> load();
  [[nodiscard]] Result<std::optional<TaskRow>> task(const TaskId& id);
  [[nodiscard]] Result<std::vector<RunRow>> runs(const TaskId& id);
  [[nodiscard]] Result<TaskPage> tasks(const TaskQuery& query);
  [[nodiscard]] Result<std::optional<ConnectSession>> session(const std::string& id);
  [[nodiscard]] Result<std::vector<Entry>> entries(const std::string& account,
                                                   std::uint64_t sequence, std::size_t limit);

 private:
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> prepare_connect();
  [[nodiscard]] Result<void> put(const NodeRow& row);
  [[nodiscard]] Result<void> put(const TaskRow& row);
  [[nodiscard]] Result<void> put(const RunRow& row);
  [[nodiscard]] Result<void> put(const Entry& entry);
  [[nodiscard]] Result<void> put(const ConnectSession& row);
  [[nodiscard]] Result<void> put(const DestinationPolicy& row);
  [[nodiscard]] Result<std::vector<NodeRow>> nodes();
  [[nodiscard]] Result<void> replay(Book& book);
  [[nodiscard]] Result<void> load_open(Loaded& out);
  [[nodiscard]] Result<void> load_sessions(Loaded& out);
  [[nodiscard]] Result<void> prune();

  sql::Database database_;
  sql::Statement put_node_, put_task_, put_run_, put_entry_, get_task_, get_runs_;
  sql::Statement put_session_, put_policy_, remove_policy_;
  std::uint64_t kept_ = kTasksKept;
  std::uint64_t prune_every_ = kPruneEvery;
  std::uint64_t put_since_pruned_ = 0;
};

}  // namespace phase::vcp
