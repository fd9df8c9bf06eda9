// database.h — SQLite and PostgreSQL as values: a connection, prepared statements and migrations
// that report errors as Result.
//
// Both understand the same statements as long as these keep to placeholders $1, $2 … in order of
// first use, whole numbers, texts, blobs and `INSERT … ON CONFLICT …`. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

struct sqlite3_backup;

namespace phase::sql {

class Connection;
class StatementBody;

/// A prepared statement. Bind in order, step, read columns, reset. Texts and blobs are bound by
/// reference: they must live until the next reset. Lives no longer than its Database.
class Statement {
 public:
  Statement() noexcept;
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  Statement& bind(std::uint64_t value);
  Statement& bind(std::string_view value);
  Statement& bind(ByteView value);
  Statement& bind_null();

  /// True: a row is there. False: done.
  [[nodiscard]] Result<bool> step();
  /// For a change: steps to the end, ignoring rows, and resets.
  [[nodiscard]] Result<void> run();
  void reset() noexcept;

  [[nodiscard]] std::uint64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] Bytes blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  std::unique_ptr<StatementBody> body_;
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
  Database() noexcept;
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  /// SQLite: opens or makes `path` with mode 0600, exclusively locked, in WAL mode.
  /// Errors: Code::permission_denied, Code::busy, Code::malformed (not a database), Code::io.
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& path);

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// Runs statements without parameters or results.
  [[nodiscard]] Result<void> execute(const std::string& sql);
  [[nodiscard]] Result<std::uint64_t> integer(std::string_view sql);
  /// Rows changed by the last statement.
  [[nodiscard]] std::uint64_t changes() const noexcept;

 protected:
  explicit Database(std::unique_ptr<Connection> connection) noexcept;
  std::unique_ptr<Connection> connection_;

 private:
  friend class Copy;
  friend class Transaction;
  friend Result<void> migrate(Database& database, std::string_view part,
                              std::span<const char* const> steps);
};

/// A copy of a SQLite database while it is used: pages come over in pieces, and what its own
/// connection changes meanwhile goes to both, so that the copy is of the moment it ended.
class Copy {
 public:
  /// `to` is made with mode 0600 and must not exist. `from` outlives the copy.
  /// Errors: Code::already_exists, unsupported (not SQLite), io.
  [[nodiscard]] static Result<std::unique_ptr<Copy>> begin(Database& from,
                                                           const std::filesystem::path& to);
  /// Up to `pages` more, all when negative; true: it is complete and on the disk.
  [[nodiscard]] Result<bool> step(int pages);

 private:
  struct Finish {
    void operator()(sqlite3_backup* backup) const noexcept;
  };
  Database to_;
  std::unique_ptr<sqlite3_backup, Finish> backup_;  // ends before what it writes to is closed
};

/// Rolls back unless `commit` was called.
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

/// Takes the steps of `part` of a schema that the database has not seen yet, one transaction each.
/// SQLite counts them in `user_version`, so a file holds one part. Steps are written for SQLite;
/// elsewhere BLOB, INTEGER PRIMARY KEY and X'' get their names there.
/// Errors: Code::version_unknown for a database of a newer program.
[[nodiscard]] Result<void> migrate(Database& database, std::string_view part,
                                   std::span<const char* const> steps);

}  // namespace phase::sql
