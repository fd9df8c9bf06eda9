// Users, sessions and API keys.
#include "vcp/accounts/book.h"

#include <sstream>

namespace phase::vcp {
namespace {

using sql::Statement;
using sql::Transaction;

constexpr std::uint64_t kKeyUseNoteMs = 60'000;

// Portable to PostgreSQL: no types that only SQLite has, placeholders in order of first use.
const char* const kMigrations[] = {
    "CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, email TEXT NOT NULL, "
    "password_hash TEXT NOT NULL, role TEXT NOT NULL, created BIGINT NOT NULL, last_login BIGINT);"
    "CREATE INDEX users_by_role ON users (role);"
    "CREATE TABLE families (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), "
    "created BIGINT NOT NULL, expires BIGINT NOT NULL, revoked BIGINT, reason TEXT);"
    "CREATE INDEX families_by_user ON families (user_id, created);"
    "CREATE INDEX families_by_end ON families (expires);"
    "CREATE TABLE refresh_tokens (hash TEXT PRIMARY KEY, family TEXT NOT NULL REFERENCES families "
    "(id) ON DELETE CASCADE, issued BIGINT NOT NULL, used BIGINT);"
    "CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);"
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), hash "
    "TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, created "
    "BIGINT NOT NULL, expires BIGINT, last_used BIGINT, revoked BIGINT);"
    "CREATE INDEX api_keys_by_user ON api_keys (user_id, created);"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, at BIGINT NOT NULL, user_id TEXT NOT NULL, action "
    "TEXT NOT NULL, resource TEXT NOT NULL, address TEXT NOT NULL, user_agent TEXT NOT NULL, "
    "request_id TEXT NOT NULL, status BIGINT NOT NULL, message TEXT NOT NULL);"
    "CREATE TABLE throttles (subject TEXT NOT NULL, tier TEXT NOT NULL, per_minute BIGINT NOT "
    "NULL, "
    "burst BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (subject, tier));"
    "CREATE TABLE answers (user_id TEXT NOT NULL, name TEXT NOT NULL, request TEXT NOT NULL, begun "
    "BIGINT NOT NULL, status BIGINT, body TEXT, PRIMARY KEY (user_id, name));"
    "CREATE INDEX answers_by_age ON answers (begun);",
};

constexpr std::string_view kUserColumns =
    "id, username, email, role, created, last_login, password_hash";
constexpr std::string_view kKeyColumns =
    "id, prefix, name, scopes, created, expires, last_used, revoked";

UserRow read_user(const Statement& row) {
  UserRow out;
  out.user.id = row.text(0);
  out.user.username = row.text(1);
  out.user.email = row.text(2);
  out.user.role = role_of(row.text(3)).value_or(Role::user);
  out.user.created = {row.integer(4)};
  if (!row.is_null(5)) {
    out.user.last_login = UtcTime{row.integer(5)};
  }
  out.password_hash = row.text(6);
  return out;
}

std::optional<UtcTime> time_or_none(const Statement& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(UtcTime{row.integer(column)});
}

void bind_time(Statement& into, const std::optional<UtcTime>& time) {
  if (time) {
    into.bind(time->unix_ms);
  } else {
    into.bind_null();
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) {
    out.push_back(word);
  }
  return out;
}

ApiKey read_key(const Statement& row) {
  ApiKey out;
  out.id = row.text(0);
  out.prefix = row.text(1);
  out.name = row.text(2);
  out.scopes = split(row.text(3));
  out.created = {row.integer(4)};
  out.expires = time_or_none(row, 5);
  out.last_used = time_or_none(row, 6);
  out.revoked = time_or_none(row, 7);
  return out;
}

tl::unexpected<Error> no_session() {
  return fail(Code::unauthorized, "the refresh token is not valid", "log in again");
}

}  // namespace

Result<AccountBook> AccountBook::open(sql::Database database, AccountLimits limits) {
  PHASE_TRY_VOID(sql::migrate(database, "accounts", kMigrations));
  return AccountBook(std::move(database), limits);
}

