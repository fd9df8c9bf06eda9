// SQLite: one private file, exclusively locked.

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "sql/connection_internal.h"

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

class SqliteStatement final : public StatementBody {
 public:
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  void bind(std::uint64_t value) override {
    // SQLite integers are signed; times and sizes of ours stay far below 2^63 (checked by their
    // decoders).
    PHASE_CHECK(sqlite3_bind_int64(statement_.get(), next_++, static_cast<sqlite3_int64>(value)) ==
                SQLITE_OK);
  }
  void bind(std::string_view value) override {
    PHASE_CHECK(sqlite3_bind_text(statement_.get(), next_++, value.data(),
                                  static_cast<int>(value.size()), SQLITE_STATIC) == SQLITE_OK);
  }
  void bind(ByteView value) override {
    // A null pointer would be stored as NULL; an empty blob is not.
    static constexpr std::uint8_t kNothing = 0;
    const void* data = value.empty() ? &kNothing : value.data();
    PHASE_CHECK(sqlite3_bind_blob64(statement_.get(), next_++, data, value.size(), SQLITE_STATIC) ==
                SQLITE_OK);
  }
  void bind_null() override {
    PHASE_CHECK(sqlite3_bind_null(statement_.get(), next_++) == SQLITE_OK);
  }

  [[nodiscard]] Result<bool> step() override {
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
  [[nodiscard]] Result<void> run() override {
    bool more = true;
    while (more) {
      PHASE_TRY(more, step());
    }
    reset();
    return {};
  }
  void reset() noexcept override {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
    next_ = 1;
  }

  [[nodiscard]] std::uint64_t integer(int column) const override {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
  }
  [[nodiscard]] std::string text(int column) const override {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return data == nullptr ? std::string{} : std::string(data, static_cast<std::size_t>(size));
  }
  [[nodiscard]] Bytes blob(int column) const override {
    const auto* data =
        static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return data == nullptr ? Bytes{} : Bytes(data, data + size);
  }
  [[nodiscard]] bool is_null(int column) const override {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_ = 1;
};

class SqliteConnection final : public Connection {
 public:
  /// Opens the file without locking it.
  [[nodiscard]] static Result<std::unique_ptr<SqliteConnection>> open(
      const std::filesystem::path& path) {
    PHASE_TRY_VOID(make_private_file(path));
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        nullptr);
    auto out = std::make_unique<SqliteConnection>();
    out->connection_.reset(raw);
    if (code != SQLITE_OK) {
      return sqlite_error(raw, code, "cannot open the state file " + path.string());
    }
    return out;
  }

  [[nodiscard]] Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) override {
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    if (code != SQLITE_OK) {
      return sqlite_error(connection_.get(), code, "the state file has not the expected form");
    }
    return std::make_unique<SqliteStatement>(raw);
  }
  [[nodiscard]] Result<void> execute(const std::string& sql) override {
    const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
      return sqlite_error(connection_.get(), code, "the state file refuses a change");
    }
    return {};
  }
  [[nodiscard]] std::uint64_t changes() const noexcept override {
    return static_cast<std::uint64_t>(sqlite3_changes64(connection_.get()));
  }
  [[nodiscard]] Result<void> begin() override { return execute("BEGIN IMMEDIATE"); }
  [[nodiscard]] Result<void> commit() override { return execute("COMMIT"); }
  void roll_back() noexcept override {
    // Nothing is left to do when this fails: SQLite has rolled back by itself then.
    sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  [[nodiscard]] Result<std::uint64_t> version(std::string_view) override {
    PHASE_TRY(auto query, prepare("PRAGMA user_version"));
    PHASE_TRY(const bool row, query->step());
    return row ? query->integer(0) : 0;
  }
  [[nodiscard]] Result<void> set_version(std::string_view, std::uint64_t to) override {
    return execute("PRAGMA user_version=" + std::to_string(to));
  }
  [[nodiscard]] std::string dialect(std::string_view sql) const override {
    return std::string(sql);
  }
  [[nodiscard]] sqlite3* file() noexcept override { return connection_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace

Result<Database> Database::open(const std::filesystem::path& path) {
  PHASE_TRY(auto connection, SqliteConnection::open(path));
  // Exclusive: one daemon per data folder, and no shared-memory file beside the log.
  auto opened = connection->execute(
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
  return Database(std::move(connection));
}

void Copy::Finish::operator()(sqlite3_backup* backup) const noexcept {
  sqlite3_backup_finish(backup);
}

Result<std::unique_ptr<Copy>> Copy::begin(Database& from, const std::filesystem::path& to) {
  sqlite3* source = from.connection_->file();
  if (source == nullptr) {
    return fail(Code::unsupported, "this database is not a file", "use the server's own tools");
  }
  std::error_code ignored;
  if (std::filesystem::exists(to, ignored)) {
    return fail(Code::already_exists, to.string() + " is there already");
  }
  PHASE_TRY(auto connection, SqliteConnection::open(to));
  sqlite3* target = connection->file();
  auto out = std::make_unique<Copy>();
  out->to_ = Database(std::move(connection));
  out->backup_.reset(sqlite3_backup_init(target, "main", source, "main"));
  if (!out->backup_) {
    return sqlite_error(target, sqlite3_errcode(target), "cannot copy to " + to.string());
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

}  // namespace phase::sql
