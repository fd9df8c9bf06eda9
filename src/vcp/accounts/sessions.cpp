// Passwords, sessions, keys: what takes a look at the disk and a hash, in order.
#include <algorithm>

#include <sodium.h>

#include "vcp/accounts/state_internal.h"

namespace phase::vcp {
namespace {

constexpr std::size_t kRefreshWords = 64;
constexpr std::size_t kKeyWords = 32;
constexpr std::size_t kKeyPrefixBytes = 8;
constexpr std::uint64_t kSweepEveryMs = 3'600'000;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Result<void> check_new_user(std::string_view username, std::string_view password,
                            std::string_view email) {
  if (username.size() < kUsernameBytesMin || username.size() > kUsernameBytesMax ||
      !std::ranges::all_of(username, is_word)) {
    return fail(Code::invalid_argument,
                "username: expected 3 to 32 letters, digits or underscores");
  }
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax) {
    return fail(Code::invalid_argument, "password: expected 8 to 128 bytes");
  }
  const bool control = std::ranges::any_of(
      email, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!email.empty() &&
      (email.size() > kEmailBytesMax || email.find('@') == std::string::npos || control)) {
    return fail(Code::invalid_argument, "email: expected an address of at most 255 bytes");
  }
  return {};
}

tl::unexpected<Error> wrong_password() {
  return fail(Code::unauthorized, "the username or the password is wrong");
}

}  // namespace

Result<std::string> argon2id(std::string_view password, const AccountLimits& limits) {
  char out[crypto_pwhash_STRBYTES];
  const int made =
      crypto_pwhash_str_alg(out, password.data(), password.size(), limits.password_passes,
                            limits.password_memory, crypto_pwhash_ALG_ARGON2ID13);
  if (made != 0) {
    return fail(Code::busy, "there is no memory to hash a password now", "try again");
  }
  return std::string{out};
}

// ── Passwords ──

Task<Result<std::string>> Accounts::State::hash_password(std::shared_ptr<State> self,
                                                         std::string password) {
  const AccountLimits& limits = self->options.limits;
  if (self->closed || self->hashing >= limits.hashes_at_once + limits.hashes_waiting) {
    co_return fail(Code::busy, "too many passwords are being checked", "try again in a moment");
  }
  ++self->hashing;
  auto work = [&password, &limits] { return argon2id(password, limits); };
  auto made = co_await in_pool(self->hashes, work);
  --self->hashing;
  co_return made;
}

Task<Result<bool>> Accounts::State::check_password(std::shared_ptr<State> self, std::string hash,
                                                   std::string password) {
  const AccountLimits& limits = self->options.limits;
  if (self->closed || self->hashing >= limits.hashes_at_once + limits.hashes_waiting) {
    co_return fail(Code::busy, "too many passwords are being checked", "try again in a moment");
  }
  ++self->hashing;
  auto work = [&hash, &password] {
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
  };
  const bool good = co_await in_pool(self->hashes, work);
  --self->hashing;
  co_return good;
}

Task<Result<UserRow>> Accounts::State::new_user(std::shared_ptr<State> self, std::string username,
                                                std::string password, std::string email,
                                                Role role) {
  const Result<void> fits = check_new_user(username, password, email);
  PHASE_CO_TRY_VOID(fits);
  auto hash = co_await hash_password(self, std::move(password));
  PHASE_CO_TRY_VOID(hash);
  UserRow row;
  row.user.id = self->world.random.uuid();
  row.user.username = std::move(username);
  row.user.email = std::move(email);
  row.user.role = role;
  row.user.created = self->world.clock.now_utc();
  row.password_hash = std::move(*hash);
  co_return row;
}

Task<Result<User>> Accounts::State::add_user(std::shared_ptr<State> self, std::string username,
                                             std::string password, std::string email) {
  auto row = co_await new_user(self, std::move(username), std::move(password), std::move(email),
                               Role::user);
  PHASE_CO_TRY_VOID(row);
  auto add = [&row](AccountBook& book) { return book.add_user(*row); };
  auto added = co_await on_disk(self, add);
  PHASE_CO_TRY_VOID(added);
  co_return row->user;
}

Task<Result<User>> Accounts::State::bootstrap(std::shared_ptr<State> self, std::string given,
                                              std::string username, std::string password) {
  if (self->has_admin) {
    co_return fail(Code::already_exists, "there is an administrator already", "log in");
  }
  // Hashes, so that not even the length shows in the time.
  const Sha256 have = self->hashed(self->code);
  const Sha256 got = self->hashed(given);
  if (!equal_constant_time(have.bytes(), got.bytes())) {
    co_return fail(Code::unauthorized, "this is not the code of the first administrator",
                   "it stands in the coordinator's output at start");
  }
  auto row = co_await new_user(self, std::move(username), std::move(password), {}, Role::admin);
  PHASE_CO_TRY_VOID(row);
  auto add = [&row](AccountBook& book) { return book.add_first_admin(*row); };
  auto added = co_await on_disk(self, add);
  PHASE_CO_TRY_VOID(added);
  self->has_admin = true;
  self->code.clear();
  co_return row->user;
}