Result<std::uint64_t> AccountBook::count(std::string_view sql, std::string_view value) {
  PHASE_TRY(Statement statement, database_.prepare(sql));
  statement.bind(value);
  PHASE_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

// ── Users ──

Result<bool> AccountBook::admin_exists() {
  PHASE_TRY(const std::uint64_t admins,
            count("SELECT count(*) FROM users WHERE role = $1", "admin"));
  return admins != 0;
}

Result<void> AccountBook::insert_user(const UserRow& row) {
  PHASE_TRY(const std::uint64_t taken,
            count("SELECT count(*) FROM users WHERE username = $1", row.user.username));
  if (taken != 0) {
    return fail(Code::already_exists, "this username is taken", "choose another one");
  }
  PHASE_TRY(const std::uint64_t users, database_.integer("SELECT count(*) FROM users"));
  if (users >= limits_.users) {
    return fail(Code::busy, "this coordinator has as many users as it takes");
  }
  PHASE_TRY(Statement insert,
            database_.prepare("INSERT INTO users (id, username, email, password_hash, role, "
                              "created) VALUES ($1, $2, $3, $4, $5, $6)"));
  insert.bind(row.user.id).bind(row.user.username).bind(row.user.email);
  insert.bind(row.password_hash).bind(role_name(row.user.role)).bind(row.user.created.unix_ms);
  return insert.run();
}

Result<void> AccountBook::add_user(const UserRow& row) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY_VOID(insert_user(row));
  return change.commit();
}

Result<void> AccountBook::add_first_admin(const UserRow& row) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(const bool exists, admin_exists());
  if (exists) {
    return fail(Code::already_exists, "there is an administrator already", "log in");
  }
  PHASE_TRY_VOID(insert_user(row));
  return change.commit();
}

Result<UserRow> AccountBook::one_user(std::string_view where, std::string_view value) {
  PHASE_TRY(Statement select,
            database_.prepare("SELECT " + std::string{kUserColumns} + " FROM users WHERE " +
                              std::string{where} + " = $1"));
  select.bind(value);
  PHASE_TRY(const bool row, select.step());
  if (!row) {
    return fail(Code::not_found, "there is no such user");
  }
  return read_user(select);
}

Result<UserRow> AccountBook::user_by_name(std::string_view username) {
  return one_user("username", username);
}

Result<UserRow> AccountBook::user_by_id(std::string_view id) {
  return one_user("id", id);
}

Result<std::vector<User>> AccountBook::users(std::size_t limit, std::string_view after) {
  PHASE_TRY(Statement select,
            database_.prepare("SELECT " + std::string{kUserColumns} +
                              " FROM users WHERE username > $1 ORDER BY username LIMIT $2"));
  select.bind(after).bind(limit);
  std::vector<User> out;
  PHASE_TRY(bool more, select.step());
  while (more) {
    out.push_back(read_user(select).user);
    PHASE_TRY(more, select.step());
  }
  return out;
}

Result<std::vector<std::string>> AccountBook::set_role(std::string_view id, Role role,
                                                       UtcTime now) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(const UserRow row, user_by_id(id));
  PHASE_TRY(const std::uint64_t admins,
            count("SELECT count(*) FROM users WHERE role = $1", "admin"));
  if (row.user.role == Role::admin && role != Role::admin && admins <= 1) {
    return fail(Code::invalid_argument, "this is the last administrator",
                "make another user an administrator first");
  }
  PHASE_TRY(Statement update, database_.prepare("UPDATE users SET role = $1 WHERE id = $2"));
  update.bind(role_name(role)).bind(id);
  PHASE_TRY_VOID(update.run());
  PHASE_TRY(Statement select, database_.prepare("SELECT id FROM families WHERE user_id = $1 AND "
                                                "revoked IS NULL"));
  select.bind(id);
  std::vector<std::string> ended;
  PHASE_TRY(bool more, select.step());
  while (more) {
    ended.push_back(select.text(0));
    PHASE_TRY(more, select.step());
  }
  select.reset();
  for (const std::string& session : ended) {
    PHASE_TRY_VOID(end_session(session, "role", now));
  }
  PHASE_TRY_VOID(change.commit());
  return ended;
}

