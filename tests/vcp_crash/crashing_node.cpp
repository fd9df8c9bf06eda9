// crashing_node — a node's agent that dies at a chosen write to its records, and comes back to its
// coordinator sooner than a real one. For the crash test:
//   crashing_node NAME URL TOKEN FOLDER WORKER MOMENT WRITE
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
#include "tests/vcp_crash/death.h"
#include "vcp/agent/agent.h"

namespace phase::vcp::crash {
namespace {

constexpr std::size_t kJobs = 4;

AgentOptions options_of(char** argv, const http_client::Url& url, Random& random) {
  AgentOptions out;
  out.name = argv[1];
  out.region = "eu";
  out.coordinators = {url};
  out.join_token = argv[3];
  out.data_dir = argv[4];
  out.local.agent = "crashing_node";
  out.local.worker.worker_path = argv[5];
  out.local.worker.cache_folder = std::string(argv[4]) + "/modules";
  out.local.worker.cache_key = random.array<32>();
  out.local.worker.executions_max = kJobs;
  out.local.policy.resources.cpu_cores = 4;
  out.local.policy.resources.memory_bytes = job::kMemoryBytesMax;
  constexpr std::uint32_t kUnbounded = 100'000'000;
  out.local.policy.budgets.per_key = kUnbounded;
  out.local.policy.budgets.per_peer = kUnbounded;
  out.local.policy.budgets.total = kUnbounded;
  out.local.provider.jobs_running_max = kJobs;
  out.local.provider.jobs_queued_max = 2 * kJobs;
  out.local.provider.jobs_per_requester_max = 3 * kJobs;
  out.limits.retry_first = 20ms;
  out.limits.retry_max = 200ms;
  return out;
}

int run(char** argv) {
  const auto log = daemon::make_log(argv[1], "text", "info");
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  SystemRandom random;
  Meter meter(clock, {"/sys", "/proc"});
  const auto key =
      identity::load_or_create_key(std::filesystem::path(argv[4]) / "node.key", random);
  const auto url = http_client::parse_url(argv[2]);
  if (!key || !url) {
    std::cerr << (key ? url.error() : key.error()).text() << '\n';
    return 1;
  }
  auto agent = Agent::make({clock, random, *key, meter, context.get_executor(), *log},
                           options_of(argv, *url, random));
  if (!agent) {
    std::cerr << agent.error().text() << '\n';
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
  if (!outcome) std::cerr << outcome.error().text() << '\n';
  agent->reset();
  return outcome ? 0 : 1;
}

}  // namespace
}  // namespace phase::vcp::crash

int main(int argc, char** argv) {
  using namespace phase::vcp::crash;
  std::signal(SIGPIPE, SIG_IGN);
  const auto moment = argc == 8 ? moment_of(argv[6]) : std::nullopt;
  if (!moment) {
    std::cerr << "crashing_node NAME URL TOKEN FOLDER WORKER MOMENT WRITE\n";
    return 2;
  }
  kill_at_file_write({*moment, std::strtoull(argv[7], nullptr, 10)});
  return run(argv);
}