// ── Sessions ──

Session Accounts::State::tokens_of(const User& user, const std::string& session,
                                   std::string refresh_token, UtcTime refresh_end) const {
  const std::uint64_t now_s = world.clock.now_utc().unix_ms / 1000;
  const auto life_s = static_cast<std::uint64_t>(options.access_life / 1s);
  Claims claims{user.id, user.username, user.role,     world.random.uuid(),
                session, now_s,         now_s + life_s};
  Session out;
  out.user = user;
  out.access_token = sign_token(claims, token_key);
  out.refresh_token = std::move(refresh_token);
  out.expires_in_s = life_s;
  out.refresh_expires_in_s =
      refresh_end.unix_ms / 1000 > now_s ? refresh_end.unix_ms / 1000 - now_s : 0;
  return out;
}

Task<Result<Session>> Accounts::State::login(std::shared_ptr<State> self, std::string username,
                                             std::string password) {
  if (password.size() > kPasswordBytesMax) {
    co_return wrong_password();
  }
  auto find = [&username](AccountBook& book) { return book.user_by_name(username); };
  auto row = co_await on_disk(self, find);
  if (!row && row.error().code != Code::not_found) {
    co_return fail(row.error());
  }
  // The same work for a name that nobody has.
  std::string hash = row ? row->password_hash : self->dummy_hash;
  const auto good = co_await check_password(self, std::move(hash), std::move(password));
  PHASE_CO_TRY(const bool right, good);
  if (!right || !row) {
    co_return wrong_password();
  }
  const UtcTime now = self->world.clock.now_utc();
  const auto life = static_cast<std::uint64_t>(self->options.refresh_life / 1ms);
  AccountBook::Family family{self->world.random.uuid(), row->user.id, {now.unix_ms + life}};
  std::string token = self->words("rt_", kRefreshWords);
  const Sha256 token_hash = self->hashed(token);
  auto begin = [&family, &token_hash, now](AccountBook& book) -> Result<UserRow> {
    PHASE_TRY_VOID(book.begin_session(family, token_hash, now));
    PHASE_TRY_VOID(book.note_login(family.user, now));
    return book.user_by_id(family.user);  // as it is now: the role may have changed
  };
  auto begun = co_await on_disk(self, begin);
  PHASE_CO_TRY_VOID(begun);
  co_return self->tokens_of(begun->user, family.id, std::move(token), family.expires);
}

Task<Result<Session>> Accounts::State::refresh(std::shared_ptr<State> self, std::string token) {
  const UtcTime now = self->world.clock.now_utc();
  const Sha256 old_hash = self->hashed(token);
  std::string next = self->words("rt_", kRefreshWords);
  const Sha256 next_hash = self->hashed(next);
  auto turn = [&old_hash, &next_hash, now](AccountBook& book) {
    return book.rotate(old_hash, next_hash, now);
  };
  auto rotated = co_await on_disk(self, turn);
  PHASE_CO_TRY_VOID(rotated);
  if (rotated->reused) {
    self->end_session(rotated->session);
    co_return fail(Code::unauthorized, "the refresh token was used before; its session is ended",
                   "log in again");
  }
  const UserId id = rotated->user;
  auto find = [&id](AccountBook& book) { return book.user_by_id(id); };
  auto row = co_await on_disk(self, find);
  PHASE_CO_TRY_VOID(row);
  co_return self->tokens_of(row->user, rotated->session, std::move(next), rotated->expires);
}

Task<Result<void>> Accounts::State::logout(std::shared_ptr<State> self, std::string session) {
  self->end_session(session);
  const UtcTime now = self->world.clock.now_utc();
  auto end = [&session, now](AccountBook& book) {
    return book.end_session(session, "logout", now);
  };
  auto done = co_await on_disk(self, end);
  co_return done;
}

Task<Result<void>> Accounts::State::logout_refresh(std::shared_ptr<State> self, std::string token) {
  const Sha256 hash = self->hashed(token);
  auto find = [&hash](AccountBook& book) { return book.session_of(hash); };
  auto session = co_await on_disk(self, find);
  if (!session) {
    co_return session.error().code == Code::not_found ? Result<void>{} : fail(session.error());
  }
  auto done = co_await logout(self, std::move(*session));
  co_return done;
}