Result<void> AccountBook::note_login(std::string_view id, UtcTime now) {
  PHASE_TRY(Statement update, database_.prepare("UPDATE users SET last_login = $1 WHERE id = $2"));
  update.bind(now.unix_ms).bind(id);
  return update.run();
}

// ── Sessions ──

Result<void> AccountBook::begin_session(const Family& family, const Sha256& token, UtcTime now) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  // The user may have had a session ended by its role since the password was checked; none of this
  // one's. Above the limit the oldest goes.
  PHASE_TRY(Statement trim,
            database_.prepare(
                "UPDATE families SET revoked = $1, reason = 'too many' WHERE id IN (SELECT id FROM "
                "families WHERE user_id = $2 AND revoked IS NULL ORDER BY created DESC, id LIMIT "
                "1000 OFFSET $3)"));
  trim.bind(now.unix_ms).bind(family.user).bind(limits_.sessions_per_user - 1);
  PHASE_TRY_VOID(trim.run());
  PHASE_TRY(Statement insert, database_.prepare("INSERT INTO families (id, user_id, created, "
                                                "expires) VALUES ($1, $2, $3, $4)"));
  insert.bind(family.id).bind(family.user).bind(now.unix_ms).bind(family.expires.unix_ms);
  PHASE_TRY_VOID(insert.run());
  PHASE_TRY(Statement add, database_.prepare("INSERT INTO refresh_tokens (hash, family, issued) "
                                             "VALUES ($1, $2, $3)"));
  const std::string hash = token.hex();
  add.bind(hash).bind(family.id).bind(now.unix_ms);
  PHASE_TRY_VOID(add.run());
  return change.commit();
}

Result<AccountBook::Rotated> AccountBook::rotate(const Sha256& token, const Sha256& next,
                                                 UtcTime now) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(Statement find,
            database_.prepare("SELECT t.used, f.id, f.user_id, f.expires, f.revoked FROM "
                              "refresh_tokens t JOIN families f ON f.id = t.family WHERE t.hash = "
                              "$1"));
  const std::string hash = token.hex();
  find.bind(hash);
  PHASE_TRY(const bool row, find.step());
  if (!row) {
    return no_session();
  }
  Rotated out{find.text(1), find.text(2), {find.integer(3)}, !find.is_null(0)};
  const bool over = !find.is_null(4) || out.expires <= now;
  find.reset();
  if (over) {
    return no_session();
  }
  if (out.reused) {
    PHASE_TRY_VOID(end_session(out.session, "reuse", now));
    PHASE_TRY_VOID(change.commit());
    return out;
  }
  PHASE_TRY(Statement use,
            database_.prepare("UPDATE refresh_tokens SET used = $1 WHERE hash = $2"));
  use.bind(now.unix_ms).bind(hash);
  PHASE_TRY_VOID(use.run());
  PHASE_TRY(Statement add, database_.prepare("INSERT INTO refresh_tokens (hash, family, issued) "
                                             "VALUES ($1, $2, $3)"));
  const std::string new_hash = next.hex();
  add.bind(new_hash).bind(out.session).bind(now.unix_ms);
  PHASE_TRY_VOID(add.run());
  PHASE_TRY_VOID(change.commit());
  return out;
}

Result<void> AccountBook::end_session(std::string_view session, std::string_view reason,
                                      UtcTime now) {
  PHASE_TRY(Statement update, database_.prepare("UPDATE families SET revoked = $1, reason = $2 "
                                                "WHERE id = $3 AND revoked IS NULL"));
  update.bind(now.unix_ms).bind(reason).bind(session);
  return update.run();
}

