#include "vcp/accounts/accounts.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <sodium.h>
#include <sys/stat.h>

#include "base/files.h"
#include "vcp/accounts/state_internal.h"

namespace phase::vcp {
namespace {

constexpr std::size_t kSecretFileBytesMax = 4_KiB;
constexpr std::size_t kAuditTextBytesMax = 512;
constexpr std::size_t kUsersPageMax = 500;
constexpr std::uint64_t kHoursMax = 8'760;

/// What the folder keeps under this name, made when absent.
Result<std::string> kept_secret(const std::filesystem::path& path, Random& random) {
  auto text = read_file(path, kSecretFileBytesMax);
  if (text) {
    if (text->size() < kJwtSecretBytesMin) {
      return fail(Code::malformed, path.string() + " is too short for a secret",
                  "remove it: a new one is made, and everybody logs in again");
    }
    return *text;
  }
  if (text.error().code != Code::not_found) {
    return fail(text.error());
  }
  std::string made = to_hex(random.array<32>());
  PHASE_TRY_VOID(write_file(path, made));
  if (::chmod(path.c_str(), 0600) != 0) {
    return fail_errno(errno, "cannot make " + path.string() + " private");
  }
  return made;
}

Result<void> make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::create_directories(folder, error) && ::chmod(folder.c_str(), 0700) != 0) {
    return fail_errno(errno, "cannot make " + folder.string() + " private");
  }
  if (error) {
    return fail(Code::io, "cannot make the folder " + folder.string() + ": " + error.message());
  }
  return {};
}

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(duration / 1ms);
}

}  // namespace

Result<void> Accounts::read_environment(Options& options) {
  if (const char* secret = std::getenv("JWT_SECRET"); secret != nullptr && *secret != '\0') {
    options.jwt_secret = secret;
    if (options.jwt_secret.size() < kJwtSecretBytesMin) {
      return fail(Code::invalid_argument, "JWT_SECRET has fewer than 32 bytes",
                  "leave it out: one is made and kept in the data folder");
    }
  }
  if (const char* hours = std::getenv("JWT_EXPIRATION_HOURS"); hours != nullptr && *hours != '\0') {
    const std::string_view text{hours};
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1 ||
        value > kHoursMax) {
      return fail(Code::invalid_argument, "JWT_EXPIRATION_HOURS is no number from 1 to 8760");
    }
    options.access_life = std::chrono::hours(value);
  }
  return {};
}

Result<std::unique_ptr<Accounts>> Accounts::open(World world, Options options) {
  PHASE_TRY_VOID(make_folder(options.folder));
  if (options.jwt_secret.empty()) {
    PHASE_TRY(options.jwt_secret, kept_secret(options.folder / "jwt.secret", world.random));
  }
  if (options.secret.empty()) {
    PHASE_TRY(options.secret, kept_secret(options.folder / "accounts.secret", world.random));
  }
  PHASE_TRY(sql::Database database, sql::Database::open(options.folder / "accounts.db"));
  return open(std::move(world), std::move(options), std::move(database));
}

Result<std::unique_ptr<Accounts>> Accounts::open(World world, Options options,
                                                 sql::Database database) {
  if (options.jwt_secret.size() < kJwtSecretBytesMin ||
      options.secret.size() < kJwtSecretBytesMin) {
    return fail(Code::invalid_argument, "the secret of access tokens has fewer than 32 bytes");
  }
  PHASE_TRY(AccountBook book, AccountBook::open(std::move(database), options.limits));
  return begin(std::move(world), std::move(options), std::move(book));
}

Result<std::unique_ptr<Accounts>> Accounts::begin(World world, Options options, AccountBook book) {
  const TokenKey tokens = vcp::token_key(options.jwt_secret);
  const Sha256 key = sha256(as_bytes("phase/vcp/secrets/1" + options.secret));
  auto state = std::make_shared<State>(std::move(world), std::move(options), std::move(book));
  PHASE_TRY_VOID(state->begin(tokens, key.value));
  return std::unique_ptr<Accounts>(new Accounts(std::move(state)));
}

Accounts::Accounts(std::shared_ptr<State> state) : state_(std::move(state)) {}

Accounts::~Accounts() {
  state_->closed = true;
  state_->hashes.join();
  state_->disk.join();
  if (!state_->waiting.empty()) {
    // Nobody is left to tell when this fails.
    static_cast<void>(state_->book.add_audit(state_->waiting));
  }
}

