#include "sql/postgres.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

#include <libpq-fe.h>
#include <poll.h>

#include "base/check.h"
#include "sql/connection_internal.h"

namespace phase::sql {
namespace {

struct Finish {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

Code code_of(std::string_view state) {
  if (state.empty() || state.starts_with("08") || state.starts_with("57")) return Code::unavailable;
  if (state.starts_with("28") || state == "42501") return Code::permission_denied;
  if (state.starts_with("42") || state.starts_with("3D")) return Code::malformed;
  if (state.starts_with("40") || state.starts_with("55") || state.starts_with("53")) {
    return Code::busy;
  }
  return Code::io;
}

/// One line of what the server says; never what was sent to it.
std::string first_line(const char* text) {
  const std::string_view whole = text == nullptr ? "" : text;
  return printable(whole.substr(0, whole.find('\n')));
}

Error error_of(const PGconn* connection, const PGresult* result) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary =
      result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  Error out;
  out.code = PQstatus(connection) == CONNECTION_BAD ? Code::unavailable
                                                    : code_of(state == nullptr ? "" : state);
  out.message =
      "the database: " + first_line(primary != nullptr ? primary : PQerrorMessage(connection));
  if (out.code == Code::unavailable) out.hint = "is the PostgreSQL server of --database up?";
  return out;
}

/// As PostgreSQL keeps texts: UTF-8 without NUL.
std::string kept_text(std::string_view text) {
  const bool whole = is_utf8(as_bytes(text)) && text.find('\0') == std::string_view::npos;
  if (whole) return std::string(text);
  std::string out;
  for (const char c : text) {
    if (c == '\0' || (static_cast<unsigned char>(c) & 0x80) != 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out += c;
    }
  }
  return out;
}

enum class Form : int { text = 0, binary = 1 };

struct Parameter {
  std::optional<std::string> value;
  Form form = Form::text;
};

class PostgresConnection final : public Connection {
 public:
  explicit PostgresConnection(PGconn* connection) : connection_(connection) {}

  [[nodiscard]] Result<std::unique_ptr<StatementBody>> prepare(std::string_view sql) override;
  [[nodiscard]] Result<void> execute(const std::string& sql) override {
    PHASE_TRY_VOID(drain());
    return simple(sql);
  }
  [[nodiscard]] std::uint64_t changes() const noexcept override { return changes_; }
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit() override;
  void roll_back() noexcept override;
  [[nodiscard]] Result<std::uint64_t> version(std::string_view part) override;
  [[nodiscard]] Result<void> set_version(std::string_view part, std::uint64_t to) override;
  [[nodiscard]] std::string dialect(std::string_view sql) const override;

  /// Waits for the answer.
  [[nodiscard]] Result<Answer> ask(const std::string& name,
                                   const std::vector<Parameter>& parameters);
  /// Within a transaction without waiting, else in one of its own when there is a fence.
  [[nodiscard]] Result<void> change(const std::string& name,
                                    const std::vector<Parameter>& parameters);
  void fence(std::string query) { fence_ = std::move(query); }
  [[nodiscard]] PGconn* raw() noexcept { return connection_.get(); }

 private:
  [[nodiscard]] Result<void> simple(const std::string& sql);
  [[nodiscard]] Result<void> send(const std::string& name,
                                  const std::vector<Parameter>& parameters);
  /// Hears all that is under way and leaves pipeline mode.
  [[nodiscard]] Result<void> drain();
  [[nodiscard]] Result<void> take(PGresult* result);

  std::unique_ptr<PGconn, Finish> connection_;
  std::map<std::string, std::string, std::less<>> names_;  // of prepared statements, by their text
  std::string fence_;
  bool in_transaction_ = false;
  std::size_t under_way_ = 0;
  std::uint64_t changes_ = 0;
};

/// Parameters in the form that libpq takes.
struct Bound {
  explicit Bound(const std::vector<Parameter>& parameters) {
    for (const Parameter& one : parameters) {
      values.push_back(one.value ? one.value->data() : nullptr);
      lengths.push_back(one.value ? static_cast<int>(one.value->size()) : 0);
      forms.push_back(static_cast<int>(one.form));
    }
  }
  [[nodiscard]] int count() const { return static_cast<int>(values.size()); }
  std::vector<const char*> values;
  std::vector<int> lengths, forms;
};

class PostgresStatement final : public StatementBody {
 public:
  PostgresStatement(PostgresConnection& connection, std::string name)
      : connection_(connection), name_(std::move(name)) {}

