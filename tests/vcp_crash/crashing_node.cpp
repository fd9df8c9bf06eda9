// crashing_node — a node's agent that dies at a chosen write to its records, and comes back to its
// coordinator sooner than a real one. For the crash test:
//   crashing_node NAME URL TOKEN FOLDER WORKER MOMENT WRITE
#include <cstdlib>
#include <iostream>

#include "examples/demo/agent_process.h"
#include "tests/vcp_crash/death.h"

namespace phase::vcp::crash {
namespace {

constexpr std::size_t kJobs = 4;

void change(AgentOptions& out, Random& random) {
  out.region = "eu";
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
}

}  // namespace
}  // namespace phase::vcp::crash

int main(int argc, char** argv) {
  using namespace phase::vcp;
  using namespace phase::vcp::crash;
  const auto moment = argc == 8 ? moment_of(argv[6]) : std::nullopt;
  if (!moment) {
    std::cerr << "crashing_node NAME URL TOKEN FOLDER WORKER MOMENT WRITE\n";
    return 2;
  }
  kill_at_file_write({*moment, std::strtoull(argv[7], nullptr, 10)});
  return run_agent({argv[1], argv[2], argv[3], argv[4], argv[5], "crashing_node", "info"}, change);
}
