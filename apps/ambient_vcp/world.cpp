#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <thread>

#include <unistd.h>

#include "commands.h"
#include "daemon/daemon.h"
#include "vcp/task/task.h"

namespace phase::ambient_vcp {
namespace {

namespace fs = std::filesystem;

/// One coordinator sends all jobs and keeps its own order: no budget a minute, places only.
constexpr std::uint32_t kJobsPerMinute = 100'000'000;
/// Accepted beyond those that run: a coordinator leases ahead by little.
constexpr std::size_t kQueuedPerPlace = 2;
constexpr std::size_t kCoordinatorsMax = 16;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<fs::path> data_folder() {
  fs::path base;
  if (::geteuid() == 0) {
    base = "/var/lib";
  } else if (const std::string data = environment("XDG_DATA_HOME"); !data.empty()) {
    base = data;
  } else if (const std::string home = environment("HOME"); !home.empty()) {
    base = fs::path(home) / ".local" / "share";
  } else {
    return fail(Code::invalid_argument, "no place for records: HOME is not set", "--data-dir DIR");
  }
  return base / "ambient-vcp";
}

Result<fs::path> node_folder(const NodeFlags& flags) {
  if (!flags.data_dir.empty()) return fs::absolute(flags.data_dir);
  if (!flags.id.empty()) PHASE_TRY_VOID(vcp::check_node_name(flags.id));  // it becomes a path
  PHASE_TRY(const fs::path base, data_folder());
  return base / "nodes" / (flags.id.empty() ? "default" : flags.id);
}

Result<fs::path> coordinator_folder(const CoordinatorFlags& flags) {
  if (!flags.data_dir.empty()) return fs::absolute(flags.data_dir);
  PHASE_TRY_VOID(vcp::check_node_name(flags.cluster_id));  // it becomes a path
  PHASE_TRY(const fs::path base, data_folder());
  return base / "clusters" / flags.cluster_id;
}

Result<http_client::Url> coordinator_url(const std::string& text) {
  Result<http_client::Url> url = http_client::parse_url(text);
  if (url) return url;
  Error error = url.error();
  error.hint = "--coordinator-url http://HOST:3000 or https://HOST:3000, or VCP_API_URL";
  return fail(std::move(error));
}

Result<std::vector<http_client::Url>> coordinator_urls(const std::string& text) {
  std::vector<http_client::Url> out;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, ',');) {
    PHASE_TRY(out.emplace_back(), coordinator_url(one));
  }
  if (out.empty() || out.size() > kCoordinatorsMax) {
    return fail(Code::invalid_argument, "--coordinator-url names no, or more than 16, coordinators",
                "--coordinator-url http://HOST:3000,http://OTHER:3000");
  }
  return out;
}

Result<std::shared_ptr<const http_client::Trust>> coordinator_trust(const fs::path& file) {
  if (file.empty()) return nullptr;
  Result<std::shared_ptr<const http_client::Trust>> out = http_client::Trust::of_file(file);
  if (out) return out;
  Error error = out.error();
  error.message = "--coordinator-ca: " + error.message;
  return fail(std::move(error));
}

Result<std::unique_ptr<NodeWorld>> NodeWorld::make(asio::any_io_executor executor,
                                                   const NodeFlags& flags) {
  PHASE_TRY(const fs::path folder, node_folder(flags));
  PHASE_TRY_VOID(daemon::make_folder(folder, "--data-dir DIR"));
  auto out = std::make_unique<NodeWorld>(std::move(executor),
                                         vcp::Meter::Roots{flags.sys_root, flags.proc_root});
  out->folder = folder;
  PHASE_TRY(out->key, identity::load_or_create_key(folder / "node.key", out->random));
  // Not the identity: whoever holds this key can only make us run other compiled code than a
  // module's own.
  PHASE_TRY(const auto cache, identity::load_or_create_key(folder / "modules.key", out->random));
  std::ranges::copy(cache.seed(), out->cache_key.begin());
  return out;
}

node::LocalOptions local_options(const NodeFlags& flags, const NodeWorld& world) {
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::uint64_t jobs = flags.jobs == 0 ? cores : flags.jobs;
  node::LocalOptions out;
  out.agent = kAgent;
  out.worker.worker_path = flags.worker_path.empty()
                               ? daemon::sibling_program("phase-worker").string()
                               : flags.worker_path.string();
  out.worker.cache_folder = (world.folder / "modules").string();
  out.worker.cache_key = world.cache_key;
  out.worker.executions_max = jobs;
  out.policy.resources.cpu_cores = cores;
  const std::uint64_t machine = world.meter.memory_total().value_or(job::kMemoryBytesMax);
  out.policy.resources.memory_bytes =
      std::min({flags.memory_mb * 1024 * 1024, machine, std::uint64_t{job::kMemoryBytesMax}});
  out.policy.ceilings.wall_ms = flags.max_seconds * 1000;
  out.policy.budgets.per_key = kJobsPerMinute;
  out.policy.budgets.per_peer = kJobsPerMinute;
  out.policy.budgets.total = kJobsPerMinute;
  out.provider.jobs_running_max = jobs;
  out.provider.jobs_queued_max = jobs * kQueuedPerPlace;
  out.provider.jobs_per_requester_max = jobs * (1 + kQueuedPerPlace);
  return out;
}

}  // namespace phase::ambient_vcp