Task<Result<void>> Accounts::copy_to(std::filesystem::path file) {
  const auto state = state_;
  const std::function<Result<void>(AccountBook&)> copy =
      [&file](AccountBook& book) -> Result<void> {
    PHASE_TRY(const auto all, book.copy(file));
    constexpr int kAllPages = -1;
    PHASE_TRY_VOID(all->step(kAllPages));
    return {};
  };
  auto done = co_await State::on_disk(state, copy);
  co_return done;
}

Result<void> Accounts::State::begin(TokenKey tokens, std::array<std::uint8_t, 32> secrets) {
  token_key = std::move(tokens);
  secret_key = secrets;
  PHASE_TRY(dummy_hash, argon2id(words("", 32), options.limits));
  PHASE_TRY(has_admin, book.admin_exists());
  if (!has_admin) {
    code = words("", 24);
  }
  const UtcTime now = world.clock.now_utc();
  PHASE_TRY_VOID(book.sweep(now));
  swept = now;
  PHASE_TRY(const auto rates, book.throttles(now));
  for (const ThrottleOverride& rate : rates) {
    throttles[{rate.subject, rate.tier}] = rate;
  }
  const std::uint64_t life = milliseconds(options.access_life);
  PHASE_TRY(const auto over, book.revoked_sessions({now.unix_ms > life ? now.unix_ms - life : 0}));
  for (const std::string& session : over) {
    ended[session] = now;
  }
  return {};
}

std::string Accounts::State::words(std::string_view prefix, std::size_t length) const {
  return std::string{prefix} + world.random.letters_and_digits(length);
}

Sha256 Accounts::State::hashed(std::string_view secret) const {
  return hmac_sha256(secret_key, secret);
}

void Accounts::State::end_session(const std::string& session) {
  const UtcTime now = world.clock.now_utc();
  const std::uint64_t life = milliseconds(options.access_life);
  std::erase_if(ended, [&](const auto& one) { return one.second.unix_ms + life < now.unix_ms; });
  ended[session] = now;
}

// ── Asking on the loop ──

bool Accounts::admin_exists() const noexcept {
  return state_->has_admin;
}

std::string Accounts::bootstrap_code() const {
  return state_->has_admin ? std::string{} : state_->code;
}

Result<Principal> Accounts::check_token(std::string_view access_token) const {
  PHASE_TRY(const Claims claims,
            read_token(access_token, state_->token_key, state_->world.clock.now_utc()));
  if (state_->ended.contains(claims.session)) {
    return fail(Code::unauthorized, "this session was ended", "log in again");
  }
  return Principal{claims.subject, claims.username, claims.role, "token", {}, claims.session};
}

const ThrottleOverride* Accounts::throttle(std::string_view subject, std::string_view tier) const {
  if (state_->throttles.empty()) {
    return nullptr;
  }
  const auto found = state_->throttles.find({std::string{subject}, std::string{tier}});
  if (found == state_->throttles.end() ||
      (found->second.expires && *found->second.expires <= state_->world.clock.now_utc())) {
    return nullptr;
  }
  return &found->second;
}

std::string Accounts::uuid_of_key(std::string_view user, std::string_view key) const {
  const std::string text = "idempotency " + std::string{user} + " " + std::string{key};
  std::array<std::uint8_t, 32> raw = hmac_sha256(state_->secret_key, text).value;
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x80);  // RFC 9562 §5.8
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
  std::string out = to_hex(ByteView(raw).first(16));
  for (const std::size_t place : {20U, 16U, 12U, 8U}) {
    out.insert(place, "-");
  }
  return out;
}

void Accounts::note(AuditEntry entry) {
  for (std::string* text : {&entry.action, &entry.resource, &entry.address, &entry.user_agent,
                            &entry.request_id, &entry.message}) {
    *text = printable(*text, kAuditTextBytesMax);
  }
  if (state_->closed || state_->waiting.size() >= state_->options.limits.audit_waiting) {
    ++state_->audit_lost;
    return;
  }
  state_->waiting.push_back(std::move(entry));
  if (!state_->writing) {
    state_->writing = true;
    asio::co_spawn(state_->world.executor, State::write_audit(state_), asio::detached);
  }
}

// ── Asking the disk ──

Task<Result<User>> Accounts::bootstrap(std::string given, std::string username,
                                       std::string password) {
  return State::bootstrap(state_, std::move(given), std::move(username), std::move(password));
}

Task<Result<User>> Accounts::add_user(std::string username, std::string password,
                                      std::string email) {
  return State::add_user(state_, std::move(username), std::move(password), std::move(email));
}

