// What holds for SQLite holds on a PostgreSQL server, and what only a server has.
#include "sql/postgres.h"

#include <array>
#include <thread>

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "sql/postgres_fixture.h"

namespace phase::sql {
namespace {

constexpr std::array<const char*, 2> kSchema = {
    "CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB, size "
    "BIGINT)",
    "UPDATE things SET data = X''"};

class PostgresTest : public testing::Test {
 protected:
  void SetUp() override {
    const TestServer& server = TestServer::instance(PHASE_SOURCE_DIR);
    if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
    url_ = server.fresh("sql_test");
    database_ = connect();
    ASSERT_TRUE(migrate(database_, "things", kSchema));
  }
  Postgres connect() const {
    auto made = Postgres::connect(url_);
    EXPECT_TRUE(made) << made.error().text();
    return made ? *std::move(made) : Postgres();
  }
  static Result<void> add(Database& to, std::string_view name, ByteView data) {
    PHASE_TRY(Statement put, to.prepare("INSERT INTO things (name, data) VALUES ($1, $2)"));
    put.bind(name).bind(data);
    return put.run();
  }
  std::uint64_t count() {
    const auto out = database_.integer("SELECT count(*) FROM things");
    EXPECT_TRUE(out) << out.error().text();
    return out.value_or(0);
  }

