#include "world.h"

#include <algorithm>
#include <thread>

#include <unistd.h>

namespace phase::plasmd {
namespace {

namespace fs = std::filesystem;

std::uint64_t memory_of_machine() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long size = ::sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
             : job::kMemoryBytesMax;
}

}  // namespace

Result<std::unique_ptr<OneNode>> OneNode::make(asio::any_io_executor executor,
                                               const fs::path& identity_path,
                                               const fs::path& data_dir) {
  auto out = std::make_unique<OneNode>(std::move(executor));
  PHASE_TRY(out->key, identity::load_or_create_key(identity_path, out->random));
  // Not the identity: whoever holds this key can only make us run other compiled code than a
  // module's own.
  PHASE_TRY(const auto cache, identity::load_or_create_key(data_dir / "modules.key", out->random));
  std::ranges::copy(cache.seed(), out->cache_key.begin());
  return out;
}

node::LocalOptions local_options(const Settings& settings, const worker::CacheKey& cache_key,
                                 const fs::path& data_dir) {
  const Config& config = settings.config;
  node::LocalOptions out;
  out.agent = kAgent;
  out.worker.worker_path = settings.worker_path.string();
  out.worker.cache_folder = (data_dir / "modules").string();
  out.worker.cache_key = cache_key;
  out.worker.executions_max = config.max_concurrent_jobs;
  out.worker.isolation =
      config.isolation == "none" ? sandbox::Isolation::none : sandbox::Isolation::full;
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  out.policy.resources.cpu_cores = std::min(config.max_cpu_cores, cores);
  out.policy.resources.memory_bytes = std::min(config.max_memory_bytes, memory_of_machine());
  if (!config.region.empty()) {
    out.policy.resources.region = config.region;
  }
  out.policy.ceilings.wall_ms = config.max_timeout_seconds * 1'000;
  out.policy.ceilings.output_bytes = config.max_output_bytes;
  out.policy.budgets.per_key = static_cast<std::uint32_t>(config.jobs_per_minute_per_key);
  out.policy.budgets.per_peer = static_cast<std::uint32_t>(config.jobs_per_minute_per_peer);
  out.policy.budgets.total = static_cast<std::uint32_t>(config.jobs_per_minute);
  out.provider.jobs_running_max = config.max_concurrent_jobs;
  out.provider.jobs_queued_max = config.max_queued_jobs;
  // Own jobs wait for a place in LocalNode, so this is about others; one of them may fill what
  // runs, not the queue.
  out.provider.jobs_per_requester_max = std::max<std::size_t>(4, config.max_concurrent_jobs);
  return out;
}

}  // namespace phase::plasmd
