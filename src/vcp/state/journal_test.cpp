// Both journals hold what was appended; the file holds it after its process was killed.
#include <array>

#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop_fixture.h"
#include "sql/postgres_fixture.h"
#include "vcp/state/database_journal.h"
#include "vcp/state/memory_journal.h"

namespace phase::vcp {
namespace {

constexpr UtcTime kNow{1'700'000'000'000};

TaskRow task_row(const TaskId& id, const UserId& owner) {
  TaskRow row;
  row.spec.id = id;
  row.spec.owner = owner;
  row.spec.bid = 30;
  row.spec.submitted = row.updated = kNow;
  row.spec.requirements.min_nodes = 3;
  row.spec.requirements.region = "eu";
  row.spec.requirements.allow_peers = true;
  row.spec.requirements.deadline = UtcTime{kNow.unix_ms + 5};
  row.spec.work.job.module = job::reference(as_bytes("module"));
  row.spec.work.job.args = {"a", "b"};
  row.spec.work.stdin_bytes = to_bytes("input");
  return row;
}

RunRow run_row(const TaskId& id, std::uint32_t attempt) {
  RunRow row;
  row.task = id;
  row.node = "n" + std::to_string(attempt);
  row.attempt = attempt;
  row.state = RunState::verified;
  row.assigned = kNow;
  row.ended = kNow;
  row.output_commitment = sha256(as_bytes("out"));
  row.fuel = 7;
  row.verified = true;
  row.receipt = {1, 2, 3};
  return row;
}

TaskRow connect_row(const TaskId& id, const UserId& owner) {
  TaskRow row;
  row.spec.id = id;
  row.spec.owner = owner;
  row.spec.type = TaskType::connect_only;
  row.spec.submitted = row.updated = kNow;
  row.spec.connect = ConnectWish{600, 20, Egress::protocol_limited, "docs"};
  return row;
}

ConnectSession session_row(const std::string& id, const TaskId& task) {
  ConnectSession row;
  row.id = id;
  row.task = task;
  row.node = "gate";
  row.requester = "u";
  row.tunnel = Tunnel::quic;
  row.wish = {600, 20, Egress::protocol_limited, "docs"};
  row.token = sha256(as_bytes("cs_1"));
  row.created = row.heard = kNow;
  row.expires = UtcTime{kNow.unix_ms + 600'000};
  return row;
}

NodeRow node_row(const NodeName& name) {
  NodeRow row;
  row.name = name;
  row.owner = "u";
  row.region = "eu";
  row.type = "compute";
  row.key = identity::PublicKey{};
  row.key->value[3] = 9;
  row.observability_port = 9090;
  row.cordoned = true;
  row.record = "1 2 3";
  return row;
}

Entry grant(Book& book, const UserId& user, Credits amount) {
  auto entry =
      book.apply({TransferKind::grant, std::string(kMint), user_account(user), amount, user}, kNow);
  EXPECT_TRUE(entry);
  return *entry;
}

enum class Kind : std::uint8_t { memory, sqlite, postgres };

constexpr const char* kNotInVersionTwo =
    "DROP TABLE connect_sessions; DROP TABLE destination_policies";

class JournalTest : public LoopTest, public testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() != Kind::postgres) return;
    const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
    if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
    url_ = server.fresh("journal_test");
  }
  std::unique_ptr<Journal> open() {
    if (GetParam() == Kind::memory) return std::make_unique<MemoryJournal>();
    if (GetParam() == Kind::postgres) return open_server();
    auto made =
        DatabaseJournal::open(context_.get_executor(), clock_, folder_ / "fleet.db", options_);
    EXPECT_TRUE(made) << made.error().text();
    return std::move(*made);
  }
  std::unique_ptr<Journal> open_server() {
    auto server = sql::Postgres::connect(url_);
    EXPECT_TRUE(server) << server.error().text();
    auto made = DatabaseJournal::open(context_.get_executor(), clock_, *std::move(server), options_,
                                      {}, [](const Error&) {});
    EXPECT_TRUE(made) << made.error().text();
    return std::move(*made);
  }
  /// What is there says that it has taken two steps of the schema, after `change`.
  void make_older(const char* change) {
    if (GetParam() == Kind::postgres) {
      auto server = sql::Postgres::connect(url_);
      ASSERT_TRUE(server);
      ASSERT_TRUE(server->execute(change));
      ASSERT_TRUE(server->execute(kNotInVersionTwo));
      ASSERT_TRUE(server->execute("UPDATE schema_versions SET version = 2 WHERE part = 'fleet'"));
      return;
    }
    auto file = sql::Database::open(folder_ / "fleet.db");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->execute(change));
    ASSERT_TRUE(file->execute(kNotInVersionTwo));
    ASSERT_TRUE(file->execute("PRAGMA user_version = 2"));
  }
  std::string url_;
  JournalOptions options_;
  /// Appends and waits until it is durable.
  void keep(Journal& journal, Batch batch) {
    journal.append(std::move(batch));
    play([&]() -> Task<void> {
      const auto settled = co_await journal.settled();
      EXPECT_TRUE(settled) << settled.error().text();
    });
  }
};

