// The job book over the in-memory provider, in virtual time: what a client sees of jobs that end,
// fail, hang, move to another provider, and of a daemon that stops.
#include "api/control/job_book.h"

#include <filesystem>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/temp_folder.h"
#include "tests/simulation/sim_executor.h"
#include "tests/simulation/world.h"

namespace phase::control {
namespace {

namespace json = boost::json;
using simulation::ProviderNode;
using simulation::SimClock;
using simulation::SimContext;
using simulation::SimNetwork;
using simulation::SimRandom;

constexpr Instant kEnd{4'000'000'000'000};

class JobBookTest : public testing::Test {
 protected:
  void SetUp() override {
    add_provider();
    open();
  }
  void TearDown() override {
    book_.reset();
    settle(Duration{3600s});
    store_.reset();
  }

  void add_provider(Duration compile = Duration{0}) {
    nodes_.push_back(std::make_unique<ProviderNode>(clock_, random_, context_.get_executor(),
                                                    provider::ProviderLimits{}, compile));
    network_.add(nodes_.back()->candidate(), nodes_.back()->handler());
  }
  void open() {
    if (!store_) {
      store::StoreOptions options;
      options.path = folder_ / "state.sqlite";
      options.durability = store::Durability::process;
      auto store = store::Store::open(options, clock_.now_utc());
      ASSERT_TRUE(store) << store.error().text();
      store_ = std::move(*store);
    }
    auto book = JobBook::open(
        {clock_, random_, key_, network_, local_, *store_, context_.get_executor()}, limits_);
    ASSERT_TRUE(book) << book.error().text();
    book_ = std::move(*book);
  }

  /// Runs a coroutine to its end, in virtual time.
  template <typename T>
  T wait(Task<T> task) {
    std::optional<T> out;
    asio::co_spawn(
        context_.get_executor(),
        [](Task<T> inner, std::optional<T>& into) -> Task<void> {
          into = co_await std::move(inner);
        }(std::move(task), out),
        asio::detached);
    EXPECT_TRUE(context_.run_until([&out] { return out.has_value(); }, kEnd)) << "it did not end";
    return std::move(*out);
  }
  void settle(Duration time) {
    const Instant until = context_.now() + time;
    context_.add_timer(until, [](bool) {});  // time passes also where nothing else waits for it
    context_.run_until([this, until] { return context_.now() >= until; }, until);
  }
  Deadline in(Duration time) const { return clock_.deadline_after(time); }

  std::string stage(std::string_view behaviour) {
    const auto staged = wait(book_->stage(to_bytes(behaviour)));
    EXPECT_TRUE(staged) << staged.error().text();
    return staged->ref.sha256.hex();
  }
  Result<std::string> try_submit(std::string_view behaviour,
                                 std::string_view more = R"(,"target":"remote")") {
    const std::string text = R"({"module":")" + stage(behaviour) + "\"" + std::string{more} + "}";
    PHASE_TRY(Submission submission, parse_submission(text, limits_));
    return book_->submit(std::move(submission));
  }
  std::string submit(std::string_view behaviour, std::string_view more = R"(,"target":"remote")") {
    auto id = try_submit(behaviour, more);
    EXPECT_TRUE(id) << id.error().text();
    return id ? *id : std::string{};
  }
  json::object result(const std::string& id, bool transcript = true) {
    const auto text = wait(book_->result(id, transcript, in(3000s)));
    EXPECT_TRUE(text) << text.error().text();
    EXPECT_TRUE(text && text->finished);
    return text ? json::parse(text->json).as_object() : json::object{};
  }
  std::string state(const std::string& id) {
    return std::string{json::parse(*book_->state(id)).at("state").as_string()};
  }
  static std::string text_of(const json::object& object, std::string_view key) {
    const auto bytes = from_base64(std::string{object.at(key).as_string()});
    return bytes ? std::string{as_text(*bytes)} : "not base64";
  }
  /// Events from `after` to the result: "id name" each.
  std::vector<Event> events(const std::string& id, std::uint64_t after = 0) {
    std::vector<Event> out;
    while (out.empty() || !out.back().last) {
      const auto next = wait(book_->next_event(id, after, true, in(3000s)));
      if (!next || !*next) {
        ADD_FAILURE() << "no event after " << after;
        break;
      }
      out.push_back(**next);
      after = out.back().id;
    }
    return out;
  }

