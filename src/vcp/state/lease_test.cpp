// One coordinator leads; what a former one still sends is refused, whatever became of it.
#include "vcp/state/lease.h"

#include <optional>

#include <boost/asio/detached.hpp>

#include "base/loop_fixture.h"
#include "sql/postgres_fixture.h"

namespace phase::vcp {
namespace {

class LeaseTest : public LoopTest {
 protected:
  void SetUp() override {
    const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
    if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
    url_ = server.fresh("lease_test");
  }
  /// One that wants to lead.
  struct Candidate {
    std::unique_ptr<Lease> lease;
    std::vector<Leader> heard;
    std::optional<Result<Lead>> answer;
  };
  std::unique_ptr<Candidate> candidate(const std::string& name, std::uint8_t fleet = 1) {
    auto out = std::make_unique<Candidate>();
    identity::PublicKey key;
    key.value[0] = fleet;
    const Lease::Options options{url_, name, name + ":3000", key};
    out->lease = std::make_unique<Lease>(context_.get_executor(), options);
    asio::co_spawn(context_, wait(*out), asio::detached);
    return out;
  }
  static Task<void> wait(Candidate& one) {
    one.answer =
        co_await one.lease->acquire([&one](const Leader& leader) { one.heard.push_back(leader); });
  }
  bool leads(Candidate& one) {
    const bool answered = until([&one] { return one.answer.has_value(); });
    EXPECT_TRUE(!answered || *one.answer) << one.answer->error().text();
    return answered && *one.answer;
  }
  bool hears(Candidate& one, std::uint64_t epoch) {
    return until([&] { return !one.heard.empty() && one.heard.back().epoch == epoch; });
  }
  static Result<void> change(sql::Postgres& by) {
    PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(by));
    return transaction.commit();
  }

  std::string url_;
};

TEST_F(LeaseTest, OneLeadsAndTheNextFollowsWhenItEnds) {
  const auto a = candidate("a");
  ASSERT_TRUE(leads(*a));
  const auto b = candidate("b");
  ASSERT_TRUE(hears(*b, 1));
  EXPECT_EQ(b->heard.back().address, "a:3000");
  EXPECT_FALSE(b->answer) << "a leads";
  Lead& first = **a->answer;
  EXPECT_TRUE(change(first.journal));
  EXPECT_TRUE(change(first.accounts));
  first.journal = sql::Postgres();  // its end, as the server sees it
  ASSERT_TRUE(leads(*b));
  Lead& second = **b->answer;
  EXPECT_EQ(second.epoch, 2U);
  // What the former one has left cannot write.
  for (sql::Postgres* left : {&first.accounts, &first.modules}) {
    const auto refused = change(*left);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::rejected);
  }
  for (sql::Postgres* one : {&second.journal, &second.accounts, &second.modules}) {
    EXPECT_TRUE(change(*one));
  }
}

TEST_F(LeaseTest, OneThatHangsIsEnded) {
  const auto a = candidate("a");
  ASSERT_TRUE(leads(*a));
  const auto b = candidate("b");
  ASSERT_TRUE(hears(*b, 1));
  auto other = sql::Postgres::connect(url_);
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->execute("UPDATE leader_seen SET at = at - 21000"));
  ASSERT_TRUE(leads(*b));
  const auto refused = change((**a->answer).journal);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable) << "its connection was ended";
}

TEST_F(LeaseTest, OneThatSaysItWorksIsLeftAlone) {
  const auto a = candidate("a");
  ASSERT_TRUE(leads(*a));
  auto other = sql::Postgres::connect(url_);
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->execute("UPDATE leader_seen SET at = at - 21000"));
  ASSERT_TRUE((**a->answer).journal.execute((**a->answer).still_here));
  const auto b = candidate("b");
  ASSERT_TRUE(hears(*b, 1));
  b->lease->stop();  // it has looked at least once
  ASSERT_TRUE(until([&] { return b->answer.has_value(); }));
  EXPECT_FALSE(*b->answer);
  EXPECT_TRUE(change((**a->answer).journal));
}

TEST_F(LeaseTest, AnotherFleetIsRefusedAndAStopIsHeard) {
  const auto a = candidate("a");
  ASSERT_TRUE(leads(*a));
  const auto stranger = candidate("stranger", 2);
  ASSERT_TRUE(until([&] { return stranger->answer.has_value(); }));
  ASSERT_FALSE(*stranger->answer);
  EXPECT_EQ(stranger->answer->error().code, Code::invalid_argument);
  const auto b = candidate("b");
  ASSERT_TRUE(hears(*b, 1));
  b->lease->stop();
  ASSERT_TRUE(until([&] { return b->answer.has_value(); }));
  ASSERT_FALSE(*b->answer);
  EXPECT_EQ(b->answer->error().code, Code::cancelled);
}

}  // namespace
}  // namespace phase::vcp
