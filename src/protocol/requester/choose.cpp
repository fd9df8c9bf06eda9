#include <algorithm>
#include <tuple>

#include "protocol/requester/choose_internal.h"

namespace phase::requester {
namespace {

/// A round trip nobody measured counts as one across the world.
constexpr Duration kUnknownRoundTrip = 200ms;
/// A full provider counts as so much further away: about the wait for a short job.
constexpr Duration kLoadCost = 500ms;

std::string_view runtime_class(std::string_view runtime) {
  return runtime.substr(0, runtime.find('-'));
}

bool has_place(const Candidate& candidate) {
  return candidate.capabilities.jobs_running < candidate.capabilities.jobs_max;
}

Duration cost(const Candidate& candidate) {
  const offer::Capabilities& has = candidate.capabilities;
  const std::uint64_t places = std::max<std::uint64_t>(has.jobs_max, 1);
  const std::uint64_t load = std::min(has.jobs_running, places);
  const Duration distance = candidate.round_trip.value_or(kUnknownRoundTrip);
  const auto waiting = kLoadCost.count() /
                       static_cast<std::int64_t>(std::min<std::uint64_t>(places, 1'000'000)) *
                       static_cast<std::int64_t>(std::min<std::uint64_t>(load, 1'000'000));
  return distance + Duration(waiting);
}

}  // namespace

std::string misfit(const offer::Capabilities& has, const Request& request) {
  const std::string_view kind = job::kind_name(request.job);
  if (std::ranges::find(has.kinds, kind) == has.kinds.end()) {
    return "runs no " + std::string(kind) + " jobs";
  }
  if (const auto* inference = std::get_if<job::InferenceJob>(&request.job)) {
    const Sha256 model{inference->model.value};
    if (std::ranges::find(has.models, model) == has.models.end()) return "does not have the model";
  }
  const manifest::Requirements& needs = request.requirements;
  if (needs.cpu_cores && has.cpu_cores < *needs.cpu_cores) return "has too few CPU cores";
  if (needs.memory_bytes && has.memory_bytes < *needs.memory_bytes) return "has too little memory";
  if (needs.arch && has.arch != *needs.arch) return "has another architecture";
  if (needs.runtime && runtime_class(has.runtime) != runtime_class(*needs.runtime)) {
    return "has another runtime";
  }
  if (needs.region && has.region != needs.region) return "is in another region";
  return {};
}

std::vector<Candidate> choose(std::vector<Candidate> found, const Request& request,
                              const Record* record, Instant now) {
  std::erase_if(found, [&](const Candidate& candidate) {
    return !misfit(candidate.capabilities, request).empty();
  });
  const auto place = [&](const Candidate& candidate) {
    const bool last = record != nullptr && record->comes_last(candidate.key, now);
    const bool preferred = request.preferred == candidate.key && has_place(candidate);
    const Duration known = record == nullptr ? Duration{0} : record->cost(candidate.key, now);
    return std::tuple(last, !preferred, cost(candidate) + known);
  };
  std::ranges::stable_sort(found, {}, place);
  return found;
}

}  // namespace phase::requester