  SimContext context_{7};
  SimClock clock_{context_};
  SimRandom random_{7};
  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  SimNetwork network_{clock_, random_, context_.get_executor(), key_.public_key()};
  SimNetwork local_{clock_, random_, context_.get_executor(), key_.public_key()};
  std::vector<std::unique_ptr<ProviderNode>> nodes_;
  JobBookLimits limits_;
  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<JobBook> book_;
};

constexpr std::string_view kHello = R"(,"target":"remote","stdin":"SGVsbG8sIFdvcmxk")";
constexpr std::string_view kStreamed = R"(,"target":"remote","stdin":null)";

TEST_F(JobBookTest, RunsAJobToAVerifiedReceipt) {
  const std::string id = submit("reverse", kHello);
  const json::object done = result(id);
  EXPECT_EQ(done.at("state").as_string(), "done");
  EXPECT_EQ(text_of(done, "stdout"), "dlroW ,olleH");
  EXPECT_EQ(done.at("exit_code").to_number<int>(), 0);
  EXPECT_TRUE(done.at("verdict").at("verified").as_bool());
  EXPECT_EQ(done.at("provider_key").as_string(), nodes_[0]->key.public_key().hex());
  EXPECT_EQ(done.at("stdin_length").to_number<int>(), 12);
  EXPECT_FALSE(done.at("execution_id").is_null());
  EXPECT_EQ(to_base64(*book_->receipt(id)), std::string{done.at("receipt").as_string()});
  EXPECT_EQ(to_base64(*book_->manifest(id)), std::string{done.at("manifest").as_string()});
  const json::object slim = result(id, false);
  EXPECT_TRUE(slim.at("stdout").is_null());
  EXPECT_TRUE(slim.at("verdict").at("verified").as_bool());
}

TEST_F(JobBookTest, PassesStreamedStdinOnAndOutputAsItComes) {
  const std::string id = submit("echo", kStreamed);
  ASSERT_TRUE(wait(book_->write_stdin(id, to_bytes("one"), false)));
  std::string seen;
  std::uint64_t after = 0;
  while (seen != "one") {
    const auto event = wait(book_->next_event(id, after, true, in(60s)));
    ASSERT_TRUE(event && *event);
    after = (*event)->id;
    if ((*event)->name == "output") {
      seen += text_of(json::parse((*event)->data).as_object(), "data");
    }
  }
  EXPECT_EQ(state(id), "running") << "output comes before the job's end";
  ASSERT_TRUE(wait(book_->write_stdin(id, to_bytes("two"), true)));
  EXPECT_EQ(text_of(result(id), "stdout"), "onetwo");
  EXPECT_TRUE(wait(book_->write_stdin(id, to_bytes("late"), false)))
      << "bytes for a job that ended are dropped";
}

TEST_F(JobBookTest, RefusesStdinAfterItsEnd) {
  const std::string given = submit("sleep 1000", R"(,"target":"remote","stdin":"YQ==")");
  EXPECT_EQ(wait(book_->write_stdin(given, to_bytes("x"), false)).error().code,
            Code::invalid_argument);
  const std::string streamed = submit("sleep 1000", kStreamed);
  ASSERT_TRUE(wait(book_->write_stdin(streamed, {}, true)));
  EXPECT_EQ(wait(book_->write_stdin(streamed, to_bytes("x"), false)).error().code,
            Code::invalid_argument);
  EXPECT_EQ(wait(book_->write_stdin("nobody", {}, false)).error().code, Code::not_found);
}

TEST_F(JobBookTest, HoldsAWriterBackWhileTheJobDoesNotRead) {
  const std::string id = submit("sleep 5000", kStreamed);
  bool written = false;
  asio::co_spawn(
      context_.get_executor(),
      [](JobBook& book, std::string job, bool& done) -> Task<void> {
        done = (co_await book.write_stdin(std::move(job), Bytes(4_MiB), true)).has_value();
      }(*book_, id, written),
      asio::detached);
  settle(Duration{3s});
  EXPECT_FALSE(written) << "four MiB went into a job that reads nothing";
  const json::object done = result(id);
  settle(Duration{1s});
  EXPECT_TRUE(written) << "the end of the job lets the writer go";
  EXPECT_TRUE(done.at("verdict").at("verified").as_bool());
}

TEST_F(JobBookTest, ReplaysEventsForLateFollowersFromWhereTheyWere) {
  const std::string id = submit("reverse", kHello);
  const std::vector<Event> all = events(id);
  ASSERT_GE(all.size(), 4U);
  EXPECT_EQ(all.front().name, "state");
  EXPECT_EQ(all.front().id, 1U);
  EXPECT_EQ(all.back().name, "result");
  const std::size_t half = all.size() / 2;
  const std::vector<Event> rest = events(id, all[half - 1].id);
  ASSERT_EQ(rest.size(), all.size() - half);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    EXPECT_EQ(rest[i].id, all[half + i].id);
    EXPECT_EQ(rest[i].data, all[half + i].data);
  }
}

