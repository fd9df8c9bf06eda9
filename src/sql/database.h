// database.h — SQLite as values: a connection, prepared statements and migrations that report
// errors as Result.
//
// One thread at a time (the connection is opened without SQLite's own locks).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::sql {

class Database;

/// A prepared statement. Bind in order, step, read columns, reset. Blobs are bound by reference:
/// they must live until the next reset.
class Statement {
 public:
  Statement() = default;

  Statement& bind(std::uint64_t value);
  Statement& bind(std::string_view value);
  Statement& bind(ByteView value);
  Statement& bind_null();

  /// True: a row is there. False: done.
  [[nodiscard]] Result<bool> step();
  /// Steps to the end, ignoring rows, and resets.
  [[nodiscard]] Result<void> run();
  void reset() noexcept;

  [[nodiscard]] std::uint64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] Bytes blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_ = 1;
};

/// Resets a statement when the scope ends, so that no read stays open across calls.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) noexcept : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  /// Opens or makes `path` with mode 0600, exclusively locked, in WAL mode.
  /// Errors: Code::permission_denied, Code::busy, Code::malformed (not a database), Code::io.
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& path);

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// Runs statements without parameters or results.
  [[nodiscard]] Result<void> execute(const char* sql);
  [[nodiscard]] Result<std::uint64_t> integer(std::string_view sql);
  /// Rows changed by the last statement.
  [[nodiscard]] std::uint64_t changes() const noexcept;

 private:
  friend class Copy;
  struct Close {
    void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

/// A copy of a database while it is used: pages come over in pieces, and what its own connection
/// changes meanwhile goes to both, so that the copy is of the moment it ended.
class Copy {
 public:
  /// `to` is made with mode 0600 and must not exist. `from` outlives the copy.
  /// Errors: Code::already_exists, io.
  [[nodiscard]] static Result<std::unique_ptr<Copy>> begin(Database& from,
                                                           const std::filesystem::path& to);
  /// Up to `pages` more, all when negative; true: it is complete and on the disk.
  [[nodiscard]] Result<bool> step(int pages);

 private:
  struct Finish {
    void operator()(sqlite3_backup* backup) const noexcept { sqlite3_backup_finish(backup); }
  };
  Database to_;
  std::unique_ptr<sqlite3_backup, Finish> backup_;  // ends before what it writes to is closed
};

/// BEGIN IMMEDIATE; rolls back unless `commit` was called.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& database);
  [[nodiscard]] Result<void> commit();
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

 private:
  explicit Transaction(Database& database) noexcept : database_(&database) {}
  Database* database_;
};

/// Runs the steps that the file has not seen yet, one transaction each; their count is its
/// `user_version`. Errors: Code::version_unknown for a file of a newer program.
[[nodiscard]] Result<void> migrate(Database& database, std::span<const char* const> steps);

}  // namespace phase::sql
