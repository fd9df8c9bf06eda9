// Goal: nobody gets in but with what was given to them, and only as long as it is good.
// Method: a real database in a folder of its own, Argon2id at its smallest, a clock that the test
// turns.
#include "vcp/accounts/accounts.h"

#include <sys/stat.h>

#include "base/files.h"
#include "base/loop_fixture.h"
#include "sql/postgres_fixture.h"

namespace phase::vcp {
namespace {

class TurnedClock final : public Clock {
 public:
  explicit TurnedClock(Clock& real) : real_(real) {}
  [[nodiscard]] UtcTime now_utc() const override { return at; }
  [[nodiscard]] Instant now() const override { return real_.now(); }
  [[nodiscard]] Task<Result<void>> sleep_until(Instant when) override {
    return real_.sleep_until(when);
  }
  void turn(Duration by) { at.unix_ms += static_cast<std::uint64_t>(by / 1ms); }

  UtcTime at{1'767'225'600'000};

 private:
  Clock& real_;
};

enum class Kind : std::uint8_t { sqlite, postgres };

class AccountsTest : public LoopTest, public testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::postgres) {
      const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
      if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
      url_ = server.fresh("accounts_test");
    }
    open();
  }
  void open() {
    accounts_.reset();
    Accounts::Options options;
    options.folder = folder_ / "data";
    options.limits.password_passes = 1;
    options.limits.password_memory = 8_KiB;
    options.limits.keys_per_user = 3;
    options.limits.sessions_per_user = 3;
    options.limits.audit_entries = 5;
    options.limits.answers_per_user = 3;
    auto made = open(options);
    ASSERT_TRUE(made) << made.error().text();
    accounts_ = std::move(*made);
  }
  Result<std::unique_ptr<Accounts>> open(Accounts::Options options) {
    const Accounts::World world{turned_, random_, context_.get_executor()};
    if (GetParam() == Kind::sqlite) return Accounts::open(world, std::move(options));
    options.jwt_secret = std::string(32, 'j');
    options.secret = std::string(32, 's');
    PHASE_TRY(sql::Postgres database, sql::Postgres::connect(url_));
    return Accounts::open(world, std::move(options), std::move(database));
  }
  User admin() {
    auto made = run(accounts_->bootstrap(accounts_->bootstrap_code(), "root_1", "correct horse"));
    EXPECT_TRUE(made) << (made ? "" : made.error().text());
    return made.value_or(User{});
  }
  User ada() {
    auto made = run(accounts_->add_user("ada", "correct horse", "ada@example.org"));
    EXPECT_TRUE(made) << (made ? "" : made.error().text());
    return made.value_or(User{});
  }
  Session login(const std::string& name) {
    auto session = run(accounts_->login(name, "correct horse"));
    EXPECT_TRUE(session) << (session ? "" : session.error().text());
    return session.value_or(Session{});
  }

  std::string url_;
  TurnedClock turned_{clock_};
  std::unique_ptr<Accounts> accounts_;
};
std::string kind_name(const testing::TestParamInfo<Kind>& with) {
  return with.param == Kind::sqlite ? "Sqlite" : "Postgres";
}
INSTANTIATE_TEST_SUITE_P(Both, AccountsTest, testing::Values(Kind::sqlite, Kind::postgres),
                         kind_name);

/// What stands in the data folder.
class AccountsFolderTest : public AccountsTest {};
INSTANTIATE_TEST_SUITE_P(Alone, AccountsFolderTest, testing::Values(Kind::sqlite), kind_name);