  std::string url_;
  Postgres database_;
};

TEST_F(PostgresTest, GivesBackWhatWasBound) {
  auto put = database_.prepare("INSERT INTO things (name, data, size) VALUES ($1, $2, $3)");
  ASSERT_TRUE(put) << put.error().text();
  const Bytes data = {0, 1, 0xff, 0};
  constexpr std::uint64_t kLarge = (1ULL << 62) + 7;
  ASSERT_TRUE(put->bind("one").bind(ByteView(data)).bind(kLarge).run());
  ASSERT_TRUE(put->bind("two").bind(ByteView()).bind_null().run());
  EXPECT_EQ(database_.changes(), 1U);
  auto rows = database_.prepare(
      "SELECT name, data, size, number FROM things WHERE size = $1 OR name = $2 ORDER BY name");
  ASSERT_TRUE(rows) << rows.error().text();
  rows->bind(kLarge).bind("two");
  ASSERT_TRUE(rows->step().value());
  EXPECT_EQ(rows->text(0), "one");
  EXPECT_EQ(rows->blob(1), data);
  EXPECT_EQ(rows->integer(2), kLarge);
  EXPECT_EQ(rows->integer(3), 1U);
  ASSERT_TRUE(rows->step().value());
  EXPECT_TRUE(rows->is_null(2));
  EXPECT_FALSE(rows->is_null(1)) << "an empty blob is something";
  EXPECT_FALSE(rows->step().value());
}

TEST_F(PostgresTest, TextsThatItCannotKeepAreMended) {
  ASSERT_TRUE(add(database_, std::string_view("a\0b", 3), {}));
  ASSERT_TRUE(add(database_, "\xff", {}));
  auto rows = database_.prepare("SELECT name FROM things ORDER BY number");
  ASSERT_TRUE(rows->step().value());
  EXPECT_EQ(rows->text(0),
            "a\xEF\xBF\xBD"
            "b");
  ASSERT_TRUE(rows->step().value());
  EXPECT_EQ(rows->text(0), "\xEF\xBF\xBD");
}

TEST_F(PostgresTest, ATransactionIsWholeOrNot) {
  {
    auto change = Transaction::begin(database_);
    ASSERT_TRUE(change);
    ASSERT_TRUE(add(database_, "gone", {}));
    EXPECT_EQ(count(), 1U) << "seen inside";
  }
  EXPECT_EQ(count(), 0U);
  auto change = Transaction::begin(database_);
  ASSERT_TRUE(change);
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(add(database_, std::to_string(i), {}));
  ASSERT_TRUE(change->commit());
  EXPECT_EQ(count(), 1'000U);
}

TEST_F(PostgresTest, AChangeThatFailsIsToldAtLatestByCommit) {
  {
    auto change = Transaction::begin(database_);
    ASSERT_TRUE(change);
    ASSERT_TRUE(add(database_, "one", {}));
    ASSERT_TRUE(add(database_, "one", {})) << "under way";
    ASSERT_TRUE(add(database_, "two", {}));
    EXPECT_FALSE(change->commit());
  }
  EXPECT_EQ(count(), 0U);
  ASSERT_TRUE(add(database_, "one", {})) << "and it goes on";
  EXPECT_FALSE(add(database_, "one", {}));
}

TEST_F(PostgresTest, AFenceStopsEveryChange) {
  ASSERT_TRUE(add(database_, "epoch", {}));
  Postgres writer = connect();
  writer.fence("SELECT 1 FROM things WHERE name = 'epoch' FOR SHARE");
  ASSERT_TRUE(add(writer, "in force", {}));
  ASSERT_TRUE(database_.execute("UPDATE things SET name = 'over' WHERE name = 'epoch'"));
  const Result<void> alone = add(writer, "alone", {});
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, Code::rejected);
  const auto together = Transaction::begin(writer);
  ASSERT_FALSE(together);
  EXPECT_EQ(together.error().code, Code::rejected);
  EXPECT_EQ(count(), 2U);
  EXPECT_EQ(writer.integer("SELECT count(*) FROM things").value_or(0), 2U) << "it may read";
}

TEST_F(PostgresTest, WhatHoldsTheFenceIsWaitedFor) {
  ASSERT_TRUE(add(database_, "epoch", {}));
  Postgres writer = connect();
  writer.fence("SELECT 1 FROM things WHERE name = 'epoch' FOR SHARE");
  auto change = Transaction::begin(writer);
  ASSERT_TRUE(change);
  ASSERT_TRUE(add(writer, "in time", {}));
  std::thread next([this] {
    Postgres other = connect();
    EXPECT_TRUE(other.execute("UPDATE things SET name = 'over' WHERE name = 'epoch'"));
    const auto seen = other.integer("SELECT count(*) FROM things");
    EXPECT_EQ(seen.value_or(0), 2U) << "what was begun before is there";
  });
  while (database_.integer("SELECT count(*) FROM pg_locks WHERE NOT granted").value_or(1) == 0) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(change->commit());
  next.join();
}

TEST_F(PostgresTest, StepsAreTakenOnceAndNewerOnesAreRefused) {
  Postgres again = connect();
  EXPECT_TRUE(migrate(again, "things", kSchema));
  EXPECT_TRUE(migrate(again, "others", std::array{"CREATE TABLE others (id TEXT PRIMARY KEY)"}));
  const auto older = migrate(again, "things", std::span(kSchema).first(1));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::version_unknown);
  const auto broken = migrate(again, "broken", std::array{"CREATE TABLE b (id TEXT); NONSENSE"});
  EXPECT_FALSE(broken);
  EXPECT_FALSE(again.integer("SELECT count(*) FROM b")) << "taken back";
}

TEST_F(PostgresTest, HearsWhatIsTold) {
  const FileDescriptor wake(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(database_.listen("news"));
  EXPECT_FALSE(database_.wait_for_notice(1ms, wake.get()).value());
  Postgres other = connect();
  ASSERT_TRUE(other.execute("NOTIFY news"));
  EXPECT_TRUE(database_.wait_for_notice(60s, wake.get()).value());
  ASSERT_EQ(::eventfd_write(wake.get(), 1), 0);
  EXPECT_FALSE(database_.wait_for_notice(60s, wake.get()).value()) << "woken, not told";
}

TEST_F(PostgresTest, ALostConnectionIsAnError) {
  Postgres other = connect();
  ASSERT_TRUE(
      other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                    "current_database() AND pid <> pg_backend_pid()"));
  const auto begun = Transaction::begin(database_);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, Code::unavailable);
  const FileDescriptor wake(::eventfd(0, EFD_CLOEXEC));
  EXPECT_FALSE(database_.wait_for_notice(60s, wake.get()));
}

TEST(PostgresUrl, WhatIsNoneIsRefusedWithoutRepeatingIt) {
  const auto refused = Postgres::connect("http://user:secret@host/name");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_EQ(refused.error().text().find("secret"), std::string::npos);
  const auto nobody = Postgres::connect("postgres://user:secret@127.0.0.1:1/name");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::unavailable);
  EXPECT_EQ(nobody.error().text().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace phase::sql
