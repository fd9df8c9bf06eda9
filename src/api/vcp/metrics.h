// metrics.h — what Prometheus reads (text exposition format 0.0.4), by prometheus-cpp.
//
// Belongs to one executor. Labels are of bounded variety: methods, route templates, statuses.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "vcp/coordinator/view.h"

namespace phase::vcp::api {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// One answered request. `endpoint`: the template of its route, or "unmatched".
  void request(std::string_view method, std::string_view endpoint, int status, Duration took);
  /// All that was counted, and the fleet as it is now.
  [[nodiscard]] std::string text(const ClusterStats& stats, std::size_t event_streams,
                                 std::size_t connections);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace phase::vcp::api
