// connection_internal.h — what a database must do for Database and Statement.
#pragma once

#include "sql/database.h"

struct sqlite3;

namespace phase::sql {

class StatementBody {
 public:
  virtual ~StatementBody() = default;
  virtual void bind(std::uint64_t value) = 0;
  virtual void bind(std::string_view value) = 0;
  virtual void bind(ByteView value) = 0;
  virtual void bind_null() = 0;
  [[nodiscard]] virtual Result<bool> step() = 0;
  [[nodiscard]] virtual Result<void> run() = 0;
  virtual void reset() noexcept = 0;
  [[nodiscard]] virtual std::uint64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string text(int column) const = 0;
  [[nodiscard]] virtual Bytes blob(int column) const = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
};

class Connection {
 public:
  virtual ~Connection() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) = 0;
  [[nodiscard]] virtual Result<void> execute(const std::string& sql) = 0;
  [[nodiscard]] virtual std::uint64_t changes() const noexcept = 0;
  [[nodiscard]] virtual Result<void> begin() = 0;
  [[nodiscard]] virtual Result<void> commit() = 0;
  virtual void roll_back() noexcept = 0;
  /// Steps of `part` that were taken.
  [[nodiscard]] virtual Result<std::uint64_t> version(std::string_view part) = 0;
  [[nodiscard]] virtual Result<void> set_version(std::string_view part, std::uint64_t to) = 0;
  /// A step of a schema in this database's words.
  [[nodiscard]] virtual std::string dialect(std::string_view sql) const = 0;
  [[nodiscard]] virtual sqlite3* file() noexcept { return nullptr; }
};

}  // namespace phase::sql
