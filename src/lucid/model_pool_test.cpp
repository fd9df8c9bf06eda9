#include "lucid/model_pool.h"

#include <algorithm>
#include <set>

#include <boost/asio/detached.hpp>

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

/// Someone who asks for a model and is not waited for.
struct Asked {
  ModelPool::LeasePtr lease;
  std::optional<Error> error;
};

class ModelPoolTest : public LucidTest {
 protected:
  ModelPoolTest() {
    Catalog::Options options;
    options.data_dir = folder_ / "models";
    auto catalog = Catalog::open({clock_, context_.get_executor(), nullptr, log_}, options);
    EXPECT_TRUE(catalog);
    if (catalog) catalog_ = *std::move(catalog);
  }
  ~ModelPoolTest() override {
    pool_.reset();
    context_.restart();
    context_.run_for(std::chrono::milliseconds(10));  // who waited is told
  }
  void make(ModelPool::Options options) {
    pool_ = std::make_unique<ModelPool>(
        ModelPool::World{clock_, context_.get_executor(), *catalog_, nullptr, log_}, options);
  }
  ModelPool::LeasePtr acquire(const LocalModelPtr& model, KeepAlive keep_alive = std::nullopt,
                              ModelPool::Wish wish = {}) {
    auto lease = run(pool_->acquire(model, wish, keep_alive, nullptr));
    EXPECT_TRUE(lease) << (lease ? "" : lease.error().text());
    return lease ? *lease : nullptr;
  }
  std::shared_ptr<Asked> ask(const LocalModelPtr& model, ModelPool::Wish wish = {}) {
    auto asked = std::make_shared<Asked>();
    asio::co_spawn(context_, one(*pool_, model, wish, asked), asio::detached);
    return asked;
  }
  static Task<void> one(ModelPool& pool, LocalModelPtr model, ModelPool::Wish wish,
                        std::shared_ptr<Asked> asked) {
    Result<ModelPool::LeasePtr> got =
        co_await pool.acquire(std::move(model), wish, std::nullopt, nullptr);
    if (got) {
      asked->lease = *std::move(got);
    } else {
      asked->error = got.error();
    }
  }
  std::string running() const {
    std::set<std::string> names;
    for (const auto& one : pool_->running()) names.insert(one.model.name);
    std::string out;
    for (const auto& name : names) out += name.substr(0, name.find(':'));
    return out;
  }
  void work() {
    context_.restart();
    context_.run_for(std::chrono::milliseconds(20));
  }

  LocalModelPtr a_ = own_echo("a"), b_ = own_echo("b"), c_ = own_echo("c");
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<ModelPool> pool_;
};

ModelPool::Options places(std::size_t count) {
  ModelPool::Options out;
  out.models_max = count;
  return out;
}

TEST_F(ModelPoolTest, TheLongestUnusedGoes) {
  make(places(2));
  acquire(a_);
  acquire(b_);
  acquire(a_);
  EXPECT_EQ(running(), "ab");
  acquire(c_);
  EXPECT_EQ(running(), "ac");
}

TEST_F(ModelPoolTest, ABusyModelIsNeverLetGo) {
  make(places(1));
  auto lease = acquire(a_);
  const auto waits = ask(b_);
  work();
  EXPECT_FALSE(waits->lease || waits->error);
  EXPECT_EQ(running(), "a");
  EXPECT_EQ(pool_->busy(), 2U);
  pool_->unload(a_->content.id);
  work();
  EXPECT_EQ(running(), "a");
  EXPECT_EQ(lease->model().info().architecture, "echo");
  lease.reset();
  EXPECT_TRUE(until([&] { return waits->lease != nullptr; }));
  EXPECT_EQ(running(), "b");
}

TEST_F(ModelPoolTest, KeepAliveZeroForEverAndDefault) {
  ModelPool::Options options;
  options.keep_alive = 20ms;
  make(options);
  acquire(a_, Duration{0});
  EXPECT_EQ(running(), "");
  acquire(b_, Duration{-1});
  acquire(c_);
  EXPECT_TRUE(until([&] { return running() == "b"; }));
  work();
  work();
  EXPECT_EQ(running(), "b");
  ASSERT_EQ(pool_->running().size(), 1U);
  EXPECT_FALSE(pool_->running().front().expires_unix_ns);
  acquire(b_, Duration{3600s});
  EXPECT_TRUE(pool_->running().front().expires_unix_ns);
  acquire(b_, Duration{1ms});
  EXPECT_TRUE(until([&] { return running().empty(); }));
}

TEST_F(ModelPoolTest, UnloadGoesAtOnceOrAfterTheLastUser) {
  make({});
  pool_->unload(a_->content.id);  // is not there
  acquire(a_);
  pool_->unload(a_->content.id);
  EXPECT_EQ(running(), "");
  auto first = acquire(a_);
  auto second = acquire(a_);
  pool_->unload(a_->content.id);
  first.reset();
  EXPECT_EQ(running(), "a");
  second.reset();
  EXPECT_EQ(running(), "");
}

TEST_F(ModelPoolTest, AModelIsLoadedAnewForALargerContext) {
  make({});
  ModelPool::Wish large;
  large.context_tokens = 1024;
  auto small = acquire(a_);
  const auto waits = ask(a_, large);
  work();
  EXPECT_FALSE(waits->lease);
  small.reset();
  EXPECT_TRUE(until([&] { return waits->lease != nullptr; }));
  ModelPool::Wish less;
  less.context_tokens = 512;
  EXPECT_TRUE(acquire(a_, std::nullopt, less)) << "what is larger will do";
}