TEST_P(JournalTest, GivesBackWhatWasAppended) {
  auto journal = open();
  Book book;
  Batch batch;
  batch.nodes.push_back(node_row("a"));
  batch.tasks.push_back(task_row("t1", "u"));
  batch.tasks.push_back(task_row("t2", "v"));
  batch.runs.push_back(run_row("t1", 1));
  batch.runs.push_back(run_row("t1", 2));
  batch.entries.push_back(grant(book, "u", 100));
  keep(*journal, batch);
  Batch later;
  TaskRow done = task_row("t2", "v");
  done.state = TaskState::completed;
  done.result_json = "{}";
  later.tasks.push_back(done);
  later.entries.push_back(grant(book, "v", 50));
  keep(*journal, later);
  play([&]() -> Task<void> {
    const auto loaded = co_await journal->load();
    EXPECT_TRUE(loaded) << loaded.error().text();
    if (!loaded) co_return;
    EXPECT_EQ(loaded->nodes.size(), 1U);
    EXPECT_EQ(loaded->nodes[0].key, node_row("a").key);
    EXPECT_TRUE(loaded->nodes[0].cordoned);
    EXPECT_EQ(loaded->nodes[0].observability_port, 9090);
    EXPECT_EQ(loaded->tasks.size(), 1U) << "the other one is final";
    const Spec& spec = loaded->tasks[0].spec;
    EXPECT_EQ(spec.id, "t1");
    EXPECT_EQ(spec.requirements, task_row("t1", "u").spec.requirements);
    EXPECT_EQ(spec.work.job, task_row("t1", "u").spec.work.job);
    EXPECT_EQ(spec.work.stdin_bytes, to_bytes("input"));
    EXPECT_EQ(loaded->runs.size(), 2U);
    EXPECT_EQ(loaded->completed, 1U);
    EXPECT_EQ(loaded->book.head(), book.head());
    EXPECT_EQ(loaded->book.balance("user:u"), 100U);
    const auto one = co_await journal->task("t2");
    EXPECT_TRUE(one && *one && (**one).state == TaskState::completed);
    const auto none = co_await journal->task("t9");
    EXPECT_TRUE(none && !*none);
    const auto runs = co_await journal->runs("t1");
    EXPECT_TRUE(runs && runs->size() == 2 && (*runs)[1].receipt == (Bytes{1, 2, 3}));
    EXPECT_EQ((*runs)[0].output_commitment, sha256(as_bytes("out")));
    TaskQuery query;
    query.limit = 1;
    const auto first = co_await journal->tasks(query);
    EXPECT_TRUE(first && first->tasks.size() == 1 && first->tasks[0].spec.id == "t2");
    query.before = first->next;
    EXPECT_NE(query.before, 0U);
    const auto second = co_await journal->tasks(query);
    EXPECT_TRUE(second && second->tasks.size() == 1 && second->tasks[0].spec.id == "t1");
    EXPECT_EQ(second->next, 0U);
    const auto entries = co_await journal->entries("user:v", 0, 10);
    EXPECT_TRUE(entries && entries->size() == 1 && (*entries)[0].transfer.amount == 50);
  });
}

