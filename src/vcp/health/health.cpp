#include "vcp/health/health.h"

#include <algorithm>
#include <cstdio>

#include "base/check.h"

namespace phase::vcp {
namespace {

double milliseconds(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

double percent(std::uint64_t milli) {
  return static_cast<double>(milli) / 1000;
}

std::string short_number(double value, int decimals) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

/// What a breaker looks at, in words.
struct Reading {
  std::optional<double> value;
  std::string_view unit;
  int decimals;
};

BreakerReport report(std::string_view name, Breaker& breaker, const Reading& reading, Instant now) {
  BreakerReport out{name, breaker.state(now), {}};
  const auto text = [&reading](double value) {
    return short_number(value, reading.decimals) + std::string(reading.unit);
  };
  out.detail = (reading.value ? text(*reading.value) : "unknown") + ", opens above " +
               text(breaker.limits().open_above);
  return out;
}

}  // namespace

std::string_view evidence_text(Evidence evidence) noexcept {
  switch (evidence) {
    case Evidence::measured:
      return "measured by the coordinator";
    case Evidence::signed_by_node:
      return "signed by the node";
    case Evidence::recorded:
      return "recorded by the coordinator";
    case Evidence::partial:
      return "signed by the node; half of it unknown";
    case Evidence::never:
      return "unknown: not read yet";
    case Evidence::stale:
      return "unknown: the last reading is too old";
    case Evidence::absent:
      return "unknown: the node has no such sensor";
  }
  check_failed(__FILE__, __LINE__, "evidence is known", {});
}

NodeHealth::NodeHealth(HealthLimits limits, Reputation reputation)
    : limits_(limits),
      reputation_(reputation),
      hot_(limits.temperature),
      far_(limits.latency),
      failing_(limits.failures) {}

void NodeHealth::take_bandwidth(std::uint64_t effective_kbps, Instant now) {
  bandwidth_kbps_ = {effective_kbps, now};
  heard_ = now;
}

void NodeHealth::take_latency(Duration round_trip, Instant now) {
  latency_ = {round_trip, now};
  heard_ = now;
  far_.reading(milliseconds(round_trip), now);
}

void NodeHealth::take_telemetry(const Telemetry& telemetry, Instant now) {
  telemetry_ = {telemetry, now};
  heard_ = now;
  if (telemetry.temperature_millicelsius) {
    hot_.reading(static_cast<double>(*telemetry.temperature_millicelsius) / 1000, now);
  }
}

void NodeHealth::forget_readings() {
  bandwidth_kbps_.reset();
  latency_.reset();
  telemetry_.reset();
  heard_.reset();
}

NodeHealth::RunTicket NodeHealth::run_began(Instant now) {
  const RunTicket ticket{leave(now) == Leave::one};
  trial_out_ = trial_out_ || ticket.trial;
  return ticket;
}

void NodeHealth::run_ended(RunTicket ticket, RunEnd end, Instant now, UtcTime utc) {
  if (ticket.trial) trial_out_ = false;
  if (end == RunEnd::no_fault) return;
  const bool well = end == RunEnd::verified;
  if (ticket.trial) {
    for (Breaker* breaker : {&hot_, &far_, &failing_}) breaker->tried(well, now);
  }
  if (well) {
    failures_in_row_ = 0;
    reputation_.succeeded(utc);
  } else {
    ++failures_in_row_;
    end == RunEnd::refuted ? reputation_.disputed(utc) : reputation_.failed(utc);
  }
  // Open, it is asked by time alone: a run that was under way changes nothing any more.
  if (failing_.state(now) != BreakerState::open) failing_.reading(failures_in_row_, now);
}

HealthTerm NodeHealth::bandwidth_term(Instant now) const {
  HealthTerm out;
  if (!bandwidth_kbps_) return out;
  out.age = now - bandwidth_kbps_->at;
  if (*out.age > limits_.bandwidth_stale || !heard_ || now - *heard_ > stale_after()) {
    out.evidence = Evidence::stale;
    return out;
  }
  out.value = static_cast<double>(bandwidth_kbps_->value) / 1000;
  out.score = std::clamp(*out.value / kBandwidthFullMbps, 0.0, 1.0);
  out.evidence = Evidence::measured;
  return out;
}

HealthTerm NodeHealth::latency_term(Instant now) const {
  HealthTerm out;
  if (!latency_) return out;
  out.age = now - latency_->at;
  if (*out.age > stale_after()) {
    out.evidence = Evidence::stale;
    return out;
  }
  out.value = milliseconds(latency_->value);
  out.score = std::clamp(1 - *out.value / kLatencyNoneMs, 0.0, 1.0);
  out.evidence = Evidence::measured;
  return out;
}

HealthTerm NodeHealth::compute_term(Instant now) const {
  HealthTerm out;
  if (!telemetry_) return out;
  out.age = now - telemetry_->at;
  if (*out.age > stale_after()) {
    out.evidence = Evidence::stale;
    return out;
  }
  double used = 0;
  int known = 0;
  for (const auto& half :
       {telemetry_->value.cpu_millipercent, telemetry_->value.memory_millipercent}) {
    if (!half) continue;
    ++known;
    used += percent(*half);
    out.score += (100 - percent(*half)) / 200;
  }
  out.score = std::clamp(out.score, 0.0, 1.0);
  if (known > 0) out.value = used / known;
  constexpr std::array kBy = {Evidence::absent, Evidence::partial, Evidence::signed_by_node};
  out.evidence = kBy[static_cast<std::size_t>(known)];
  return out;
}

HealthScore NodeHealth::score(Instant now, UtcTime utc) const {
  HealthScore out;
  out.bandwidth = bandwidth_term(now);
  out.latency = latency_term(now);
  out.compute = compute_term(now);
  out.reputation.score = reputation_.score(utc);
  out.reputation.value = out.reputation.score;
  out.reputation.evidence = Evidence::recorded;
  out.total = kWeightBandwidth * out.bandwidth.score + kWeightLatency * out.latency.score +
              kWeightCompute * out.compute.score + kWeightReputation * out.reputation.score;
  out.total = std::clamp(out.total, 0.0, 1.0);
  return out;
}

Leave NodeHealth::leave(Instant now) {
  bool trial = false;
  for (Breaker* breaker : {&hot_, &far_, &failing_}) {
    const BreakerState state = breaker->state(now);
    if (state == BreakerState::open) return Leave::none;
    trial = trial || state == BreakerState::half_open;
  }
  if (!trial) return Leave::all;
  return trial_out_ ? Leave::none : Leave::one;
}

std::array<BreakerReport, 3> NodeHealth::breakers(Instant now) {
  return {report("temperature", hot_, {hot_.last(), " °C", 1}, now),
          report("latency", far_, {far_.last(), " ms", 1}, now),
          report("failures", failing_, {failures_in_row_, " in a row", 0}, now)};
}

const Telemetry* NodeHealth::telemetry(Instant now) const {
  if (!telemetry_ || now - telemetry_->at > stale_after()) return nullptr;
  return &telemetry_->value;
}

}  // namespace phase::vcp
