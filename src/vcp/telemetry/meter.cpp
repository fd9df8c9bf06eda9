#include "vcp/telemetry/meter.h"

#include <algorithm>
#include <cmath>

namespace phase::vcp {
namespace {

/// Microjoules between two readings of a counter that may have started again once.
std::optional<std::uint64_t> used(const MachineCounters::Energy& before,
                                  const MachineCounters::Energy& after) {
  if (after.microjoules >= before.microjoules) return after.microjoules - before.microjoules;
  if (after.wraps_at == 0 || before.microjoules > after.wraps_at) return std::nullopt;
  return after.wraps_at - before.microjoules + after.microjoules;
}

/// Thousandths, from a plain number that is at most `most`.
std::optional<std::uint64_t> milli(double value, std::uint64_t most) {
  const double thousandths = std::round(value * 1000);
  if (!(thousandths >= 0) || thousandths > static_cast<double>(most)) return std::nullopt;
  return static_cast<std::uint64_t>(thousandths);
}

}  // namespace

Meter::Meter(Clock& clock, Roots roots) : clock_(clock), roots_(std::move(roots)) {
  last_ = read_machine_counters(roots_.sys, roots_.proc);
  use_ = read_machine_use(roots_.sys, roots_.proc);
  last_at_ = span_at_ = clock_.now();
  span_cpu_ = last_.cpu.value_or(MachineCounters::Cpu{});
  gpu_present_ = use_.gpu_present;
  if (use_.memory) memory_total_ = use_.memory->total;
}

/// Adds what was used since the last reading, in all and to each run's account.
void Meter::add_energy(const MachineCounters& now, const MachineUse& use, Instant at) {
  double mj = 0;
  bool known = false;
  for (const auto& [name, energy] : now.packages) {
    const auto before = last_.packages.find(name);
    if (before == last_.packages.end()) continue;
    const auto delta = used(before->second, energy);
    if (!delta) continue;
    known = true;
    mj += static_cast<double>(*delta) / 1000;
  }
  if (!known && use.battery_watts && use_.battery_watts) {
    const double seconds = std::chrono::duration<double>(at - last_at_).count();
    known = true;
    mj = (*use.battery_watts + *use_.battery_watts) / 2 * seconds * 1000;
  }
  if (!known) return;
  energy_mj_ = energy_mj_.value_or(0) + mj;
  if (runs_ > 0) share_mj_ += mj / static_cast<double>(runs_);
}

void Meter::advance() {
  const Instant at = clock_.now();
  const MachineCounters now = read_machine_counters(roots_.sys, roots_.proc);
  const MachineUse use = read_machine_use(roots_.sys, roots_.proc);
  add_energy(now, use, at);
  const Duration span = at - span_at_;
  if (span >= kMeterSpanMin) {
    cpu_millipercent_.reset();
    if (now.cpu && now.cpu->all > span_cpu_.all && now.cpu->busy >= span_cpu_.busy) {
      const double busy = static_cast<double>(now.cpu->busy - span_cpu_.busy) /
                          static_cast<double>(now.cpu->all - span_cpu_.all);
      cpu_millipercent_ = milli(std::min(busy, 1.0) * 100, kMilliPercentMax);
    }
    power_milliwatts_.reset();
    const bool measures = !now.packages.empty() || use.battery_watts;
    if (energy_mj_ && measures) {
      const double seconds = std::chrono::duration<double>(span).count();
      power_milliwatts_ = milli((*energy_mj_ - span_energy_mj_) / 1000 / seconds, kMilliWattsMax);
    }
    span_cpu_ = now.cpu.value_or(MachineCounters::Cpu{});
    span_energy_mj_ = energy_mj_.value_or(0);
    span_at_ = at;
  }
  last_ = now;
  use_ = use;
  last_at_ = at;
  gpu_present_ = use.gpu_present;
}

Telemetry Meter::read() {
  advance();
  Telemetry out;
  out.cpu_millipercent = cpu_millipercent_;
  out.power_milliwatts = power_milliwatts_;
  if (energy_mj_ && *energy_mj_ <= static_cast<double>(kMilliJoulesMax)) {
    out.energy_millijoules = static_cast<std::uint64_t>(std::llround(*energy_mj_));
  }
  if (use_.memory) {
    const double part = static_cast<double>(use_.memory->total - use_.memory->available) /
                        static_cast<double>(use_.memory->total);
    out.memory_millipercent = milli(part * 100, kMilliPercentMax);
  }
  if (use_.gpu_percent) out.gpu_millipercent = milli(*use_.gpu_percent, kMilliPercentMax);
  const auto hottest = read_machine_state(roots_.sys).temperature_c;
  if (hottest) out.temperature_millicelsius = std::llround(*hottest * 1000);
  return out;
}

void Meter::run_began() {
  advance();  // what was used until now is not this run's
  ++runs_;
}

void Meter::run_ended() {
  advance();
  --runs_;
}

std::optional<double> Meter::share_mj() {
  advance();
  if (!energy_mj_) return std::nullopt;
  return share_mj_;
}

}  // namespace phase::vcp