TEST_F(JobBookTest, CancelsARunningJob) {
  const std::string id = submit("spin");
  settle(Duration{1s});
  ASSERT_EQ(state(id), "running");
  ASSERT_TRUE(book_->cancel(id));
  const json::object done = result(id);
  EXPECT_EQ(done.at("state").as_string(), "done") << "a partial receipt exists";
  EXPECT_EQ(done.at("completion").at("kind").as_string(), "cancelled");
  EXPECT_TRUE(done.at("verdict").at("verified").as_bool());
  EXPECT_EQ(book_->jobs_active(), 0U);
  EXPECT_TRUE(book_->cancel(id)) << "a finished job stays as it is";
  EXPECT_EQ(book_->cancel("nobody").error().code, Code::not_found);
}

TEST_F(JobBookTest, AJobEndsWhileItsStdinIsStillOpen) {
  const std::string spinning = submit("spin", kStreamed);
  settle(Duration{1s});
  ASSERT_EQ(state(spinning), "running");
  ASSERT_TRUE(book_->cancel(spinning));
  settle(Duration{5s});
  EXPECT_EQ(state(spinning), "done");
  const std::string quick = submit("exit 4", kStreamed);
  settle(Duration{5s});
  EXPECT_EQ(state(quick), "done") << "nobody writes its stdin, nobody ends it";
  EXPECT_EQ(result(quick).at("exit_code").to_number<int>(), 4);
}

TEST_F(JobBookTest, FailsWithTheReasonWhenNobodyTakesTheJob) {
  network_.remove(nodes_[0]->key.public_key());
  const std::string id = submit("reverse", kHello);
  const json::object done = result(id);
  EXPECT_EQ(done.at("state").as_string(), "failed");
  EXPECT_EQ(done.at("error").at("code").as_string(), "unavailable");
  EXPECT_TRUE(done.at("receipt").is_null());
  EXPECT_TRUE(done.at("verdict").is_null());
  EXPECT_EQ(book_->receipt(id).error().code, Code::not_found);
}

