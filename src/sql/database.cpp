#include "sql/database.h"

#include "sql/connection_internal.h"

namespace phase::sql {

Statement::Statement() noexcept = default;
Statement::Statement(Statement&&) noexcept = default;
Statement& Statement::operator=(Statement&&) noexcept = default;
Statement::~Statement() = default;

Statement& Statement::bind(std::uint64_t value) {
  body_->bind(value);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  body_->bind(value);
  return *this;
}

Statement& Statement::bind(ByteView value) {
  body_->bind(value);
  return *this;
}

Statement& Statement::bind_null() {
  body_->bind_null();
  return *this;
}

Result<bool> Statement::step() {
  return body_->step();
}

Result<void> Statement::run() {
  return body_->run();
}

void Statement::reset() noexcept {
  body_->reset();
}

std::uint64_t Statement::integer(int column) const {
  return body_->integer(column);
}

std::string Statement::text(int column) const {
  return body_->text(column);
}

Bytes Statement::blob(int column) const {
  return body_->blob(column);
}

bool Statement::is_null(int column) const {
  return body_->is_null(column);
}

Database::Database() noexcept = default;
Database::Database(std::unique_ptr<Connection> connection) noexcept
    : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Statement> Database::prepare(std::string_view sql) {
  Statement out;
  PHASE_TRY(out.body_, connection_->prepare(sql));
  return out;
}

Result<void> Database::execute(const std::string& sql) {
  return connection_->execute(sql);
}

Result<std::uint64_t> Database::integer(std::string_view sql) {
  PHASE_TRY(Statement statement, prepare(sql));
  PHASE_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

std::uint64_t Database::changes() const noexcept {
  return connection_->changes();
}

Result<Transaction> Transaction::begin(Database& database) {
  PHASE_TRY_VOID(database.connection_->begin());
  return Transaction{database};
}

Result<void> Transaction::commit() {
  PHASE_TRY_VOID(database_->connection_->commit());
  database_ = nullptr;
  return {};
}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    database_->connection_->roll_back();
  }
}

Result<void> migrate(Database& database, std::string_view part,
                     std::span<const char* const> steps) {
  Connection& connection = *database.connection_;
  PHASE_TRY(std::uint64_t version, connection.version(part));
  if (version > steps.size()) {
    return fail(Code::version_unknown,
                "the state has version " + std::to_string(version) + ", this program knows " +
                    std::to_string(steps.size()),
                "use the newer program, or another data folder");
  }
  for (; version < steps.size(); ++version) {
    PHASE_TRY(Transaction transaction, Transaction::begin(database));
    PHASE_TRY_VOID(connection.execute(connection.dialect(steps[version])));
    PHASE_TRY_VOID(connection.set_version(part, version + 1));
    PHASE_TRY_VOID(transaction.commit());
  }
  return {};
}

}  // namespace phase::sql