  void bind(std::uint64_t value) override {
    parameters_.push_back({std::to_string(value), Form::text});
  }
  void bind(std::string_view value) override {
    parameters_.push_back({kept_text(value), Form::binary});
  }
  void bind(ByteView value) override {
    parameters_.push_back({std::string(as_text(value)), Form::binary});
  }
  void bind_null() override { parameters_.push_back({}); }

  [[nodiscard]] Result<bool> step() override {
    if (!answer_) {
      PHASE_TRY(answer_, connection_.ask(name_, parameters_));
      row_ = -1;
    }
    return ++row_ < PQntuples(answer_.get());
  }
  [[nodiscard]] Result<void> run() override {
    const Result<void> done = connection_.change(name_, parameters_);
    reset();
    return done;
  }
  void reset() noexcept override {
    answer_.reset();
    parameters_.clear();
  }

  [[nodiscard]] std::uint64_t integer(int column) const override {
    // int8, int4 and int2 in network order.
    std::uint64_t out = 0;
    for (const char byte : field(column)) out = (out << 8) | static_cast<unsigned char>(byte);
    return out;
  }
  [[nodiscard]] std::string text(int column) const override { return std::string(field(column)); }
  [[nodiscard]] Bytes blob(int column) const override { return to_bytes(field(column)); }
  [[nodiscard]] bool is_null(int column) const override {
    return PQgetisnull(answer_.get(), row_, column) != 0;
  }

 private:
  [[nodiscard]] std::string_view field(int column) const {
    return {PQgetvalue(answer_.get(), row_, column),
            static_cast<std::size_t>(PQgetlength(answer_.get(), row_, column))};
  }