TEST_P(AccountsTest, TheFirstAdministratorNeedsTheCodeAndComesOnce) {
  EXPECT_FALSE(accounts_->admin_exists());
  const std::string code = accounts_->bootstrap_code();
  EXPECT_GE(code.size(), 20U);
  const auto wrong = run(accounts_->bootstrap(code + "x", "root_1", "correct horse"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::unauthorized);
  EXPECT_EQ(admin().role, Role::admin);
  EXPECT_TRUE(accounts_->admin_exists());
  EXPECT_EQ(accounts_->bootstrap_code(), "");
  const auto again = run(accounts_->bootstrap(code, "root_2", "correct horse"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::already_exists);
  open();
  EXPECT_TRUE(accounts_->admin_exists());
  EXPECT_EQ(accounts_->bootstrap_code(), "");
}

TEST_P(AccountsTest, RefusesBadNamesAndPasswords) {
  for (const auto& [name, password, email] :
       {std::array{"ab", "correct horse", ""}, std::array{"a b c", "correct horse", ""},
        std::array{"ada", "short", ""}, std::array{"ada", "correct horse", "nobody"},
        std::array{"ada", "correct horse", "a@b\r\nBcc: c"}}) {
    const auto made = run(accounts_->add_user(name, password, email));
    ASSERT_FALSE(made) << name << ' ' << password << ' ' << email;
    EXPECT_EQ(made.error().code, Code::invalid_argument);
  }
  const auto longer = run(accounts_->add_user("ada", std::string(129, 'x'), ""));
  EXPECT_FALSE(longer);
  ada();
  const auto taken = run(accounts_->add_user("ada", "correct horse", ""));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::already_exists);
}

TEST_P(AccountsTest, TellsNobodyWhetherTheNameOrThePasswordWasWrong) {
  ada();
  const auto unknown = run(accounts_->login("nobody", "correct horse"));
  const auto wrong = run(accounts_->login("ada", "incorrect horse"));
  ASSERT_FALSE(unknown);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(unknown.error().text(), wrong.error().text());
  EXPECT_EQ(unknown.error().code, Code::unauthorized);
}

TEST_P(AccountsTest, AnAccessTokenIsGoodForItsTimeAndAcrossRestarts) {
  const User user = ada();
  const Session session = login("ada");
  EXPECT_EQ(session.expires_in_s, 900U);
  EXPECT_TRUE(session.refresh_token.starts_with("rt_"));
  EXPECT_EQ(session.refresh_token.size(), 3 + 64U);
  auto who = accounts_->check_token(session.access_token);
  ASSERT_TRUE(who) << who.error().text();
  EXPECT_EQ(who->user, user.id);
  EXPECT_TRUE(who->may("tasks:write"));
  EXPECT_FALSE(who->is_admin());
  open();
  EXPECT_TRUE(accounts_->check_token(session.access_token));
  turned_.turn(900s);
  EXPECT_FALSE(accounts_->check_token(session.access_token));
}

TEST_P(AccountsTest, AUsedRefreshTokenEndsItsWholeFamily) {
  ada();
  const Session first = login("ada");
  const Session other = login("ada");
  const auto second = run(accounts_->refresh(first.refresh_token));
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_TRUE(accounts_->check_token(second->access_token));
  const auto stolen = run(accounts_->refresh(first.refresh_token));
  ASSERT_FALSE(stolen);
  EXPECT_EQ(stolen.error().code, Code::unauthorized);
  EXPECT_FALSE(run(accounts_->refresh(second->refresh_token))) << "the family is revoked";
  EXPECT_FALSE(accounts_->check_token(second->access_token)) << "at once";
  EXPECT_TRUE(run(accounts_->refresh(other.refresh_token))) << "another session goes on";
  open();
  EXPECT_FALSE(accounts_->check_token(second->access_token)) << "also after a restart";
}

TEST_P(AccountsTest, RefreshTokensEndWithTheirFamily) {
  ada();
  const Session first = login("ada");
  turned_.turn(std::chrono::hours(24 * 29));
  const auto second = run(accounts_->refresh(first.refresh_token));
  ASSERT_TRUE(second);
  turned_.turn(std::chrono::hours(25));
  EXPECT_FALSE(run(accounts_->refresh(second->refresh_token)));
  EXPECT_FALSE(run(accounts_->refresh("rt_nobody")));
}

TEST_P(AccountsTest, LogoutEndsTheSessionAtOnce) {
  ada();
  const Session session = login("ada");
  const std::string name = accounts_->check_token(session.access_token)->session;
  EXPECT_TRUE(run(accounts_->logout(name)));
  EXPECT_FALSE(accounts_->check_token(session.access_token));
  EXPECT_FALSE(run(accounts_->refresh(session.refresh_token)));
  EXPECT_TRUE(run(accounts_->logout(name)));
  const Session again = login("ada");
  EXPECT_TRUE(run(accounts_->logout_refresh(again.refresh_token)));
  EXPECT_FALSE(accounts_->check_token(again.access_token));
}

TEST_P(AccountsTest, TheOldestSessionGoesAboveTheLimit) {
  ada();
  std::vector<Session> sessions;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(login("ada"));
    turned_.turn(1s);
  }
  EXPECT_FALSE(run(accounts_->refresh(sessions.front().refresh_token)));
  EXPECT_TRUE(run(accounts_->refresh(sessions[1].refresh_token)));
}

