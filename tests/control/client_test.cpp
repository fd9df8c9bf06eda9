// The client against a real control server, whose provider runs in memory; and against daemons that
// lie.
#include "sdk/cpp/client.h"

#include <future>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "api/control/control_server.h"
#include "base/system_clock.h"
#include "base/temp_folder.h"
#include "sdk/cpp/event_reader.h"
#include "tests/simulation/world.h"

namespace phase::sdk {
namespace {

namespace json = boost::json;

/// What a daemon tells of its node, for one provider in memory.
class SmallNode final : public control::NodeView {
 public:
  SmallNode(const identity::KeyPair& key, requester::Network& network)
      : key_(key), network_(network) {}
  control::NodeStatus status() const override {
    control::NodeStatus out;
    out.key = key_.public_key();
    out.agent = "test/1";
    out.network = true;
    return out;
  }
  std::vector<control::PeerEntry> peers() const override {
    return {{key_.public_key(), {"/memory/1"}, true, 5ms}};
  }
  Task<Result<std::vector<requester::Candidate>>> providers(std::string kind, std::string arch,
                                                            Deadline deadline) override {
    return network_.find({std::move(kind), std::move(arch), std::nullopt}, deadline);
  }
  Task<Result<control::PingAnswer>> ping(std::string peer, Deadline) override {
    auto id = identity::PeerId::parse(peer);
    if (!id) {
      co_return fail(Code::malformed, "no peer");
    }
    control::PingAnswer answer;
    answer.key = id->key();
    answer.round_trip = 1ms;
    co_return answer;
  }

 private:
  const identity::KeyPair& key_;
  requester::Network& network_;
};

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    network_.add(node_.candidate(), node_.handler());
    local_.add(own_.candidate(), own_.handler());
    store::StoreOptions options;
    options.path = folder_ / "state.sqlite";
    store_ = std::move(store::Store::open(options, clock_.now_utc()).value());
    book_ = std::move(
        control::JobBook::open(
            {clock_, random_, own_.key, network_, local_, *store_, context_.get_executor()}, {})
            .value());
    control::ControlOptions where;
    where.socket = folder_ / "plasmd.sock";
    server_ = std::move(
        control::ControlServer::start({clock_, *book_, view_, context_.get_executor()}, where)
            .value());
    thread_ = std::thread([this] { context_.run(); });
  }
  void TearDown() override {
    // Jobs end before their world does; then the loop has nothing left and returns.
    asio::co_spawn(
        context_,
        [this]() -> Task<void> {
          server_.reset();
          co_await book_->drain(clock_.deadline_after(Duration{0}));
          book_.reset();
        },
        asio::detached);
    work_.reset();
    thread_.join();
  }
  Client connect() const {
    Client::Options options;
    options.socket = folder_ / "plasmd.sock";
    auto client = Client::connect(options);
    EXPECT_TRUE(client) << client.error().text();
    return std::move(*client);
  }
  static JobOptions remote(std::string_view stdin_text = "Hello, World") {
    JobOptions options;
    options.target = "remote";
    options.stdin_bytes = to_bytes(stdin_text);
    return options;
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  SystemClock clock_{context_.get_executor()};
  SystemRandom random_;
  simulation::ProviderNode node_{clock_, random_, context_.get_executor()};
  simulation::ProviderNode own_{clock_, random_, context_.get_executor()};
  simulation::SimNetwork network_{clock_, random_, context_.get_executor(), own_.key.public_key()};
  simulation::SimNetwork local_{clock_, random_, context_.get_executor(), own_.key.public_key()};
  SmallNode view_{own_.key, network_};
  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<control::JobBook> book_;
  std::unique_ptr<control::ControlServer> server_;
  std::thread thread_;
};

TEST_F(ClientTest, RunsAJobAndChecksItsReceipt) {
  Client client = connect();
  const auto result = client.run(as_bytes("reverse"), remote());
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->verdict.ok()) << result->verdict.detail;
  EXPECT_EQ(as_text(result->out), "dlroW ,olleH");
  EXPECT_EQ(result->provider, node_.key.public_key());
  EXPECT_EQ(result->completion->exit_code, 0);
  JobOptions here = remote();
  here.target = "local";
  const auto own = client.run(as_bytes("reverse"), here);
  ASSERT_TRUE(own) << own.error().text();
  EXPECT_TRUE(own->verdict.ok()) << own->verdict.detail;
  EXPECT_EQ(own->provider, own_.key.public_key());
}

TEST_F(ClientTest, ChecksPrivateJobsToo) {
  JobOptions options = remote();
  options.is_private = true;
  const auto result = connect().run(as_bytes("reverse"), options);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->verdict.ok()) << result->verdict.detail;
  EXPECT_TRUE(result->salt.has_value());
}