TEST_F(JobBookTest, MovesToAnotherProviderAndSaysThatOutputIsVoid) {
  add_provider();
  simulation::WireFaults cut;
  cut.cut_after = 40'000;
  cut.delay_max = 5ms;  // so that somebody can listen while it comes
  cut.piece_max = 4'096;
  // The job goes to the nearer one first, and that one's wire breaks.
  auto near = nodes_[0]->candidate();
  near.round_trip = 1ms;
  network_.remove(near.key);
  network_.add(near, nodes_[0]->handler(), cut);
  const std::string id = submit("flood 100000", kHello);
  std::uint64_t after = 0;
  std::string_view name;
  while (name != "output") {
    const auto event = wait(book_->next_event(id, after, true, in(60s)));
    ASSERT_TRUE(event && *event);
    after = (*event)->id;
    name = (*event)->name;
  }
  const json::object done = result(id);
  EXPECT_EQ(done.at("provider_key").as_string(), nodes_[1]->key.public_key().hex());
  EXPECT_TRUE(done.at("verdict").at("verified").as_bool());
  EXPECT_EQ(text_of(done, "stdout").size() + text_of(done, "stderr").size(), 100'000U);
  ASSERT_EQ(done.at("attempts").as_array().size(), 2U);
  EXPECT_FALSE(done.at("attempts").as_array()[0].at("error").is_null());
  EXPECT_TRUE(done.at("attempts").as_array()[1].at("error").is_null());

  std::size_t restarts = 0;
  std::size_t bytes = 0;
  for (const Event& event : events(id, after)) {
    restarts += event.name == "restart" ? 1 : 0;
    if (event.name == "output") {
      EXPECT_EQ(restarts, 1U) << "void output is not shown any more";
      bytes += text_of(json::parse(event.data).as_object(), "data").size();
    }
  }
  EXPECT_EQ(restarts, 1U);
  EXPECT_EQ(bytes, 100'000U);
}

TEST_F(JobBookTest, KeepsResultsOverARestart) {
  const std::string id = submit("reverse", kHello);
  const json::object before = result(id);
  const std::vector<Event> old_events = events(id);
  book_.reset();
  open();
  EXPECT_EQ(state(id), "done");
  EXPECT_EQ(json::serialize(result(id)), json::serialize(before));
  const std::vector<Event> again = events(id);
  EXPECT_EQ(again.back().id, old_events.back().id) << "Last-Event-ID stays good";
  EXPECT_EQ(again.back().data, old_events.back().data);
  EXPECT_EQ(to_base64(*book_->receipt(id)), std::string{before.at("receipt").as_string()});
}

TEST_F(JobBookTest, MarksJobsThatTheLastProcessLeftRunning) {
  const std::string id = submit("spin");
  settle(Duration{1s});
  book_.reset();
  settle(Duration{60s});
  open();
  const json::object done = result(id);
  EXPECT_EQ(done.at("state").as_string(), "failed");
  EXPECT_EQ(done.at("error").at("code").as_string(), "connection_closed");
  EXPECT_FALSE(done.at("finished").is_null());
}

TEST_F(JobBookTest, ReadsOldJobsBackFromTheStore) {
  limits_.jobs_in_memory_max = 2;
  book_.reset();
  open();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(submit("reverse", kHello));
    result(ids.back());
  }
  for (const std::string& id : ids) {
    EXPECT_EQ(text_of(result(id), "stdout"), "dlroW ,olleH");
    EXPECT_EQ(events(id).back().name, "result");
  }
  const json::value list = json::parse(*book_->list(100));
  ASSERT_EQ(list.at("jobs").as_array().size(), 5U);
  EXPECT_EQ(list.at("jobs").as_array()[0].at("id").as_string(), ids.back()) << "newest first";
}

TEST_F(JobBookTest, TakesNoMoreJobsThanItsLimit) {
  limits_.jobs_active_max = 1;
  book_.reset();
  open();
  const std::string id = submit("spin");
  EXPECT_EQ(try_submit("reverse", kHello).error().code, Code::busy);
  book_->cancel(id).value();
  result(id);
  EXPECT_TRUE(try_submit("reverse", kHello));
}

TEST_F(JobBookTest, CancelsAJobWhoseOutputDoesNotFit) {
  limits_.transcript_bytes_max = 100'000;
  book_.reset();
  open();
  const std::string small = submit("reverse", kHello);
  result(small);
  const std::string id = submit("flood 1000000");
  const json::object done = result(id);
  EXPECT_EQ(done.at("state").as_string(), "failed");
  EXPECT_EQ(done.at("error").at("code").as_string(), "too_large");
  EXPECT_EQ(text_of(result(small), "stdout"), "dlroW ,olleH")
      << "others' output is still in the store";
}

TEST_F(JobBookTest, SaysWhenTheOutputIsNotKept) {
  limits_.transcript_stored_max = 10;
  book_.reset();
  open();
  const std::string id = submit("reverse", kHello);
  EXPECT_EQ(text_of(result(id), "stdout"), "dlroW ,olleH") << "while it is in memory";
  book_.reset();
  open();
  const json::object done = result(id);
  EXPECT_TRUE(done.at("stdout").is_null());
  EXPECT_TRUE(done.at("transcript").is_null());
  EXPECT_TRUE(done.at("verdict").at("verified").as_bool());
}

TEST_F(JobBookTest, ForgetsModulesAfterTheirTime) {
  const std::string module = stage("exit 3");
  const auto ask = [this, &module] {
    auto submission =
        parse_submission(R"({"module":")" + module + R"(","target":"remote"})", limits_);
    return book_->submit(std::move(*submission));
  };
  const auto id = ask();
  ASSERT_TRUE(id);
  EXPECT_EQ(result(*id).at("exit_code").to_number<int>(), 3);
  settle(Duration{601s});
  EXPECT_EQ(ask().error().code, Code::not_found);
}

TEST_F(JobBookTest, BoundsTheBytesOfModules) {
  limits_.modules_bytes_max = 100;
  book_.reset();
  open();
  ASSERT_TRUE(wait(book_->stage(Bytes(60, 'a'))));
  EXPECT_EQ(wait(book_->stage(Bytes(60, 'b'))).error().code, Code::busy)
      << "an unused one was promised its time";
  EXPECT_TRUE(wait(book_->stage(Bytes(60, 'a')))) << "the same one again";
  settle(Duration{601s});
  EXPECT_TRUE(wait(book_->stage(Bytes(60, 'b'))));
  EXPECT_EQ(wait(book_->stage({})).error().code, Code::too_large);
}

TEST_F(JobBookTest, DrainsAndThenCancels) {
  const std::string quick = submit("sleep 1000");
  const std::string endless = submit("spin", R"(,"target":"remote","timeout_ms":3600000)");
  bool drained = false;
  asio::co_spawn(
      context_.get_executor(),
      [](JobBook& book, Deadline deadline, bool& done) -> Task<void> {
        co_await book.drain(deadline);
        done = true;
      }(*book_, in(10s), drained),
      asio::detached);
  settle(Duration{2s});
  EXPECT_FALSE(drained);
  EXPECT_EQ(state(quick), "done");
  EXPECT_EQ(try_submit("exit 0").error().code, Code::unavailable);
  settle(Duration{12s});
  EXPECT_TRUE(drained);
  EXPECT_EQ(result(endless).at("completion").at("kind").as_string(), "cancelled");
}

}  // namespace
}  // namespace phase::control