TEST_P(AccountsTest, ARoleIsChangedAtOnceButNotTheLastAdministrators) {
  const User root = admin();
  const User user = ada();
  const Session before = login("ada");
  const auto last = run(accounts_->set_role(root.id, Role::user));
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Code::invalid_argument);
  ASSERT_TRUE(run(accounts_->set_role(user.id, Role::admin)));
  EXPECT_FALSE(accounts_->check_token(before.access_token));
  EXPECT_TRUE(accounts_->check_token(login("ada").access_token)->is_admin());
  EXPECT_TRUE(run(accounts_->set_role(root.id, Role::user)));
  EXPECT_FALSE(run(accounts_->set_role("nobody", Role::user)));
}

TEST_P(AccountsTest, ApiKeysHaveScopesAndAnEnd) {
  const User user = ada();
  const UtcTime end{turned_.at.unix_ms + 10'000};
  const auto made = run(accounts_->add_key(user.id, "laptop", {"tasks:read"}, end));
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_TRUE(made->secret.starts_with("vcp_"));
  EXPECT_EQ(made->secret.size(), 4 + 32U);
  const auto who = run(accounts_->check_key(made->secret));
  ASSERT_TRUE(who);
  EXPECT_EQ(who->user, user.id);
  EXPECT_TRUE(who->may("tasks:read"));
  EXPECT_FALSE(who->may("tasks:write"));
  const auto list = run(accounts_->keys(user.id));
  ASSERT_EQ(list->size(), 1U);
  EXPECT_TRUE(list->front().last_used.has_value());
  EXPECT_TRUE(made->secret.starts_with(list->front().prefix));
  turned_.turn(10s);
  EXPECT_FALSE(run(accounts_->check_key(made->secret)));
  EXPECT_FALSE(run(accounts_->check_key("vcp_nobody")));
}

TEST_P(AccountsTest, ApiKeysAreRevokedByTheirOwnerOnlyAndCounted) {
  const User user = ada();
  const auto key = run(accounts_->add_key(user.id, "one", {"nodes:read"}, std::nullopt));
  ASSERT_TRUE(key);
  EXPECT_FALSE(run(accounts_->revoke_key("somebody", key->key.id)));
  EXPECT_TRUE(run(accounts_->revoke_key(user.id, key->key.id)));
  EXPECT_FALSE(run(accounts_->check_key(key->secret)));
  EXPECT_FALSE(run(accounts_->revoke_key(user.id, key->key.id)));
  EXPECT_FALSE(run(accounts_->add_key(user.id, "x", {"everything"}, std::nullopt)));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(run(accounts_->add_key(user.id, "x", {"nodes:read"}, std::nullopt)));
  }
  const auto more = run(accounts_->add_key(user.id, "x", {"nodes:read"}, std::nullopt));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::busy);
}

TEST_P(AccountsTest, TheAuditLogIsInOrderPagedAndBounded) {
  for (int i = 0; i < 8; ++i) {
    AuditEntry entry;
    entry.at = turned_.at;
    entry.action = "POST /api/v1/tasks";
    entry.message = "number " + std::to_string(i);
    accounts_->note(std::move(entry));
  }
  const auto written = [this] {
    const auto page = run(accounts_->audit(10, ""));
    return page && !page->entries.empty() && page->entries.front().message == "number 7";
  };
  ASSERT_TRUE(until(written));
  const auto page = run(accounts_->audit(3, ""));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->entries.size(), 3U);
  EXPECT_EQ(page->entries[2].message, "number 5");
  const auto rest = run(accounts_->audit(3, page->next));
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->entries.size(), 2U) << "five are kept";
  EXPECT_EQ(rest->entries[1].message, "number 3");
  EXPECT_EQ(rest->next, "");
  EXPECT_FALSE(run(accounts_->audit(3, "x")));
}

