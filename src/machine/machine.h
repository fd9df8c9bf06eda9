// machine.h — what the machine says of its power, heat, memory and work, from Linux's /sys and
// /proc.
//
// What is unknown stays unknown; implausible readings are no readings. Roots are passed in, so that
// tests feed a tree. Everything here blocks, for a few small files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace phase {

/// What the machine is doing, as far as it tells.
struct MachineState {
  bool on_battery = false;                   ///< some battery is discharging
  std::optional<double> temperature_c = {};  ///< the hottest sensor
  struct Memory {
    std::uint64_t total = 0, free = 0;  ///< bytes
  };
  std::optional<Memory> gpu = {};  ///< of the GPU with the most, where its driver tells (amdgpu)
  std::optional<Memory> memory =
      {};  ///< of all nodes; `free` counts what the kernel gives up at once
};
/// Reads <root>/class/{power_supply,thermal,hwmon,drm} and <root>/devices/system/node; what is
/// unknown stays unknown.
[[nodiscard]] MachineState read_machine_state(const std::filesystem::path& root = "/sys");

/// Counters since the machine started; what was used is the difference of two readings.
struct MachineCounters {
  struct Cpu {
    std::uint64_t busy = 0,
                  all = 0;  ///< ticks of all cores together; waiting for disks is not busy
  };
  std::optional<Cpu> cpu;  ///< <proc>/stat
  /// A package's energy, as RAPL counts it.
  struct Energy {
    std::uint64_t microjoules = 0;
    std::uint64_t wraps_at = 0;  ///< counts from 0 again above it; 0: unknown
  };
  /// <sys>/class/powercap/intel-rapl:<package>, by folder name; parts of a package are left out.
  std::map<std::string, Energy> packages;
};
[[nodiscard]] MachineCounters read_machine_counters(const std::filesystem::path& sys_root,
                                                    const std::filesystem::path& proc_root);

/// What needs no difference.
struct MachineUse {
  struct Memory {
    std::uint64_t total = 0, available = 0;  ///< bytes
  };
  std::optional<Memory> memory;         ///< <proc>/meminfo
  std::optional<double> gpu_percent;    ///< the busiest GPU, where its driver tells (amdgpu)
  bool gpu_present = false;             ///< some driver shows a GPU that computes
  std::optional<double> battery_watts;  ///< drawn from batteries that are discharging
};
[[nodiscard]] MachineUse read_machine_use(const std::filesystem::path& sys_root,
                                          const std::filesystem::path& proc_root);

}  // namespace phase