TEST_F(ClientTest, StreamsStdinAndFollows) {
  Client client = connect();
  JobOptions options = remote();
  options.stdin_bytes.reset();
  auto job = client.submit(as_bytes("echo"), options);
  ASSERT_TRUE(job) << job.error().text();
  const Bytes big(3'000'000, 'x');
  std::promise<Result<void>> written;
  std::thread writer([&] {
    Client second = connect();
    written.set_value(second.write_stdin(*job, big, true));
  });
  std::uint64_t seen = 0;
  std::vector<std::string> names;
  const auto followed = client.follow(job->id, [&](const JobEvent& event) {
    seen += event.data.size();
    names.push_back(event.name);
    return true;
  });
  writer.join();
  ASSERT_TRUE(written.get_future().get());
  ASSERT_TRUE(followed) << followed.error().text();
  EXPECT_EQ(seen, big.size());
  EXPECT_EQ(names.back(), "result");
  const auto result = client.result(*job, 10s);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->verdict.ok()) << result->verdict.detail;
  EXPECT_EQ(result->out, big);
  EXPECT_TRUE(client.kept_result(job->id)->verdict.ok());
}

TEST_F(ClientTest, CancelsAndShowsWhatIsThere) {
  Client client = connect();
  auto job = client.submit(as_bytes("spin"), remote());
  ASSERT_TRUE(job);
  ASSERT_TRUE(client.cancel(job->id));
  const auto result = client.result(*job, 20s);
  ASSERT_TRUE(result) << result.error().text();
  if (!result->receipt.empty()) {
    EXPECT_TRUE(result->verdict.ok()) << result->verdict.detail;
    EXPECT_EQ(result->completion->kind, receipt::CompletionKind::cancelled);
  } else {
    EXPECT_EQ(result->error->code, Code::cancelled);
  }
}

TEST_F(ClientTest, AnInterruptEndsWhatWaits) {
  Client client = connect();
  auto job = client.submit(as_bytes("spin"), remote());
  ASSERT_TRUE(job);
  std::thread other([&client] { client.interrupt(); });
  const auto followed = client.follow(job->id, [](const JobEvent&) { return true; });
  other.join();
  ASSERT_FALSE(followed);
  EXPECT_EQ(followed.error().code, Code::cancelled);
  EXPECT_EQ(client.status().error().code, Code::cancelled) << "and all later calls";
  ASSERT_TRUE(connect().cancel(job->id));
}

TEST_F(ClientTest, AsksAboutTheNode) {
  Client client = connect();
  EXPECT_EQ(json::parse(*client.status()).at("public_key").as_string(),
            own_.key.public_key().hex());
  EXPECT_EQ(json::parse(*client.peers()).at("peers").as_array().size(), 1U);
  const json::value providers = json::parse(*client.providers("wasm", "", 1s));
  ASSERT_EQ(providers.at("providers").as_array().size(), 1U);
  EXPECT_EQ(providers.at("providers").as_array()[0].at("public_key").as_string(),
            node_.key.public_key().hex());
  EXPECT_TRUE(client.ping(node_.key.peer_id().text()));
  EXPECT_EQ(client.ping("nobody").error().code, Code::malformed);
  EXPECT_EQ(client.job("00000000-0000-4000-8000-000000000000").error().code, Code::not_found);
  EXPECT_EQ(client.job("../status").error().code, Code::invalid_argument);
  EXPECT_TRUE(client.jobs(10));
}

TEST_F(ClientTest, RefusesOddQueries) {
  Client client = connect();
  EXPECT_EQ(client.jobs(1000).error().code, Code::invalid_argument);
  EXPECT_EQ(client.providers("wasm&x", "", 1s).error().code, Code::invalid_argument);
}

// ── A daemon that lies ──

/// A good result of `reverse`, and what was asked.
class LyingDaemon : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    Client client = connect();
    auto job = client.submit(as_bytes("reverse"), remote());
    ASSERT_TRUE(job);
    asked_ = *job;
    const auto result = client.result(asked_, 20s);
    ASSERT_TRUE(result && result->verdict.ok());
    good_ = json::parse(result->json).as_object();
  }
  verify::Check refused(const json::object& result, const SubmittedJob& asked) const {
    const auto checked = check_result(json::serialize(result), asked);
    EXPECT_TRUE(checked) << checked.error().text();
    EXPECT_FALSE(checked->verdict.ok());
    return checked->verdict.failed.value_or(verify::Check::level);
  }
  SubmittedJob asked_;
  json::object good_;
};

TEST_F(LyingDaemon, CannotChangeTheOutput) {
  json::object bad = good_;
  bad["transcript"] =
      json::array{json::object{{"stream", 1}, {"data", to_base64(as_bytes("dlroW ,olleX"))}}};
  EXPECT_EQ(refused(bad, asked_), verify::Check::output_commitment);
  bad["transcript"] = json::array{};
  EXPECT_EQ(refused(bad, asked_), verify::Check::output_length);
  bad["transcript"] =
      json::array{json::object{{"stream", 2}, {"data", to_base64(as_bytes("dlroW ,olleH"))}}};
  EXPECT_EQ(refused(bad, asked_), verify::Check::output_commitment) << "stdout shown as stderr";
}