Task<Result<User>> Accounts::State::set_role(std::shared_ptr<State> self, UserId id, Role role) {
  const UtcTime now = self->world.clock.now_utc();
  auto change = [&id, role, now](AccountBook& book) { return book.set_role(id, role, now); };
  auto over = co_await on_disk(self, change);
  PHASE_CO_TRY_VOID(over);
  for (const std::string& session : *over) {
    self->end_session(session);
  }
  auto find = [&id](AccountBook& book) { return book.user_by_id(id); };
  auto row = co_await on_disk(self, find);
  PHASE_CO_TRY_VOID(row);
  co_return row->user;
}

Task<Result<NewApiKey>> Accounts::State::add_key(std::shared_ptr<State> self, UserId user,
                                                 ApiKey key) {
  const UtcTime now = self->world.clock.now_utc();
  const bool known = std::ranges::all_of(key.scopes, [](const std::string& scope) {
    return std::ranges::find(kScopes, scope) != std::end(kScopes);
  });
  if (key.scopes.empty() || key.scopes.size() > std::size(kScopes) || !known) {
    co_return fail(Code::invalid_argument,
                   "scopes: expected some of tasks:read, tasks:write, nodes:read, nodes:write, "
                   "admin");
  }
  if (key.name.empty() || key.name.size() > kKeyNameBytesMax ||
      printable(key.name, kKeyNameBytesMax) != key.name) {
    co_return fail(Code::invalid_argument, "name: expected 1 to 64 bytes of text");
  }
  if (key.expires && *key.expires <= now) {
    co_return fail(Code::invalid_argument, "expires_at: this is over");
  }
  std::string secret = self->words("vcp_", kKeyWords);
  key.id = self->world.random.uuid();
  key.prefix = secret.substr(0, kKeyPrefixBytes);
  key.created = now;
  const Sha256 hash = self->hashed(secret);
  auto add = [&user, &key, &hash](AccountBook& book) { return book.add_key(user, key, hash); };
  auto added = co_await on_disk(self, add);
  PHASE_CO_TRY_VOID(added);
  co_return NewApiKey{std::move(key), std::move(secret)};
}

// ── Audit, rates, idempotency ──

Task<void> Accounts::State::write_audit(std::shared_ptr<State> self) {
  while (!self->closed && !self->waiting.empty()) {
    std::vector<AuditEntry> batch = std::exchange(self->waiting, {});
    const UtcTime now = self->world.clock.now_utc();
    if (self->audit_lost != 0) {
      AuditEntry lost;
      lost.at = now;
      lost.action = "audit.lost";
      lost.message = std::to_string(std::exchange(self->audit_lost, 0)) + " entries";
      batch.push_back(std::move(lost));
    }
    const bool due = self->swept.unix_ms + kSweepEveryMs <= now.unix_ms;
    auto write = [&batch, now, due](AccountBook& book) -> Result<void> {
      PHASE_TRY_VOID(book.add_audit(batch));
      return due ? book.sweep(now) : Result<void>{};
    };
    const Result<void> written = co_await on_disk(self, write);
    self->swept = due ? now : self->swept;
    if (!written) {
      self->audit_lost += batch.size();
    }
  }
  self->writing = false;
}

Task<Result<void>> Accounts::State::set_throttle(std::shared_ptr<State> self,
                                                 ThrottleOverride rate) {
  const UtcTime now = self->world.clock.now_utc();
  auto put = [&rate, now](AccountBook& book) { return book.set_throttle(rate, now); };
  auto done = co_await on_disk(self, put);
  PHASE_CO_TRY_VOID(done);
  std::erase_if(self->throttles, [now](const auto& one) {
    return one.second.expires && *one.second.expires <= now;
  });
  const std::pair<std::string, std::string> name{rate.subject, rate.tier};
  self->throttles[name] = std::move(rate);
  co_return Result<void>{};
}

Task<Result<Accounts::Begun>> Accounts::State::begin_request(std::shared_ptr<State> self,
                                                             UserId user, std::string key,
                                                             Sha256 request) {
  const std::pair<UserId, std::string> name{user, key};
  if (!self->answering.insert(name).second) {
    co_return fail(Code::already_exists, "a request with this idempotency key is being answered",
                   "wait for its answer");
  }
  const UtcTime now = self->world.clock.now_utc();
  auto begin = [&user, &key, &request, now](AccountBook& book) {
    return book.begin_request(user, key, request, now);
  };
  auto begun = co_await on_disk(self, begin);
  if (!begun || begun->answer) {
    self->answering.erase(name);
  }
  co_return begun;
}

Task<Result<void>> Accounts::State::end_request(std::shared_ptr<State> self, UserId user,
                                                std::string key, std::optional<KeptAnswer> answer) {
  self->answering.erase({user, key});
  if (answer && answer->body.size() > self->options.limits.answer_bytes) {
    answer.reset();
  }
  auto end = [&user, &key, &answer](AccountBook& book) {
    return answer ? book.finish_request(user, key, *answer) : book.forget_request(user, key);
  };
  auto done = co_await on_disk(self, end);
  co_return done;
}

}  // namespace phase::vcp
