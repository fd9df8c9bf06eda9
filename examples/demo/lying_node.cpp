// lying_node — a node of a fleet that changes what jobs wrote and signs it as if it were true. For
// the demo and the tests of a coordinator: `lying_node ID URL TOKEN FOLDER WORKER [one job in N]`.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/random.h"
#include "base/system_clock.h"
#include "daemon/log.h"
#include "identity/identity.h"
#include "vcp/agent/agent.h"

namespace {

using namespace phase;

class LyingExecution final : public provider::Execution {
 public:
  explicit LyingExecution(std::unique_ptr<provider::Execution> honest)
      : honest_(std::move(honest)) {}
  Task<Result<void>> write_stdin(ByteView bytes) override { return honest_->write_stdin(bytes); }
  void close_stdin() override { honest_->close_stdin(); }
  Task<Result<provider::WorkerEvent>> next() override {
    auto event = co_await honest_->next();
    if (event) {
      if (auto* piece = std::get_if<job::OutputPiece>(&*event)) piece->data.front() ^= 1;
    }
    co_return event;
  }
  void kill(receipt::Completion completion) override { honest_->kill(std::move(completion)); }

 private:
  std::unique_ptr<provider::Execution> honest_;
};

class LyingWorker final : public provider::Worker {
 public:
  LyingWorker(provider::Worker& honest, std::uint64_t one_in) : honest_(honest), one_in_(one_in) {}
  Result<void> takes(const job::Job& job) const override { return honest_.takes(job); }
  bool holds_module(const Sha256& sha256) const override { return honest_.holds_module(sha256); }
  Task<Result<void>> prepare(const job::ArtifactRef& ref, ByteView module) override {
    return honest_.prepare(ref, module);
  }
  Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override {
    auto run = co_await honest_.start(job, caller);
    if (run && ++jobs_ % one_in_ == 0) {
      std::unique_ptr<provider::Execution> liar = std::make_unique<LyingExecution>(*std::move(run));
      co_return liar;
    }
    co_return run;
  }

 private:
  provider::Worker& honest_;
  std::uint64_t one_in_, jobs_ = 0;
};

int run(char** argv, std::uint64_t one_in) {
  const auto log = daemon::make_log("lying_node", "text", "warn");
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  SystemRandom random;
  vcp::Meter meter(clock, {"/sys", "/proc"});
  const std::filesystem::path folder = argv[4];
  auto key = identity::load_or_create_key(folder / "node.key", random);
  auto url = http_client::parse_url(argv[2]);
  if (!key || !url) {
    std::cerr << "lying_node: " << (key ? url.error() : key.error()).text() << "\n";
    return 1;
  }
  vcp::AgentOptions options;
  options.name = argv[1];
  options.coordinators = {*url};
  if (*argv[3] != '\0') options.join_token = argv[3];
  options.data_dir = folder;
  options.local.agent = "lying_node";
  options.local.worker.worker_path = argv[5];
  options.local.worker.cache_folder = (folder / "modules").string();
  options.local.policy.resources.cpu_cores = 8;
  options.local.policy.resources.memory_bytes = 1024_MiB;
  options.local.around_worker = [one_in](provider::Worker& honest) {
    return std::make_unique<LyingWorker>(honest, one_in);
  };
  auto agent =
      vcp::Agent::make({clock, random, *key, meter, context.get_executor(), *log}, options);
  if (!agent) {
    std::cerr << "lying_node: " << agent.error().text() << "\n";
    return 1;
  }
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
  Result<void> outcome;
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        outcome = co_await (*agent)->run();
        context.stop();
      },
      asio::detached);
  context.run();
  if (!outcome) std::cerr << "lying_node: " << outcome.error().text() << "\n";
  agent->reset();
  return outcome ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (argc < 6) {
    std::cerr << "lying_node ID URL TOKEN FOLDER WORKER [one job in N]\n";
    return 2;
  }
  return run(argv, argc > 6 ? std::strtoull(argv[6], nullptr, 10) : 1);
}
