// core.h — a whole coordinator in this process for benchmarks: real journal, real accounts, real
// HTTP; its nodes are a runner that answers after a time, because they are not what is measured.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <spdlog/sinks/null_sink.h>

#include "api/vcp/api_server.h"
#include "base/check.h"
#include "base/random.h"
#include "base/system_clock.h"
#include "base/temp_folder.h"
#include "vcp/coordinator/coordinator.h"
#include "vcp/coordinator/module_files.h"
#include "vcp/state/database_journal.h"

namespace phase::bench {

/// Runs end well after `takes`; receipts have the usual size and prove nothing.
class TimedRunner final : public vcp::Runner {
 public:
  TimedRunner(Clock& clock, Duration takes) : clock_(clock), takes_(takes) {}
  [[nodiscard]] Task<Result<vcp::RunResult>> run(vcp::RunOrder order, vcp::RunWatch& watch,
                                                 requester::CancelToken&,
                                                 requester::RevealGate&) override {
    const std::shared_ptr<const vcp::Spec> spec = order.spec;
    watch.accepted("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    if (takes_ > Duration{0}) static_cast<void>(co_await clock_.sleep_for(takes_));
    vcp::RunResult out;
    out.out = to_bytes("dlroW ,olleH");
    job::OutputChain chain;
    chain.append(job::OutputStream::out, out.out);
    out.output = chain.summary();
    out.fuel = 1'500;
    out.wall_ms = 1;
    out.manifest = Bytes(600, 1);
    out.receipt = Bytes(700, 2);
    co_return out;
  }

 private:
  Clock& clock_;
  Duration takes_;
};

class Core {
 public:
  using Around = std::function<std::unique_ptr<vcp::Journal>(std::unique_ptr<vcp::Journal>)>;
  static constexpr std::uint32_t kSlots = 16;
  static constexpr const char* kOwner = "owner";

  Core(std::size_t nodes, Duration takes, const Around& around = {})
      : clock_(context_.get_executor()), runner_(clock_, takes) {
    auto opened =
        vcp::DatabaseJournal::open(context_.get_executor(), clock_, folder_.path() / "fleet.db");
    PHASE_CHECK(opened.has_value());
    journal_ = *std::move(opened);
    if (around) journal_ = around(std::move(journal_));
    play([&]() -> Task<void> { co_await begin(nodes); });
  }
  ~Core() {
    server_.reset();
    coordinator_.reset();
    accounts_.reset();
    context_.run_for(std::chrono::milliseconds(200));
    journal_.reset();
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Runs the loop until `body` has ended.
  template <typename F>
  void play(F body) {
    bool done = false;
    asio::co_spawn(
        context_,
        [&]() -> Task<void> {
          co_await body();
          done = true;
        },
        [](const std::exception_ptr& error) {
          if (error) std::rethrow_exception(error);
        });
    context_.restart();
    while (!done) context_.run_one();
  }
  [[nodiscard]] vcp::Submission submission() const {
    vcp::Submission out;
    out.module_sha256 = module_;
    out.inputs_json = R"({"stdin":"Hello, World"})";
    out.bid = 10;
    return out;
  }
  /// Real HTTP in front of it. Returns the port.
  std::uint16_t serve() {
    vcp::Accounts::Options with;
    with.folder = folder_.path() / "accounts";
    auto accounts = vcp::Accounts::open({clock_, random_, context_.get_executor()}, with);
    PHASE_CHECK(accounts.has_value());
    accounts_ = *std::move(accounts);
    vcp::api::ApiOptions options;
    options.port = 0;
    for (vcp::api::Rate* rate :
         {&options.rates.auth, &options.rates.task, &options.rates.general, &options.rates.read}) {
      *rate = {1'000'000, 1'000'000};
    }
    auto server = vcp::api::ApiServer::start(
        {clock_, random_, context_.get_executor(), *coordinator_, *accounts_, log_}, options);
    PHASE_CHECK(server.has_value());
    server_ = *std::move(server);
    return server_->port();
  }
  [[nodiscard]] vcp::Coordinator& coordinator() { return *coordinator_; }
  [[nodiscard]] vcp::Journal& journal() { return *journal_; }
  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] const Sha256& module() const { return module_; }

 private:
  Task<void> begin(std::size_t nodes) {
    vcp::CoordinatorOptions options;
    options.grant = 1'000'000'000;
    options.bond = 1;
    modules_ = std::make_unique<vcp::ModuleFiles>(folder_.path());
    const vcp::Coordinator::World world{
        clock_, random_, *journal_, *modules_, runner_, runner_, context_.get_executor(), *log_};
    auto opened = co_await vcp::Coordinator::open(world, options);
    PHASE_CHECK(opened.has_value());
    coordinator_ = *std::move(opened);
    auto granted = co_await coordinator_->grant(kOwner);
    PHASE_CHECK(granted.has_value());
    for (std::size_t i = 0; i < nodes; ++i) {
      asio::co_spawn(context_, add_node("node-" + std::to_string(i)), asio::detached);
    }
    while (joined_ < nodes) static_cast<void>(co_await clock_.sleep_for(1ms));
    Bytes module = {0, 0x61, 0x73, 0x6D, 1, 0, 0, 0};
    auto kept = co_await coordinator_->keep_module(std::move(module), kOwner);
    PHASE_CHECK(kept.has_value());
    module_ = kept->sha256;
  }
  Task<void> add_node(std::string name) {
    vcp::NodeRegistration registration{name, "eu", "compute", 100, 8, 16'000, false, {}};
    auto made = co_await coordinator_->register_node(std::move(registration), kOwner);
    PHASE_CHECK(made.has_value());
    vcp::Hello hello;
    hello.name = name;
    hello.region = "eu";
    hello.type = "compute";
    hello.cpu_cores = 8;
    hello.memory_bytes = 16'000ULL * 1024 * 1024;
    hello.jobs_max = kSlots;
    hello.join_token = made->join_token;
    const identity::PublicKey key{sha256(as_bytes(name)).value};
    vcp::Hello copy = hello;
    const auto refused = co_await coordinator_->sink().join(std::move(copy), key);
    PHASE_CHECK(!refused);
    coordinator_->sink().joined(name, key, hello);
    coordinator_->sink().latency(name, 5ms);
    coordinator_->sink().bandwidth(name, {500'000, 500'000});
    ++joined_;
  }

  TempFolder folder_ = TempFolder::make("phase-bench-").value();
  asio::io_context context_{1};
  SystemClock clock_;
  SystemRandom random_;
  std::shared_ptr<spdlog::logger> log_ =
      std::make_shared<spdlog::logger>("bench", std::make_shared<spdlog::sinks::null_sink_mt>());
  TimedRunner runner_;
  std::unique_ptr<vcp::Journal> journal_;
  std::unique_ptr<vcp::ModuleFiles> modules_;
  std::unique_ptr<vcp::Coordinator> coordinator_;
  std::unique_ptr<vcp::Accounts> accounts_;
  std::unique_ptr<vcp::api::ApiServer> server_;
  std::size_t joined_ = 0;
  Sha256 module_;
};

}  // namespace phase::bench