TEST_P(JournalTest, GivesBackSessionsAndPolicies) {
  auto journal = open();
  Batch batch;
  batch.tasks = {connect_row("t1", "u"), connect_row("t2", "u")};
  batch.tasks[1].state = TaskState::completed;
  batch.sessions = {session_row("s1", "t1"), session_row("s2", "t1"), session_row("s3", "t2")};
  batch.sessions[1].created.unix_ms += 5;
  batch.policies = {{"u", "docs", {"example.org", "*.example.net"}, kNow},
                    {"u", "old", {"192.0.2.1"}, kNow},
                    {"v", "docs", {"::1"}, kNow}};
  keep(*journal, batch);
  ConnectSession over = batch.sessions[0];
  over.state = SessionState::expired;
  over.heard.unix_ms += 7;
  over.ended = over.expires;
  over.reason = "its time was up";
  Batch later;
  later.sessions = {over};
  later.policies = {{"u", "docs", {"example.com"}, UtcTime{kNow.unix_ms + 1}},
                    {"u", "old", {}, {}}};
  keep(*journal, later);
  if (GetParam() != Kind::memory) {
    journal.reset();
    journal = open();
  }
  play([&]() -> Task<void> {
    const auto loaded = co_await journal->load();
    EXPECT_TRUE(loaded) << loaded.error().text();
    if (!loaded) co_return;
    EXPECT_EQ(loaded->tasks.size(), 1U);
    EXPECT_EQ(loaded->tasks[0].spec.connect, batch.tasks[0].spec.connect);
    EXPECT_EQ(loaded->sessions, (std::vector<ConnectSession>{over, batch.sessions[1]}))
        << "of tasks that are not over, oldest first";
    EXPECT_EQ(loaded->policies,
              (std::vector<DestinationPolicy>{later.policies[0], batch.policies[2]}));
    const auto one = co_await journal->session("s3");
    EXPECT_TRUE(one && *one && **one == batch.sessions[2]) << "one of a task that is over";
    const auto none = co_await journal->session("s9");
    EXPECT_TRUE(none && !*none);
  });
}

std::string kind_name(const testing::TestParamInfo<Kind>& with) {
  constexpr std::array kNames = {"Memory", "Sqlite", "Postgres"};
  return kNames.at(static_cast<std::size_t>(with.param));
}
INSTANTIATE_TEST_SUITE_P(Twins, JournalTest,
                         testing::Values(Kind::memory, Kind::sqlite, Kind::postgres), kind_name);

/// What only a database has to keep.
class BothDatabasesTest : public JournalTest {};
INSTANTIATE_TEST_SUITE_P(Both, BothDatabasesTest, testing::Values(Kind::sqlite, Kind::postgres),
                         kind_name);

class DatabaseJournalTest : public LoopTest {};