TEST_P(AccountsTest, ARequestIsAnsweredOnce) {
  const User user = ada();
  const Sha256 request = sha256(as_bytes("body"));
  const auto first = run(accounts_->begin_request(user.id, "k", request));
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->answer || first->unfinished);
  const auto meanwhile = run(accounts_->begin_request(user.id, "k", request));
  ASSERT_FALSE(meanwhile);
  EXPECT_EQ(meanwhile.error().code, Code::already_exists);
  ASSERT_TRUE(run(accounts_->finish_request(user.id, "k", {201, "{}"})));
  open();
  const auto again = run(accounts_->begin_request(user.id, "k", request));
  ASSERT_TRUE(again && again->answer);
  EXPECT_EQ(again->answer->body, "{}");
  const auto other = run(accounts_->begin_request(user.id, "k", sha256(as_bytes("other"))));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::already_exists);
  EXPECT_TRUE(run(accounts_->begin_request("somebody", "k", request))) << "keys are an account's";
  turned_.turn(std::chrono::hours(25));
  EXPECT_FALSE(run(accounts_->begin_request(user.id, "k", request))->answer) << "a day later";
}

TEST_P(AccountsTest, ARequestThatWasNeverAnsweredSaysSo) {
  const User user = ada();
  const Sha256 request = sha256(as_bytes("body"));
  ASSERT_TRUE(run(accounts_->begin_request(user.id, "k", request)));
  const std::string id = accounts_->uuid_of_key(user.id, "k");
  open();
  const auto again = run(accounts_->begin_request(user.id, "k", request));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->unfinished);
  EXPECT_EQ(accounts_->uuid_of_key(user.id, "k"), id);
  EXPECT_NE(accounts_->uuid_of_key(user.id, "l"), id);
  EXPECT_EQ(id[14], '8');
  EXPECT_TRUE(run(accounts_->forget_request(user.id, "k")));
  EXPECT_FALSE(run(accounts_->begin_request(user.id, "k", request))->unfinished);
}

TEST_P(AccountsTest, OverridesOfRatesEndAndSurviveRestarts) {
  const UtcTime end{turned_.at.unix_ms + 10'000};
  ASSERT_TRUE(run(accounts_->set_throttle({"user:1", "task", 100, 10, end})));
  open();
  ASSERT_NE(accounts_->throttle("user:1", "task"), nullptr);
  EXPECT_EQ(accounts_->throttle("user:1", "task")->per_minute, 100U);
  EXPECT_EQ(accounts_->throttle("user:1", "node"), nullptr);
  turned_.turn(10s);
  EXPECT_EQ(accounts_->throttle("user:1", "task"), nullptr);
}

TEST_P(AccountsFolderTest, KeepsNoSecretAsItIsAndItsFolderPrivate) {
  const User user = ada();
  const Session session = login("ada");
  const auto key = run(accounts_->add_key(user.id, "one", {"nodes:read"}, std::nullopt));
  accounts_.reset();
  struct stat facts{};
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "data")) {
    ASSERT_EQ(::stat(entry.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 077U, 0U) << entry.path();
    const auto text = read_file(entry.path(), 64_MiB);
    ASSERT_TRUE(text);
    for (const std::string& secret :
         {session.refresh_token, session.access_token, key->secret, std::string{"correct horse"}}) {
      EXPECT_EQ(text->find(secret), std::string::npos) << entry.path();
    }
  }
}

/// Sets a variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST(AccountsEnvironment, SaysTheSecretAndTheLifeOfTokens) {
  const Variable secret("JWT_SECRET", "0123456789abcdef0123456789abcdef");
  const Variable hours("JWT_EXPIRATION_HOURS", "24");
  Accounts::Options options;
  ASSERT_TRUE(Accounts::read_environment(options));
  EXPECT_EQ(options.jwt_secret.size(), 32U);
  EXPECT_EQ(options.access_life, std::chrono::hours(24));
}

TEST(AccountsEnvironment, WhatCannotBeIsRefusedByItsName) {
  for (const char* wrong : {"0", "8761", "1h", "-1"}) {
    const Variable hours("JWT_EXPIRATION_HOURS", wrong);
    Accounts::Options options;
    const auto refused = Accounts::read_environment(options);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_NE(refused.error().message.find("JWT_EXPIRATION_HOURS"), std::string::npos);
  }
  const Variable secret("JWT_SECRET", "too short");
  Accounts::Options options;
  const auto refused = Accounts::read_environment(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text().find("too short"), std::string::npos) << "not repeated";
}

}  // namespace
}  // namespace phase::vcp