Result<std::string> AccountBook::session_of(const Sha256& token) {
  PHASE_TRY(Statement find, database_.prepare("SELECT family FROM refresh_tokens WHERE hash = $1"));
  const std::string hash = token.hex();
  find.bind(hash);
  PHASE_TRY(const bool row, find.step());
  if (!row) {
    return fail(Code::not_found, "there is no such session");
  }
  return find.text(0);
}

Result<std::vector<std::string>> AccountBook::revoked_sessions(UtcTime since) {
  PHASE_TRY(Statement select, database_.prepare("SELECT id FROM families WHERE revoked >= $1"));
  select.bind(since.unix_ms);
  std::vector<std::string> out;
  PHASE_TRY(bool more, select.step());
  while (more) {
    out.push_back(select.text(0));
    PHASE_TRY(more, select.step());
  }
  return out;
}

// ── API keys ──

Result<void> AccountBook::add_key(std::string_view user, const ApiKey& key, const Sha256& hash) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(const std::uint64_t have,
            count("SELECT count(*) FROM api_keys WHERE user_id = $1 AND revoked IS NULL", user));
  if (have >= limits_.keys_per_user) {
    return fail(Code::busy, "this account has as many API keys as it may", "revoke one");
  }
  PHASE_TRY(Statement insert,
            database_.prepare("INSERT INTO api_keys (id, user_id, hash, prefix, name, scopes, "
                              "created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"));
  const std::string text = hash.hex();
  const std::string scopes = joined(key.scopes);
  insert.bind(key.id).bind(user).bind(text).bind(key.prefix).bind(key.name).bind(scopes);
  insert.bind(key.created.unix_ms);
  bind_time(insert, key.expires);
  PHASE_TRY_VOID(insert.run());
  return change.commit();
}

Result<std::vector<ApiKey>> AccountBook::keys(std::string_view user) {
  PHASE_TRY(Statement select,
            database_.prepare("SELECT " + std::string{kKeyColumns} +
                              " FROM api_keys WHERE user_id = $1 AND revoked IS NULL ORDER BY "
                              "created DESC, id"));
  select.bind(user);
  std::vector<ApiKey> out;
  PHASE_TRY(bool more, select.step());
  while (more) {
    out.push_back(read_key(select));
    PHASE_TRY(more, select.step());
  }
  return out;
}

Result<void> AccountBook::revoke_key(std::string_view user, std::string_view id, UtcTime now) {
  PHASE_TRY(Statement update, database_.prepare("UPDATE api_keys SET revoked = $1 WHERE user_id = "
                                                "$2 AND id = $3 AND revoked IS NULL"));
  update.bind(now.unix_ms).bind(user).bind(id);
  PHASE_TRY_VOID(update.run());
  if (database_.changes() == 0) {
    return fail(Code::not_found, "there is no such API key");
  }
  return {};
}

Result<Principal> AccountBook::check_key(const Sha256& hash, UtcTime now) {
  PHASE_TRY(Statement find,
            database_.prepare("SELECT k.id, k.scopes, k.expires, k.last_used, k.revoked, u.id, "
                              "u.username, u.role FROM api_keys k JOIN users u ON u.id = k.user_id "
                              "WHERE k.hash = $1"));
  const std::string text = hash.hex();
  find.bind(text);
  PHASE_TRY(const bool row, find.step());
  const auto expires = row ? time_or_none(find, 2) : std::nullopt;
  if (!row || !find.is_null(4) || (expires && *expires <= now)) {
    return fail(Code::unauthorized, "the API key is not valid", "make a new one after login");
  }
  Principal out{find.text(5), find.text(6),        role_of(find.text(7)).value_or(Role::user),
                "api_key",    split(find.text(1)), find.text(0)};
  const auto used = time_or_none(find, 3);
  find.reset();
  if (!used || used->unix_ms + kKeyUseNoteMs <= now.unix_ms) {
    PHASE_TRY(Statement update, database_.prepare("UPDATE api_keys SET last_used = $1 WHERE id = "
                                                  "$2"));
    update.bind(now.unix_ms).bind(out.session);
    PHASE_TRY_VOID(update.run());
  }
  return out;
}

}  // namespace phase::vcp
