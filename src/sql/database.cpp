#include "sql/database.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

namespace phase::sql {
namespace {

Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::busy;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return Code::malformed;
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return Code::permission_denied;
    default:
      return Code::io;
  }
}

tl::unexpected<Error> sqlite_error(sqlite3* connection, int sqlite_code, std::string_view what) {
  std::string message{what};
  message += ": ";
  message += connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(sqlite_code);
  return fail(code_of(sqlite_code), std::move(message));
}

/// Makes the file with mode 0600 before SQLite could make it with the umask's, and refuses one that
/// others may read.
Result<void> make_private_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return fail_errno(errno, "cannot open the state file " + path.string());
  }
  struct stat facts{};
  const int status = ::fstat(file, &facts);
  const int error = errno;
  ::close(file);
  if (status != 0) {
    return fail_errno(error, "cannot look at the state file " + path.string());
  }
  if ((facts.st_mode & 077) != 0) {
    return fail(Code::permission_denied,
                "the state file " + path.string() + " is open to other users",
                "chmod 600 " + path.string());
  }
  return {};
}

}  // namespace

Statement& Statement::bind(std::uint64_t value) {
  // SQLite integers are signed; times and sizes of ours stay far below 2^63 (checked by their
  // decoders).
  PHASE_CHECK(sqlite3_bind_int64(statement_.get(), next_++, static_cast<sqlite3_int64>(value)) ==
              SQLITE_OK);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  PHASE_CHECK(sqlite3_bind_text(statement_.get(), next_++, value.data(),
                                static_cast<int>(value.size()), SQLITE_STATIC) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(ByteView value) {
  // A null pointer would be stored as NULL; an empty blob is not.
  static constexpr std::uint8_t kNothing = 0;
  const void* data = value.empty() ? &kNothing : value.data();
  PHASE_CHECK(sqlite3_bind_blob64(statement_.get(), next_++, data, value.size(), SQLITE_STATIC) ==
              SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null() {
  PHASE_CHECK(sqlite3_bind_null(statement_.get(), next_++) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  auto error =
      sqlite_error(sqlite3_db_handle(statement_.get()), code, "the state file refuses a change");
  reset();
  return error;
}

Result<void> Statement::run() {
  bool more = true;
  while (more) {
    PHASE_TRY(more, step());
  }
  reset();
  return {};
}

void Statement::reset() noexcept {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  next_ = 1;
}

std::uint64_t Statement::integer(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string{} : std::string(data, static_cast<std::size_t>(size));
}

Bytes Statement::blob(int column) const {
  const auto* data =
      static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? Bytes{} : Bytes(data, data + size);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& path) {
  PHASE_TRY_VOID(make_private_file(path));
  Database database;
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  database.connection_.reset(connection);
  if (code != SQLITE_OK) {
    return sqlite_error(connection, code, "cannot open the state file " + path.string());
  }
  // Exclusive: one daemon per data folder, and no shared-memory file beside the log.
  auto opened = database.execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA "
      "trusted_schema=OFF;"
      "PRAGMA cell_size_check=ON; PRAGMA journal_size_limit=16777216; BEGIN IMMEDIATE; COMMIT;");
  if (!opened) {
    Error error = std::move(opened).error();
    if (error.code == Code::busy) {
      error.hint = "another process uses " + path.string() +
                   "; stop it, or give this one its own data folder";
    }
    return fail(std::move(error));
  }
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) {
    return sqlite_error(connection_.get(), code, "the state file has not the expected form");
  }
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return sqlite_error(connection_.get(), code, "the state file refuses a change");
  }
  return {};
}

Result<std::uint64_t> Database::integer(std::string_view sql) {
  PHASE_TRY(Statement statement, prepare(sql));
  PHASE_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

std::uint64_t Database::changes() const noexcept {
  return static_cast<std::uint64_t>(sqlite3_changes64(connection_.get()));
}

Result<std::unique_ptr<Copy>> Copy::begin(Database& from, const std::filesystem::path& to) {
  std::error_code ignored;
  if (std::filesystem::exists(to, ignored)) {
    return fail(Code::already_exists, to.string() + " is there already");
  }
  PHASE_TRY_VOID(make_private_file(to));
  auto out = std::make_unique<Copy>();
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(to.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  out->to_.connection_.reset(connection);
  if (code != SQLITE_OK) {
    return sqlite_error(connection, code, "cannot open " + to.string());
  }
  out->backup_.reset(sqlite3_backup_init(connection, "main", from.connection_.get(), "main"));
  if (!out->backup_) {
    return sqlite_error(connection, sqlite3_errcode(connection), "cannot copy to " + to.string());
  }
  return out;
}

Result<bool> Copy::step(int pages) {
  const int code = sqlite3_backup_step(backup_.get(), pages);
  if (code == SQLITE_OK) {
    return false;
  }
  if (code != SQLITE_DONE) {
    return sqlite_error(nullptr, code, "the copy cannot be written");
  }
  // An error of an earlier moment is told at the end.
  const int ended = sqlite3_backup_finish(backup_.release());
  if (ended != SQLITE_OK) {
    return sqlite_error(nullptr, ended, "the copy cannot be written");
  }
  return true;
}

Result<Transaction> Transaction::begin(Database& database) {
  PHASE_TRY_VOID(database.execute("BEGIN IMMEDIATE"));
  return Transaction{database};
}

Result<void> Transaction::commit() {
  PHASE_TRY_VOID(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    // Nothing is left to do when this fails: SQLite has rolled back by itself then.
    static_cast<void>(database_->execute("ROLLBACK"));
  }
}

Result<void> migrate(Database& database, std::span<const char* const> steps) {
  PHASE_TRY(std::uint64_t version, database.integer("PRAGMA user_version"));
  if (version > steps.size()) {
    return fail(Code::version_unknown,
                "the state file has version " + std::to_string(version) + ", this program knows " +
                    std::to_string(steps.size()),
                "use the newer program, or another data folder");
  }
  for (; version < steps.size(); ++version) {
    PHASE_TRY(Transaction transaction, Transaction::begin(database));
    PHASE_TRY_VOID(database.execute(steps[version]));
    PHASE_TRY_VOID(
        database.execute(("PRAGMA user_version=" + std::to_string(version + 1)).c_str()));
    PHASE_TRY_VOID(transaction.commit());
  }
  return {};
}

}  // namespace phase::sql
