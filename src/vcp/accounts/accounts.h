// accounts.h — users, sessions, API keys and the audit log of a coordinator, durable in
// `accounts.db`.
//
// Belongs to one executor. What touches the disk runs in a thread of its own, what hashes passwords
// (Argon2id, RFC 9106) in a small pool, so the executor never blocks. No secret is stored as it is:
// passwords as Argon2id, tokens and keys as HMAC-SHA256 under a key in the data folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "sql/database.h"
#include "vcp/accounts/account.h"

namespace phase::vcp {

struct AccountLimits {
  std::size_t hashes_at_once = 2;     ///< each takes `password_memory` for a moment
  std::size_t hashes_waiting = 32;    ///< above it: Code::busy
  std::uint64_t password_passes = 2;  ///< Argon2id t
  std::size_t password_memory = 64_MiB;
  std::size_t users = 1'000'000;
  std::size_t sessions_per_user = 100;  ///< the oldest goes
  std::size_t keys_per_user = 100;
  std::size_t audit_entries = 100'000;  ///< the oldest go
  std::size_t audit_waiting = 10'000;   ///< not yet written; above it their loss is written
  std::size_t overrides = 10'000;
  std::size_t answers_per_user = 10'000;  ///< idempotency keys of the last `answer_life`
  std::size_t answer_bytes = 256_KiB;
  Duration answer_life = std::chrono::hours(24);
};

class AccountBook;

class Accounts {
 public:
  struct World {
    Clock& clock;
    Random& random;
    asio::any_io_executor executor;
  };
  struct Options {
    std::filesystem::path folder;  ///< made 0700 when absent; holds accounts.db and its secrets
    std::string jwt_secret = {};   ///< at least kJwtSecretBytesMin; empty: kept in the folder
    std::string secret = {};       ///< under which tokens and keys are hashed; likewise
    Duration access_life = std::chrono::minutes(15);
    Duration refresh_life = std::chrono::hours(24 * 30);
    AccountLimits limits = {};
  };
  /// What the environment says: JWT_SECRET and JWT_EXPIRATION_HOURS (1 … 8760).
  /// Errors: Code::invalid_argument naming the variable.
  [[nodiscard]] static Result<void> read_environment(Options& options);

  /// Blocks; call it at start. Errors: Code::invalid_argument, permission_denied, busy (another
  /// coordinator uses the folder), malformed, version_unknown, io.
  [[nodiscard]] static Result<std::unique_ptr<Accounts>> open(World world, Options options);
  /// In another database than accounts.db; both secrets are given. Errors: Code::invalid_argument,
  /// those of sql::migrate.
  [[nodiscard]] static Result<std::unique_ptr<Accounts>> open(World world, Options options,
                                                              sql::Database database);
  /// Waits for what is being written.
  ~Accounts();
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;

  /// Copies accounts.db into a new file while it is used. Errors: those of sql::Copy.
  [[nodiscard]] Task<Result<void>> copy_to(std::filesystem::path file);

  // ── The first administrator ──
  [[nodiscard]] bool admin_exists() const noexcept;
  /// Makes the first administrator once; to be printed on the console while there is none. Empty
  /// when there is one.
  [[nodiscard]] std::string bootstrap_code() const;
  /// Errors: Code::unauthorized (wrong code), already_exists (there is an administrator).
  [[nodiscard]] Task<Result<User>> bootstrap(std::string code, std::string username,
                                             std::string password);

  // ── Users and sessions ──
  /// Errors: Code::invalid_argument, already_exists, busy.
  [[nodiscard]] Task<Result<User>> add_user(std::string username, std::string password,
                                            std::string email);
  /// Takes as long for an unknown user. Errors: Code::unauthorized, busy.
  [[nodiscard]] Task<Result<Session>> login(std::string username, std::string password);
  /// The token is used up. One that was used before revokes its whole family.
  /// Errors: Code::unauthorized.
  [[nodiscard]] Task<Result<Session>> refresh(std::string refresh_token);
  /// Ends the session: its refresh tokens, and its access tokens at once. Idempotent.
  [[nodiscard]] Task<Result<void>> logout(std::string session);
  /// By a refresh token, for a browser whose access token is over. Idempotent.
  [[nodiscard]] Task<Result<void>> logout_refresh(std::string refresh_token);
  /// Errors: Code::unauthorized, expired.
  [[nodiscard]] Result<Principal> check_token(std::string_view access_token) const;
  /// Errors: Code::not_found.
  [[nodiscard]] Task<Result<User>> user(UserId id);
  struct UserPage {
    std::vector<User> users;
    std::string next;  ///< cursor; empty at the end
  };
  [[nodiscard]] Task<Result<UserPage>> users(std::size_t limit, std::string after);
  /// Ends the user's sessions. Errors: Code::not_found, invalid_argument (the last administrator).
  [[nodiscard]] Task<Result<User>> set_role(UserId id, Role role);

  // ── API keys ──
  /// Errors: Code::invalid_argument, busy (too many).
  [[nodiscard]] Task<Result<NewApiKey>> add_key(UserId user, std::string name,
                                                std::vector<std::string> scopes,
                                                std::optional<UtcTime> expires);
  [[nodiscard]] Task<Result<std::vector<ApiKey>>> keys(UserId user);
  /// Errors: Code::not_found, also for another user's.
  [[nodiscard]] Task<Result<void>> revoke_key(UserId user, std::string id);
  /// Errors: Code::unauthorized.
  [[nodiscard]] Task<Result<Principal>> check_key(std::string secret);

  // ── Audit ──
  /// Written soon, in order, many at once. Texts are cut at 512 bytes.
  void note(AuditEntry entry);
  struct AuditPage {
    std::vector<AuditEntry> entries;  ///< newest first
    std::string next;
  };
  [[nodiscard]] Task<Result<AuditPage>> audit(std::size_t limit, std::string after);

  // ── Rates ──
  /// Errors: Code::invalid_argument, busy (too many).
  [[nodiscard]] Task<Result<void>> set_throttle(ThrottleOverride rate);
  /// Null: none in force.
  [[nodiscard]] const ThrottleOverride* throttle(std::string_view subject,
                                                 std::string_view tier) const;

  // ── Idempotency keys ──
  struct Begun {
    std::optional<KeptAnswer> answer;  ///< of the same request before
    bool unfinished = false;           ///< it was begun before, and never answered
  };
  /// `request`: hash of all that makes the request what it is. Errors: Code::already_exists (the
  /// key was another request's), busy (too many; or the same request is being answered now).
  [[nodiscard]] Task<Result<Begun>> begin_request(UserId user, std::string key, Sha256 request);
  [[nodiscard]] Task<Result<void>> finish_request(UserId user, std::string key, KeptAnswer answer);
  /// It came to nothing: the key is free again.
  [[nodiscard]] Task<Result<void>> forget_request(UserId user, std::string key);
  /// A UUID (version 8) of this user's key: the same whenever it is asked for.
  [[nodiscard]] std::string uuid_of_key(std::string_view user, std::string_view key) const;

 private:
  struct State;
  [[nodiscard]] static Result<std::unique_ptr<Accounts>> begin(World world, Options options,
                                                               AccountBook book);
  explicit Accounts(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines that wait for the disk
};
inline constexpr std::size_t kJwtSecretBytesMin = 32;

}  // namespace phase::vcp