/// Smaller asks that never pause: each that ends is followed by another at once, `count` at a time.
class Stream {
 public:
  template <typename Ask>
  Stream(std::size_t count, Ask ask) {
    for (std::size_t i = 0; i < count; ++i) asked_.push_back(ask());
  }
  /// `work` lets those that follow ask before those that are answered end: there is no gap.
  template <typename Ask, typename Work>
  void go_on(Ask ask, Work work) {
    std::vector<std::shared_ptr<Asked>*> answers;
    std::vector<std::shared_ptr<Asked>> next;
    for (auto& one : asked_) {
      if (one->lease == nullptr) continue;
      answers.push_back(&one);
      next.push_back(ask());
    }
    work();
    for (std::size_t i = 0; i < answers.size(); ++i) *answers[i] = std::move(next[i]);
    answered += answers.size();
  }
  std::size_t answered = 0;

 private:
  std::vector<std::shared_ptr<Asked>> asked_;
};

TEST_F(ModelPoolTest, ALargerContextDoesNotStarveBehindSmallerAsks) {
  make({});
  ModelPool::Wish small, large;
  small.context_tokens = 512;
  large.context_tokens = 1024;
  constexpr std::size_t kAtOnce = 32, kRounds = 50;
  const auto smaller = [&] { return ask(a_, small); };
  Stream stream(kAtOnce, smaller);
  work();
  const auto waits = ask(a_, large);
  std::size_t rounds = 0;
  for (; rounds < kRounds && waits->lease == nullptr; ++rounds) {
    stream.go_on(smaller, [this] { work(); });
    work();
  }
  ASSERT_TRUE(waits->lease) << "starved over " << stream.answered << " smaller asks";
  EXPECT_LE(stream.answered, 2 * kAtOnce) << "those before it, and nobody else";
  waits->lease.reset();
  const std::size_t before = stream.answered;
  for (int i = 0; i < 4; ++i) {
    stream.go_on(smaller, [this] { work(); });
    work();
  }
  EXPECT_GE(stream.answered, before + kAtOnce) << "and they go on";
}

TEST_F(ModelPoolTest, AnotherModelDoesNotStarveBehindABusyOne) {
  make(places(1));
  constexpr std::size_t kAtOnce = 32, kRounds = 50;
  const auto again = [&] { return ask(a_); };
  Stream stream(kAtOnce, again);
  work();
  const auto first = ask(b_);
  const auto second = ask(c_);
  std::string order;
  for (std::size_t i = 0; i < kRounds && order.size() < 2; ++i) {
    stream.go_on(again, [this] { work(); });
    for (const auto& [name, one] : {std::pair('b', first), std::pair('c', second)}) {
      if (one->lease == nullptr) continue;
      order += name;
      one->lease.reset();
    }
    work();
  }
  EXPECT_EQ(order, "bc") << "first come, first served";
  EXPECT_LE(stream.answered, 3 * kAtOnce);
}

TEST_F(ModelPoolTest, WhoHoldsALeaseDoesNotWaitForItself) {
  make({});
  auto lease = acquire(a_);
  ModelPool::Wish large;
  large.context_tokens = 1024;
  const auto waits = ask(a_, large);
  const auto later = ask(a_);
  work();
  EXPECT_FALSE(waits->lease || later->lease) << "a later one waits behind";
  ModelPool::Wish own;
  own.holds_lease = true;
  auto nested = acquire(a_, std::nullopt, own);
  EXPECT_TRUE(nested);
  nested.reset();
  lease.reset();
  EXPECT_TRUE(until([&] { return waits->lease && later->lease; }));
}

TEST_F(ModelPoolTest, HowManyMayWaitIsBounded) {
  make(places(1));
  auto lease = acquire(a_);
  std::vector<std::shared_ptr<Asked>> waiting;
  for (std::size_t i = 0; i < kAsksWaitingMax; ++i) waiting.push_back(ask(b_));
  work();
  const auto refused = run(pool_->acquire(b_, {}, std::nullopt, nullptr));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::busy);
  lease.reset();
  EXPECT_TRUE(until([&] {
    return std::ranges::all_of(waiting, [](const auto& one) { return one->lease != nullptr; });
  }));
  EXPECT_EQ(pool_->busy(), kAsksWaitingMax);
  waiting.clear();
  EXPECT_EQ(pool_->busy(), 0U);
}

TEST_F(ModelPoolTest, ALoadThatFailsLeavesNothing) {
  make({});
  LocalModel other = *a_;
  other.file = folder_ / "none.gguf";
  const auto model = std::make_shared<const LocalModel>(std::move(other));
  const auto refused = run(pool_->acquire(model, {}, std::nullopt, nullptr));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_EQ(running(), "");
  EXPECT_EQ(pool_->busy(), 0U);
}

TEST_F(ModelPoolTest, WhoWaitsIsToldWhenThePoolEnds) {
  make(places(1));
  auto lease = acquire(a_);
  const auto waits = ask(b_);
  work();
  pool_.reset();
  EXPECT_TRUE(until([&] { return waits->error.has_value(); }));
  EXPECT_EQ(waits->error->code, Code::unavailable);
  lease.reset();  // outlives its pool
}

}  // namespace
}  // namespace phase::lucid
