#include "api/vcp/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace phase::vcp::api {
namespace {

using prometheus::Histogram;

/// Seconds.
const Histogram::BucketBoundaries& boundaries() {
  static const Histogram::BucketBoundaries all{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                               0.1,    0.25,  0.5,    1,     2.5,  5,     10};
  return all;
}

struct Sample {
  std::string label, word;  ///< both empty: without a label
  double value = 0;
};

/// Figures of others, as they stand now.
prometheus::MetricFamily family(std::string name, std::string help, prometheus::MetricType type,
                                const std::vector<Sample>& samples) {
  prometheus::MetricFamily out;
  out.name = std::move(name);
  out.help = std::move(help);
  out.type = type;
  for (const Sample& sample : samples) {
    prometheus::ClientMetric metric;
    if (!sample.label.empty()) {
      metric.label.push_back({sample.label, sample.word});
    }
    (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        sample.value;
    out.metric.push_back(std::move(metric));
  }
  return out;
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  prometheus::Family<Histogram>& durations =
      prometheus::BuildHistogram()
          .Name("http_request_duration")
          .Help("Seconds from a request's head to its answer")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("http_request_count")
                                                          .Help("Requests that were answered")
                                                          .Register(registry);
  prometheus::Family<prometheus::Counter>& errors =
      prometheus::BuildCounter()
          .Name("http_errors")
          .Help("Requests answered with a status of 400 or above")
          .Register(registry);
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view method, std::string_view endpoint, int status,
                      Duration took) {
  const prometheus::Labels labels{{"method", std::string{method}},
                                  {"endpoint", std::string{endpoint}},
                                  {"status", std::to_string(status)}};
  const double seconds = std::chrono::duration<double>(took).count();
  families_->durations.Add(labels, boundaries()).Observe(seconds);
  families_->requests.Add(labels).Increment();
  if (status >= 400) {
    families_->errors.Add(labels).Increment();
  }
}

std::string Metrics::text(const ClusterStats& stats, std::size_t event_streams,
                          std::size_t connections) {
  using enum prometheus::MetricType;
  const auto count = [](std::uint64_t value) { return static_cast<double>(value); };
  std::vector<prometheus::MetricFamily> all = families_->registry.Collect();
  all.push_back(family("vcp_nodes_registered", "Nodes, by whether they are healthy", Gauge,
                       {{"health", "healthy", count(stats.healthy_nodes)},
                        {"health", "other", count(stats.total_nodes - stats.healthy_nodes)}}));
  all.push_back(family("vcp_tasks", "Tasks that are not at their end", Gauge,
                       {{"state", "running", count(stats.running_tasks)},
                        {"state", "pending", count(stats.pending_tasks)}}));
  all.push_back(family("vcp_tasks_total", "Tasks that were submitted, completed, failed", Counter,
                       {{"state", "submitted", count(stats.total_tasks)},
                        {"state", "completed", count(stats.completed_tasks)},
                        {"state", "failed", count(stats.failed_tasks)}}));
  all.push_back(family("vcp_health_score_average", "Mean health of the nodes, 0 to 100", Gauge,
                       {{"", "", stats.avg_health_score}}));
  all.push_back(family("vcp_compute_capacity", "Sum over the nodes of cores times gigabytes", Gauge,
                       {{"", "", stats.total_compute_capacity}}));
  all.push_back(family("vcp_energy_joules_total", "Energy that nodes claim for finished runs",
                       Counter, {{"", "", stats.energy_joules.value_or(0)}}));
  all.push_back(family("vcp_http_connections", "Open connections of the API", Gauge,
                       {{"", "", count(connections)}}));
  all.push_back(
      family("vcp_event_streams", "Open event streams", Gauge, {{"", "", count(event_streams)}}));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace phase::vcp::api