TEST_F(DatabaseJournalTest, WhatSettledIsThereAfterAKill) {
  const auto file = folder_ / "fleet.db";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    asio::io_context loop;
    auto journal = DatabaseJournal::open(loop.get_executor(), clock_, file);
    if (!journal) ::_exit(3);
    Batch batch;
    batch.tasks.push_back(task_row("t1", "u"));
    (*journal)->append(std::move(batch));
    asio::co_spawn(
        loop,
        [&]() -> Task<void> {
          const auto settled = co_await (*journal)->settled();
          if (settled) ::kill(::getpid(), SIGKILL);
          ::_exit(4);
        },
        asio::detached);
    loop.run();
    ::_exit(5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto journal = DatabaseJournal::open(context_.get_executor(), clock_, file);
  ASSERT_TRUE(journal) << journal.error().text();
  play([&]() -> Task<void> {
    const auto loaded = co_await (*journal)->load();
    EXPECT_TRUE(loaded && loaded->tasks.size() == 1);
  });
}

TEST_P(BothDatabasesTest, ACreditIsPaidOnceWhateverIsAppended) {
  auto journal = open();
  Book book;
  Batch batch;
  batch.entries.push_back(grant(book, "u", 100));
  batch.entries.push_back(grant(book, "u", 100));
  journal->append(std::move(batch));
  play([&]() -> Task<void> {
    const auto settled = co_await journal->settled();
    EXPECT_FALSE(settled) << "a second grant of one user";
    const auto again = co_await journal->settled();
    EXPECT_FALSE(again) << "it stays broken";
  });
}

TEST_F(DatabaseJournalTest, ALeaderSaysThatItWorksAndHearsThatItLeadsNoMore) {
  const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
  if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
  const std::string url = server.fresh("journal_leader_test");
  auto other = sql::Postgres::connect(url);
  ASSERT_TRUE(other);
  ASSERT_TRUE(
      other->execute("CREATE TABLE said (at BIGINT); CREATE TABLE epoch (id BIGINT); "
                     "INSERT INTO epoch VALUES (1)"));
  auto mine = sql::Postgres::connect(url);
  ASSERT_TRUE(mine);
  mine->fence("SELECT 1 FROM epoch WHERE id = 1 FOR SHARE");
  std::vector<Error> told;
  auto journal = DatabaseJournal::open(context_.get_executor(), clock_, *std::move(mine), {},
                                       "INSERT INTO said VALUES (1)",
                                       [&told](const Error& error) { told.push_back(error); });
  ASSERT_TRUE(journal) << journal.error().text();
  EXPECT_TRUE(until([&] { return other->integer("SELECT count(*) FROM said").value_or(0) >= 1; }));
  EXPECT_TRUE(told.empty());
  ASSERT_TRUE(other->execute("UPDATE epoch SET id = 2"));
  EXPECT_TRUE(until([&told] { return !told.empty(); }));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].code, Code::rejected);
}

TEST_F(DatabaseJournalTest, AChangedLedgerIsNotLoaded) {
  const auto file = folder_ / "fleet.db";
  {
    auto journal = DatabaseJournal::open(context_.get_executor(), clock_, file);
    ASSERT_TRUE(journal);
    Book book;
    Batch batch;
    batch.entries.push_back(grant(book, "u", 100));
    (*journal)->append(std::move(batch));
    play([&]() -> Task<void> {
      const auto settled = co_await (*journal)->settled();
      EXPECT_TRUE(settled);
    });
  }
  {
    auto database = sql::Database::open(file);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("UPDATE ledger SET amount = 1000"));
  }
  auto journal = DatabaseJournal::open(context_.get_executor(), clock_, file);
  ASSERT_TRUE(journal);
  play([&]() -> Task<void> {
    const auto loaded = co_await (*journal)->load();
    EXPECT_FALSE(loaded);
    if (loaded) co_return;
    EXPECT_NE(loaded.error().message.find("entry 1"), std::string::npos);
  });
}

/// Version 2 was written with either name of a column.
TEST_P(BothDatabasesTest, AStateOfVersionTwoIsTakenUp) {
  for (const char* change :
       {"SELECT 1", "ALTER TABLE runs RENAME COLUMN output_commitment TO output_sha256"}) {
    const std::string id = std::string("t") + change;
    {
      auto journal = open();
      Batch batch;
      batch.tasks.push_back(task_row(id, "u"));
      batch.runs.push_back(run_row(id, 1));
      keep(*journal, std::move(batch));
    }
    make_older(change);
    auto journal = open();
    play([&]() -> Task<void> {
      const auto runs = co_await journal->runs(id);
      EXPECT_TRUE(runs && runs->size() == 1) << change;
      if (!runs || runs->empty()) co_return;
      EXPECT_EQ((*runs)[0].output_commitment, sha256(as_bytes("out")));
      EXPECT_EQ((*runs)[0].receipt, (Bytes{1, 2, 3}));
    });
  }
}