  PostgresConnection& connection_;
  std::string name_;
  std::vector<Parameter> parameters_;
  Answer answer_;
  int row_ = -1;
};

Result<void> PostgresConnection::simple(const std::string& sql) {
  const Answer answer(PQexec(connection_.get(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return {};
  return fail(error_of(connection_.get(), answer.get()));
}

Result<std::unique_ptr<StatementBody>> PostgresConnection::prepare(std::string_view sql) {
  auto found = names_.find(sql);
  if (found == names_.end()) {
    PHASE_TRY_VOID(drain());
    const std::string name = "s" + std::to_string(names_.size());
    const std::string text(sql);
    const Answer answer(PQprepare(connection_.get(), name.c_str(), text.c_str(), 0, nullptr));
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) {
      return fail(error_of(connection_.get(), answer.get()));
    }
    found = names_.emplace(text, name).first;
  }
  return std::make_unique<PostgresStatement>(*this, found->second);
}

Result<void> PostgresConnection::begin() {
  PHASE_TRY_VOID(drain());
  const Answer answer(PQexec(connection_.get(), ("BEGIN;" + fence_).c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    Error error = error_of(connection_.get(), answer.get());
    roll_back();
    return fail(std::move(error));
  }
  if (!fence_.empty() && PQntuples(answer.get()) == 0) {
    roll_back();
    return fail(Code::rejected, "another coordinator leads this fleet now");
  }
  in_transaction_ = true;
  return {};
}

Result<void> PostgresConnection::commit() {
  PHASE_TRY_VOID(drain());
  const Answer answer(PQexec(connection_.get(), "COMMIT"));
  in_transaction_ = false;
  if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) {
    return fail(error_of(connection_.get(), answer.get()));
  }
  // A transaction that failed before ends with ROLLBACK here.
  if (std::string_view(PQcmdStatus(answer.get())) != "COMMIT") {
    return fail(Code::io, "the database undid the change");
  }
  return {};
}

void PostgresConnection::roll_back() noexcept {
  in_transaction_ = false;
  const Result<void> heard = drain();  // what failed is what is undone
  if (!heard && PQpipelineStatus(connection_.get()) != PQ_PIPELINE_OFF) return;
  PQclear(PQexec(connection_.get(), "ROLLBACK"));
}

Result<void> PostgresConnection::send(const std::string& name,
                                      const std::vector<Parameter>& parameters) {
  const Bound bound(parameters);
  constexpr int kBinaryAnswer = 1;
  const int sent =
      PQsendQueryPrepared(connection_.get(), name.c_str(), bound.count(), bound.values.data(),
                          bound.lengths.data(), bound.forms.data(), kBinaryAnswer);
  if (sent == 1) return {};
  return fail(error_of(connection_.get(), nullptr));
}

Result<void> PostgresConnection::change(const std::string& name,
                                        const std::vector<Parameter>& parameters) {
  if (!in_transaction_) {
    if (fence_.empty()) {
      PHASE_TRY(const Answer answer, ask(name, parameters));
      return {};
    }
    PHASE_TRY_VOID(begin());
    Result<Answer> answer = ask(name, parameters);
    if (!answer) {
      roll_back();
      return fail(std::move(answer).error());
    }
    return commit();
  }
  if (under_way_ >= kPipelineMax) PHASE_TRY_VOID(drain());
  if (under_way_ == 0 && PQenterPipelineMode(connection_.get()) != 1) {
    return fail(error_of(connection_.get(), nullptr));
  }
  PHASE_TRY_VOID(send(name, parameters));
  ++under_way_;
  return {};
}

Result<void> PostgresConnection::take(PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
    const std::string_view count = PQcmdTuples(result);
    changes_ = 0;
    std::from_chars(count.data(), count.data() + count.size(), changes_);
    return {};
  }
  if (status == PGRES_PIPELINE_SYNC || status == PGRES_PIPELINE_ABORTED) return {};
  return fail(error_of(connection_.get(), result));
}

Result<void> PostgresConnection::drain() {
  if (PQpipelineStatus(connection_.get()) == PQ_PIPELINE_OFF) return {};
  Result<void> out;
  if (PQpipelineSync(connection_.get()) != 1) {
    return fail(error_of(connection_.get(), nullptr));
  }
  // Each change answers with a result and a null, the synchronisation with a result of its own.
  bool synchronised = false;
  while (!synchronised) {
    const Answer answer(PQgetResult(connection_.get()));
    if (!answer) {
      if (PQstatus(connection_.get()) == CONNECTION_BAD) {
        return fail(error_of(connection_.get(), nullptr));
      }
      continue;
    }
    synchronised = PQresultStatus(answer.get()) == PGRES_PIPELINE_SYNC;
    Result<void> taken = take(answer.get());
    if (!taken && out) out = std::move(taken);
  }
  under_way_ = 0;
  if (PQexitPipelineMode(connection_.get()) != 1 && out) {
    return fail(error_of(connection_.get(), nullptr));
  }
  return out;
}

Result<Answer> PostgresConnection::ask(const std::string& name,
                                       const std::vector<Parameter>& parameters) {
  PHASE_TRY_VOID(drain());
  const Bound bound(parameters);
  constexpr int kBinaryAnswer = 1;
  Answer answer(PQexecPrepared(connection_.get(), name.c_str(), bound.count(), bound.values.data(),
                               bound.lengths.data(), bound.forms.data(), kBinaryAnswer));
  PHASE_TRY_VOID(take(answer.get()));
  return answer;
}

Result<std::uint64_t> PostgresConnection::version(std::string_view part) {
  PHASE_TRY_VOID(
      execute("SET client_min_messages = warning; CREATE TABLE IF NOT EXISTS "
              "schema_versions (part TEXT PRIMARY KEY, version BIGINT NOT NULL)"));
  PHASE_TRY(auto query, prepare("SELECT version FROM schema_versions WHERE part = $1"));
  query->bind(part);
  PHASE_TRY(const bool row, query->step());
  return row ? query->integer(0) : 0;
}

Result<void> PostgresConnection::set_version(std::string_view part, std::uint64_t to) {
  PHASE_TRY(auto put, prepare("INSERT INTO schema_versions (part, version) VALUES ($1, $2) ON "
                              "CONFLICT (part) DO UPDATE SET version = excluded.version"));
  put->bind(part);
  put->bind(to);
  return put->run();
}

std::string PostgresConnection::dialect(std::string_view sql) const {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kWords = {
      {{"INTEGER PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"},
       {" BLOB", " BYTEA"},
       {"X''", "''::bytea"}}};
  std::string out(sql);
  for (const auto& [from, to] : kWords) {
    std::size_t at = 0;
    while ((at = out.find(from, at)) != std::string::npos) {
      out.replace(at, from.size(), to);
      at += to.size();
    }
  }
  return out;
}

void ignore_notice(void*, const char*) {}

}  // namespace

Postgres::Postgres() noexcept = default;
Postgres::Postgres(std::unique_ptr<Connection> connection) noexcept
    : Database(std::move(connection)) {}

Result<Postgres> Postgres::connect(const std::string& url) {
  char* said = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(
      PQconninfoParse(url.c_str(), &said), PQconninfoFree);
  if (!parsed) {
    PQfreemem(said);  // it repeats the URL, which holds a password
    return fail(Code::invalid_argument, "--database is no URL of a PostgreSQL server",
                "postgres://user:password@host:5432/name");
  }
  const std::string wait = std::to_string(kConnectSeconds);
  const std::string silence = std::to_string(kSilenceSeconds * 1'000);
  // The URL comes last: what it says stands.
  const std::array<const char*, 9> names = {"fallback_application_name",
                                            "client_encoding",
                                            "connect_timeout",
                                            "keepalives_idle",
                                            "keepalives_interval",
                                            "keepalives_count",
                                            "tcp_user_timeout",
                                            "dbname",
                                            nullptr};
  const std::array<const char*, 9> values = {
      "ambient-vcp", "UTF8", wait.c_str(), "5", "2", "3", silence.c_str(), url.c_str(), nullptr};
  constexpr int kExpandUrl = 1;
  auto connection = std::make_unique<PostgresConnection>(
      PQconnectdbParams(names.data(), values.data(), kExpandUrl));
  PGconn* raw = connection->raw();
  if (raw == nullptr || PQstatus(raw) != CONNECTION_OK) {
    Error error{Code::unavailable, "cannot use the database: " + first_line(PQerrorMessage(raw)),
                "is the PostgreSQL server of --database up, and may this user log in?"};
    if (raw != nullptr && PQconnectionNeedsPassword(raw) != 0) {
      error.code = Code::permission_denied;
    }
    return fail(std::move(error));
  }
  PQsetNoticeProcessor(raw, ignore_notice, nullptr);
  // The server gives up a silent client as soon as we give up a silent server, and its locks go.
  PHASE_TRY_VOID(connection->execute(
      "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; "
      "SET tcp_user_timeout = 11000; SET synchronous_commit = on; SET lock_timeout = '10s'; "
      "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '15s'; "
      "SET bytea_output = 'hex'; SET default_transaction_isolation = 'read committed'"));
  return Postgres(std::move(connection));
}

void Postgres::fence(std::string query) {
  static_cast<PostgresConnection&>(*connection_).fence(std::move(query));
}

Result<void> Postgres::listen(std::string_view channel) {
  return execute("LISTEN " + std::string(channel));
}

Result<bool> Postgres::wait_for_notice(Duration at_most, int wake) {
  PGconn* raw = static_cast<PostgresConnection&>(*connection_).raw();
  const auto heard = [raw] {
    bool out = false;
    while (PGnotify* notice = PQnotifies(raw)) {
      out = true;
      PQfreemem(notice);
    }
    return out;
  };
  if (PQstatus(raw) == CONNECTION_BAD) return fail(error_of(raw, nullptr));
  if (heard()) return true;
  std::array<pollfd, 2> sources = {pollfd{PQsocket(raw), POLLIN, 0}, pollfd{wake, POLLIN, 0}};
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(at_most).count();
  const int ready = ::poll(sources.data(), sources.size(), static_cast<int>(wait));
  if (ready > 0 && sources[0].revents != 0 && PQconsumeInput(raw) != 1) {
    return fail(error_of(raw, nullptr));
  }
  return heard();
}

}  // namespace phase::sql
