// book.h — the rows of accounts.db. Everything here blocks and belongs to one thread at a time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sql/database.h"
#include "vcp/accounts/accounts.h"

namespace phase::vcp {

/// A user with the hash of the password (crypto_pwhash_str).
struct UserRow {
  User user;
  std::string password_hash;
};

class AccountBook {
 public:
  /// Errors: those of sql::migrate.
  [[nodiscard]] static Result<AccountBook> open(sql::Database database, AccountLimits limits);

  /// Copies the file as it is; `this` outlives the copy.
  [[nodiscard]] Result<std::unique_ptr<sql::Copy>> copy(const std::filesystem::path& to) {
    return sql::Copy::begin(database_, to);
  }

  // ── Users ──
  [[nodiscard]] Result<bool> admin_exists();
  /// Errors: Code::already_exists, busy (too many).
  [[nodiscard]] Result<void> add_user(const UserRow& row);
  /// Only while there is no administrator. Errors: Code::already_exists.
  [[nodiscard]] Result<void> add_first_admin(const UserRow& row);
  /// Errors: Code::not_found.
  [[nodiscard]] Result<UserRow> user_by_name(std::string_view username);
  [[nodiscard]] Result<UserRow> user_by_id(std::string_view id);
  [[nodiscard]] Result<std::vector<User>> users(std::size_t limit, std::string_view after);
  /// Revokes the user's sessions; their names are returned. Errors: Code::not_found,
  /// invalid_argument (the last administrator).
  [[nodiscard]] Result<std::vector<std::string>> set_role(std::string_view id, Role role,
                                                          UtcTime now);
  [[nodiscard]] Result<void> note_login(std::string_view id, UtcTime now);

  // ── Sessions ──
  struct Family {
    std::string id;
    UserId user;
    UtcTime expires;
  };
  /// Begins a family with its first token; ends the user's oldest above the limit.
  [[nodiscard]] Result<void> begin_session(const Family& family, const Sha256& token, UtcTime now);
  struct Rotated {
    std::string session;
    UserId user;
    UtcTime expires;
    bool reused = false;  ///< the token was used before: the family is revoked now
  };
  /// One transaction. Errors: Code::unauthorized.
  [[nodiscard]] Result<Rotated> rotate(const Sha256& token, const Sha256& next, UtcTime now);
  [[nodiscard]] Result<void> end_session(std::string_view session, std::string_view reason,
                                         UtcTime now);
  /// Errors: Code::not_found.
  [[nodiscard]] Result<std::string> session_of(const Sha256& token);
  /// Revoked after `since`.
  [[nodiscard]] Result<std::vector<std::string>> revoked_sessions(UtcTime since);

  // ── API keys ──
  [[nodiscard]] Result<void> add_key(std::string_view user, const ApiKey& key, const Sha256& hash);
  [[nodiscard]] Result<std::vector<ApiKey>> keys(std::string_view user);
  [[nodiscard]] Result<void> revoke_key(std::string_view user, std::string_view id, UtcTime now);
  /// Notes when it was used, once a minute. Errors: Code::unauthorized.
  [[nodiscard]] Result<Principal> check_key(const Sha256& hash, UtcTime now);

  // ── Audit, rates, answers ──
  [[nodiscard]] Result<void> add_audit(const std::vector<AuditEntry>& entries);
  [[nodiscard]] Result<std::vector<AuditEntry>> audit(std::size_t limit, std::uint64_t before);
  [[nodiscard]] Result<void> set_throttle(const ThrottleOverride& rate, UtcTime now);
  [[nodiscard]] Result<std::vector<ThrottleOverride>> throttles(UtcTime now);
  [[nodiscard]] Result<Accounts::Begun> begin_request(std::string_view user, std::string_view key,
                                                      const Sha256& request, UtcTime now);
  [[nodiscard]] Result<void> finish_request(std::string_view user, std::string_view key,
                                            const KeptAnswer& answer);
  [[nodiscard]] Result<void> forget_request(std::string_view user, std::string_view key);
  /// Drops what is over: sessions, keys of requests.
  [[nodiscard]] Result<void> sweep(UtcTime now);

 private:
  AccountBook(sql::Database database, AccountLimits limits)
      : database_(std::move(database)), limits_(limits) {}
  [[nodiscard]] Result<void> insert_user(const UserRow& row);
  [[nodiscard]] Result<UserRow> one_user(std::string_view where, std::string_view value);
  [[nodiscard]] Result<std::uint64_t> count(std::string_view sql, std::string_view value);

  sql::Database database_;
  AccountLimits limits_;
};

}  // namespace phase::vcp
