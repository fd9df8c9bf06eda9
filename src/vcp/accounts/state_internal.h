// state_internal.h — what Accounts holds. Belongs to its executor, but for `book`, which belongs to
// the thread of `disk`.
#pragma once

#include <array>
#include <map>
#include <set>

#include <boost/asio/thread_pool.hpp>

#include "base/pool_task.h"
#include "vcp/accounts/book.h"
#include "vcp/accounts/token.h"

namespace phase::vcp {

struct Accounts::State : std::enable_shared_from_this<Accounts::State> {
  State(World with, Options chosen, AccountBook rows)
      : world(std::move(with)),
        options(std::move(chosen)),
        book(std::move(rows)),
        hashes(options.limits.hashes_at_once) {}

  [[nodiscard]] Result<void> begin(TokenKey tokens, std::array<std::uint8_t, 32> secrets);
  void end_session(const std::string& session);
  [[nodiscard]] std::string words(std::string_view prefix, std::size_t length) const;
  [[nodiscard]] Sha256 hashed(std::string_view secret) const;
  [[nodiscard]] Session tokens_of(const User& user, const std::string& session,
                                  std::string refresh_token, UtcTime refresh_end) const;

  /// Runs `function(AccountBook&)` where the book lives.
  template <typename Function>
  static Task<std::invoke_result_t<Function, AccountBook&>> on_disk(std::shared_ptr<State> self,
                                                                    Function function) {
    if (self->closed) {
      co_return fail(Code::unavailable, "the coordinator is stopping");
    }
    auto work = [&self, &function] { return function(self->book); };
    auto done = co_await in_pool(self->disk, work);
    co_return done;
  }
  static Task<Result<std::string>> hash_password(std::shared_ptr<State> self, std::string password);
  static Task<Result<bool>> check_password(std::shared_ptr<State> self, std::string hash,
                                           std::string password);
  static Task<Result<UserRow>> new_user(std::shared_ptr<State> self, std::string username,
                                        std::string password, std::string email, Role role);
  static Task<Result<User>> bootstrap(std::shared_ptr<State> self, std::string code,
                                      std::string username, std::string password);
  static Task<Result<User>> add_user(std::shared_ptr<State> self, std::string username,
                                     std::string password, std::string email);
  static Task<Result<Session>> login(std::shared_ptr<State> self, std::string username,
                                     std::string password);
  static Task<Result<Session>> refresh(std::shared_ptr<State> self, std::string token);
  static Task<Result<void>> logout(std::shared_ptr<State> self, std::string session);
  static Task<Result<void>> logout_refresh(std::shared_ptr<State> self, std::string token);
  static Task<Result<User>> set_role(std::shared_ptr<State> self, UserId id, Role role);
  static Task<Result<NewApiKey>> add_key(std::shared_ptr<State> self, UserId user, ApiKey key);
  static Task<void> write_audit(std::shared_ptr<State> self);
  static Task<Result<void>> set_throttle(std::shared_ptr<State> self, ThrottleOverride rate);
  static Task<Result<Begun>> begin_request(std::shared_ptr<State> self, UserId user,
                                           std::string key, Sha256 request);
  static Task<Result<void>> end_request(std::shared_ptr<State> self, UserId user, std::string key,
                                        std::optional<KeptAnswer> answer);

  World world;
  Options options;
  bool closed = false;
  bool has_admin = false;
  std::string code;  ///< of the first administrator
  TokenKey token_key;
  std::array<std::uint8_t, 32> secret_key{};  ///< under which tokens and keys are hashed
  std::string dummy_hash;                     ///< of no password
  std::map<std::string, UtcTime> ended;       ///< sessions whose access tokens may still look good
  std::map<std::pair<std::string, std::string>, ThrottleOverride, std::less<>> throttles;
  std::set<std::pair<UserId, std::string>> answering;
  std::vector<AuditEntry> waiting;
  std::uint64_t audit_lost = 0;
  bool writing = false;
  UtcTime swept;
  std::size_t hashing = 0;  ///< now or waiting
  AccountBook book;
  asio::thread_pool disk{1};
  asio::thread_pool hashes;
};

/// Blocking: Argon2id as crypto_pwhash_str writes it.
[[nodiscard]] Result<std::string> argon2id(std::string_view password, const AccountLimits& limits);

}  // namespace phase::vcp