Task<Result<Session>> Accounts::login(std::string username, std::string password) {
  return State::login(state_, std::move(username), std::move(password));
}

Task<Result<Session>> Accounts::refresh(std::string refresh_token) {
  return State::refresh(state_, std::move(refresh_token));
}

Task<Result<void>> Accounts::logout(std::string session) {
  return State::logout(state_, std::move(session));
}

Task<Result<void>> Accounts::logout_refresh(std::string refresh_token) {
  return State::logout_refresh(state_, std::move(refresh_token));
}

Task<Result<User>> Accounts::set_role(UserId id, Role role) {
  return State::set_role(state_, std::move(id), role);
}

Task<Result<User>> Accounts::user(UserId id) {
  auto find = [&id](AccountBook& book) { return book.user_by_id(id); };
  auto row = co_await State::on_disk(state_, find);
  PHASE_CO_TRY_VOID(row);
  co_return row->user;
}

Task<Result<Accounts::UserPage>> Accounts::users(std::size_t limit, std::string after) {
  const std::size_t want = std::clamp<std::size_t>(limit, 1, kUsersPageMax);
  auto list = [&after, want](AccountBook& book) { return book.users(want + 1, after); };
  auto rows = co_await State::on_disk(state_, list);
  PHASE_CO_TRY_VOID(rows);
  UserPage out;
  out.users = std::move(*rows);
  if (out.users.size() > want) {
    out.users.resize(want);
    out.next = out.users.back().username;
  }
  co_return out;
}

Task<Result<NewApiKey>> Accounts::add_key(UserId user, std::string name,
                                          std::vector<std::string> scopes,
                                          std::optional<UtcTime> expires) {
  ApiKey key;
  key.name = std::move(name);
  key.scopes = std::move(scopes);
  key.expires = expires;
  return State::add_key(state_, std::move(user), std::move(key));
}

Task<Result<std::vector<ApiKey>>> Accounts::keys(UserId user) {
  auto list = [&user](AccountBook& book) { return book.keys(user); };
  auto rows = co_await State::on_disk(state_, list);
  co_return rows;
}

Task<Result<void>> Accounts::revoke_key(UserId user, std::string id) {
  const UtcTime now = state_->world.clock.now_utc();
  auto revoke = [&user, &id, now](AccountBook& book) { return book.revoke_key(user, id, now); };
  auto done = co_await State::on_disk(state_, revoke);
  co_return done;
}

Task<Result<Principal>> Accounts::check_key(std::string secret) {
  const UtcTime now = state_->world.clock.now_utc();
  const Sha256 hash = state_->hashed(secret);
  auto check = [&hash, now](AccountBook& book) { return book.check_key(hash, now); };
  auto done = co_await State::on_disk(state_, check);
  co_return done;
}

Task<Result<Accounts::AuditPage>> Accounts::audit(std::size_t limit, std::string after) {
  const std::size_t want = std::clamp<std::size_t>(limit, 1, kUsersPageMax);
  std::uint64_t before = 1ULL << 62;
  if (!after.empty()) {
    const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), before);
    if (error != std::errc{} || end != after.data() + after.size() || before >= 1ULL << 62) {
      co_return fail(Code::invalid_argument, "after: this is no cursor of the audit log");
    }
  }
  auto list = [want, before](AccountBook& book) { return book.audit(want + 1, before); };
  auto rows = co_await State::on_disk(state_, list);
  PHASE_CO_TRY_VOID(rows);
  AuditPage out;
  out.entries = std::move(*rows);
  if (out.entries.size() > want) {
    out.entries.resize(want);
    out.next = std::to_string(out.entries.back().id);
  }
  co_return out;
}

Task<Result<void>> Accounts::set_throttle(ThrottleOverride rate) {
  return State::set_throttle(state_, std::move(rate));
}

Task<Result<Accounts::Begun>> Accounts::begin_request(UserId user, std::string key,
                                                      Sha256 request) {
  return State::begin_request(state_, std::move(user), std::move(key), request);
}

Task<Result<void>> Accounts::finish_request(UserId user, std::string key, KeptAnswer answer) {
  return State::end_request(state_, std::move(user), std::move(key), std::move(answer));
}

Task<Result<void>> Accounts::forget_request(UserId user, std::string key) {
  return State::end_request(state_, std::move(user), std::move(key), std::nullopt);
}

}  // namespace phase::vcp