TEST_F(LyingDaemon, CannotRunSomethingElse) {
  const auto another = [this](auto change) {
    SubmittedJob asked = asked_;
    change(asked);
    return refused(good_, asked);
  };
  EXPECT_EQ(another([](SubmittedJob& a) { a.module = job::reference(as_bytes("other")); }),
            verify::Check::module_hash);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.args = {"x"}; }), verify::Check::execution_id);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.env["x"] = "y"; }),
            verify::Check::execution_id);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.limits.fuel += 1; }),
            verify::Check::execution_id);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.entry = "main"; }),
            verify::Check::execution_id);
  EXPECT_EQ(another([](SubmittedJob& a) { a.input = job::commit(as_bytes("other")); }),
            verify::Check::input_commitment);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.profile = job::Profile::det_1; }),
            verify::Check::profile);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.level = manifest::Level::proof; }),
            verify::Check::level);
  EXPECT_EQ(another([](SubmittedJob& a) { a.options.is_private = true; }), verify::Check::job_id);
  SystemRandom random;
  const auto stranger = identity::KeyPair::generate(random).public_key();
  EXPECT_EQ(another([&](SubmittedJob& a) { a.provider = stranger; }), verify::Check::provider_key);
}

TEST_F(LyingDaemon, CannotPassOffItsOwnVerdict) {
  json::object bad = good_;
  std::string receipt{bad["receipt"].as_string()};
  Bytes bytes = *from_base64(receipt);
  bytes.back() ^= 1;
  bad["receipt"] = to_base64(bytes);
  EXPECT_EQ(refused(bad, asked_), verify::Check::signature);
  bad = good_;
  bad["manifest"] = "";
  EXPECT_EQ(refused(bad, asked_), verify::Check::manifest_form);
}

TEST_F(LyingDaemon, SaysNothingAtAll) {
  EXPECT_EQ(check_result("not json", asked_).error().code, Code::malformed);
  EXPECT_EQ(check_result("[]", asked_).error().code, Code::malformed);
  const auto empty = check_result("{}", asked_);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->error.has_value());
  EXPECT_FALSE(empty->verdict.ok());
}

// ── Parts ──

TEST(ClientConnect, SaysHowToStartADaemon) {
  Client::Options options;
  options.socket = "/nonexistent/plasmd.sock";
  const auto client = Client::connect(options);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Code::unavailable);
  EXPECT_NE(client.error().hint.find("plasmd start"), std::string::npos);
}

TEST(StdinRecord, KnowsPrefixes) {
  StdinRecord record;
  record.append(as_bytes("Hello, "));
  record.append(as_bytes("World"));
  EXPECT_EQ(record.prefix(12), job::commit(as_bytes("Hello, World")));
  EXPECT_EQ(record.prefix(5), job::commit(as_bytes("Hello")));
  EXPECT_EQ(record.prefix(0), job::commit({}));
  EXPECT_FALSE(record.prefix(13).has_value());
}

TEST(StdinRecord, KnowsTheLatestPrefixesOfALongStream) {
  StdinRecord record;
  Bytes all;
  for (std::size_t i = 0; all.size() < StdinRecord::kTailBytes + 3_MiB; ++i) {
    const Bytes piece(700'001, static_cast<std::uint8_t>(i));
    record.append(piece);
    all.insert(all.end(), piece.begin(), piece.end());
  }
  for (const std::size_t back : {std::size_t{0}, std::size_t{1}, 1_MiB, 5_MiB + 7, 30_MiB}) {
    const std::size_t length = all.size() - back;
    EXPECT_EQ(record.prefix(length), job::commit(ByteView{all}.first(length))) << back;
  }
  EXPECT_FALSE(record.prefix(1000).has_value()) << "memory is bounded";
}

TEST(EventReader, ReadsEventsHoweverTheyAreCut) {
  const std::string stream =
      ": comment\n\nid: 1\nevent: state\ndata: "
      "{}\n\nid:2\r\nevent:output\r\ndata:a\r\ndata:b\r\n\r\nevent: none\n\n";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EventReader reader(1000);
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      ASSERT_TRUE(reader.feed(std::string_view{stream}.substr(at, piece)));
    }
    RawEvent event;
    ASSERT_TRUE(reader.take(event));
    EXPECT_EQ(event.id + event.name + event.data, "1state{}");
    ASSERT_TRUE(reader.take(event));
    EXPECT_EQ(event.id + event.name + event.data, "2outputa\nb");
    EXPECT_FALSE(reader.take(event)) << "an event without data is none";
  }
  EventReader small(10);
  EXPECT_EQ(small.feed("data: " + std::string(20, 'x')).error().code, Code::too_large);
}

}  // namespace
}  // namespace phase::sdk