TEST_P(BothDatabasesTest, OldFinalTasksGoWithTheirRunsAndAreStillCounted) {
  options_.tasks_kept = 3;
  options_.prune_every = 4;
  auto journal = open();
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    TaskRow row = task_row("t" + std::to_string(i), "u");
    if (i != 0) row.state = i % 2 == 0 ? TaskState::completed : TaskState::failed;
    batch.runs.push_back(run_row(row.spec.id, 1));
    batch.sessions.push_back(session_row("s" + std::to_string(i), row.spec.id));
    batch.tasks.push_back(std::move(row));
    journal->append(std::move(batch));
    play([&]() -> Task<void> {
      const auto settled = co_await journal->settled();
      EXPECT_TRUE(settled);
    });
  }
  play([&]() -> Task<void> {
    const auto loaded = co_await journal->load();
    EXPECT_TRUE(loaded);
    if (!loaded) co_return;
    EXPECT_EQ(loaded->completed, 9U);
    EXPECT_EQ(loaded->failed, 10U);
    EXPECT_EQ(loaded->tasks.size(), 1U) << "one that is not final stays, however old";
    TaskQuery query;
    const auto left = co_await journal->tasks(query);
    EXPECT_TRUE(left && left->tasks.size() == 4 && left->tasks[0].spec.id == "t19");
    const auto gone = co_await journal->runs("t1");
    EXPECT_TRUE(gone && gone->empty());
    const auto kept = co_await journal->runs("t19");
    EXPECT_TRUE(kept && kept->size() == 1);
    const auto forgotten = co_await journal->session("s1");
    EXPECT_TRUE(forgotten && !*forgotten) << "it goes with its task";
    const auto known = co_await journal->session("s19");
    EXPECT_TRUE(known && *known);
  });
}

TEST_P(BothDatabasesTest, TheInputOfAFinalTaskGoes) {
  auto journal = open();
  for (const TaskState state : {TaskState::pending, TaskState::running, TaskState::completed}) {
    Batch batch;
    batch.tasks.push_back(task_row("t", "u"));
    batch.tasks.back().state = state;
    journal->append(std::move(batch));
    play([&]() -> Task<void> {
      const auto row = co_await journal->task("t");
      const auto settled = co_await journal->settled();
      const auto after = co_await journal->task("t");
      EXPECT_TRUE(row && settled && after && *after);
      if (!after || !*after) co_return;
      EXPECT_EQ((**after).spec.work.stdin_bytes.empty(), is_final(state));
    });
  }
}

TEST_F(DatabaseJournalTest, ACopyTakenWhileItIsWrittenIsWhole) {
  auto journal = DatabaseJournal::open(context_.get_executor(), clock_, folder_ / "fleet.db");
  ASSERT_TRUE(journal);
  Book book;
  Batch first;
  constexpr std::size_t kLarge = 4'000'000;  // the copy takes several steps
  first.tasks.push_back(task_row("large", "u"));
  first.tasks.back().spec.work.stdin_bytes.assign(kLarge, 7);
  first.entries.push_back(grant(book, "u", 1'000));
  (*journal)->append(std::move(first));
  bool copied = false;
  asio::co_spawn(
      context_,
      [&]() -> Task<void> {
        int i = -1;
        while (!copied) {
          ++i;
          Batch batch;
          batch.tasks.push_back(task_row("t" + std::to_string(i), "u"));
          batch.entries.push_back(grant(book, "u" + std::to_string(i), 5));
          (*journal)->append(std::move(batch));
          const auto settled = co_await (*journal)->settled();
          EXPECT_TRUE(settled);
        }
      },
      asio::detached);
  std::filesystem::path to = folder_ / "copy.db";
  play([&]() -> Task<void> {
    const auto done = co_await (*journal)->copy_to(to);
    EXPECT_TRUE(done) << done.error().text();
    copied = true;
    const auto again = co_await (*journal)->copy_to(to);
    EXPECT_EQ(again.error().code, Code::already_exists);
  });
  const auto facts = check_state(to);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_GE(facts->tasks, 1U);
  EXPECT_EQ(facts->entries, facts->tasks) << "each batch is there whole";
}

}  // namespace
}  // namespace phase::vcp
