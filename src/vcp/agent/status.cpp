// GET /node/status: what this node may tell anybody on its own machine. No ids, no payloads.
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "vcp/agent/agent.h"
#include "vcp/health/health.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

json::value thousandths(const std::optional<std::uint64_t>& value) {
  if (!value) return nullptr;
  return static_cast<double>(*value) / 1000;
}

}  // namespace

std::string status_json(const AgentStatus& status) {
  const Telemetry& now = status.telemetry;
  const double too_hot = HealthLimits{}.temperature.open_above;
  json::value temperature = nullptr, safe_mode = nullptr;
  if (now.temperature_millicelsius) {
    const double celsius = static_cast<double>(*now.temperature_millicelsius) / 1000;
    temperature = celsius;
    safe_mode = celsius > too_hot;
  }
  const json::object out{
      {"node_region", status.region},
      {"node_type", status.type},
      {"uptime_seconds", std::chrono::duration_cast<std::chrono::seconds>(status.uptime).count()},
      {"current_workload", status.jobs_running > 0 ? "compute" : "idle"},
      {"resources",
       {{"cpu_percent", thousandths(now.cpu_millipercent)},
        {"memory_percent", thousandths(now.memory_millipercent)},
        {"temperature_c", temperature},
        {"gpu_percent", thousandths(now.gpu_millipercent)},
        {"power_watts", thousandths(now.power_milliwatts)},
        {"energy_joules", thousandths(now.energy_millijoules)}}},
      {"trust_summary",
       {{"trust_threshold", nullptr},
        {"last_trust_score", nullptr},
        {"lineage_hash", nullptr},
        {"models_used", nullptr}}},
      // The coordinator's to give: it measures what counts most in it.
      {"health_score", nullptr},
      {"safe_mode", safe_mode},
      {"joined", status.joined},
      {"draining", status.draining},
      {"jobs_running", status.jobs_running},
      {"jobs_queued", status.jobs_queued},
      {"timestamp", status.now.unix_ms / 1000}};
  return json::serialize(out);
}

}  // namespace phase::vcp
