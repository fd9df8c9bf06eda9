// meter.h — what a node says of its machine: readings of now, and differences between readings.
//
// Energy comes from RAPL's counters (their wraps counted), else from what batteries that discharge
// give; where there is neither it is unknown, and so is power. Blocks for a few small files.
// Belongs to one executor.
#pragma once

#include <filesystem>

#include "base/clock.h"
#include "machine/machine.h"
#include "vcp/health/telemetry.h"

namespace phase::vcp {

class Meter {
 public:
  struct Roots {
    std::filesystem::path sys = "/sys", proc = "/proc";
  };
  Meter(Clock& clock, Roots roots);

  /// Readings of now; CPU and power are means since the last call that was kMeterSpanMin earlier.
  [[nodiscard]] Telemetry read();
  [[nodiscard]] bool gpu_present() const noexcept { return gpu_present_; }
  /// Bytes of memory; absent: unknown.
  [[nodiscard]] std::optional<std::uint64_t> memory_total() const noexcept { return memory_total_; }

  // ── Shares of energy (node::EnergyMeter says the rest) ──
  void run_began();
  void run_ended();
  [[nodiscard]] std::optional<double> share_mj();

 private:
  void advance();
  void add_energy(const MachineCounters& now, const MachineUse& use, Instant at);

  Clock& clock_;
  Roots roots_;
  MachineCounters last_;
  MachineUse use_;
  Instant last_at_;
  // At the last full span: CPU and power are told over spans, or they would be noise.
  MachineCounters::Cpu span_cpu_;
  double span_energy_mj_ = 0;
  Instant span_at_;
  std::optional<std::uint64_t> cpu_millipercent_, power_milliwatts_;
  std::optional<double> energy_mj_;  ///< since this meter was made; absent: nothing measures it
  double share_mj_ = 0;
  std::size_t runs_ = 0;
  bool gpu_present_ = false;
  std::optional<std::uint64_t> memory_total_;
};
/// Means over less say nothing.
inline constexpr Duration kMeterSpanMin = 500ms;

}  // namespace phase::vcp
