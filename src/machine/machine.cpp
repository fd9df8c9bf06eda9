#include "machine/machine.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/files.h"

namespace phase {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSensorBytesMax = 4096;
constexpr std::size_t kSensorsMax = 1024;
/// Readings outside are of a sensor that is not there.
constexpr double kCoolest = -50, kHottest = 200;

std::optional<std::string> word(const fs::path& file) {
  auto text = read_file(file, kSensorBytesMax);
  if (!text) return std::nullopt;
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  return *std::move(text);
}

/// Folders below a folder, at most kSensorsMax.
std::vector<fs::path> below(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (out.size() >= kSensorsMax) break;
    out.push_back(entry.path());
  }
  return out;
}

template <typename Number>
std::optional<Number> whole(std::string_view text) {
  Number out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Thousandths of a degree Celsius.
void take_temperature(const fs::path& file, std::optional<double>& hottest) {
  const auto text = word(file);
  const auto milli = text ? whole<long>(*text) : std::nullopt;
  if (!milli) return;
  const double value = static_cast<double>(*milli) / 1000;
  if (value < kCoolest || value > kHottest) return;
  hottest = std::max(hottest.value_or(value), value);
}

std::optional<std::uint64_t> count_in(const fs::path& file) {
  const auto text = word(file);
  return text ? whole<std::uint64_t>(*text) : std::nullopt;
}

/// Bytes of a GPU, as amdgpu tells them; other drivers have no such files.
void take_gpu(const fs::path& device, std::optional<MachineState::Memory>& largest) {
  const auto total = count_in(device / "mem_info_vram_total");
  const auto used = count_in(device / "mem_info_vram_used");
  if (!total || !used || *used > *total) return;
  if (!largest || largest->total < *total) largest = {*total, *total - *used};
}

/// "Node 0 MemFree:  123 kB": bytes of a line of a node's meminfo, 0 when it is another line.
std::uint64_t bytes_of(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(" " + std::string(name) + ":");
  if (at == std::string_view::npos) return 0;
  std::string_view rest = line.substr(at + name.size() + 2);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const auto kib = whole<std::uint64_t>(rest.substr(0, rest.find(' ')));
  return kib && *kib < (1ULL << 50) ? *kib * 1024 : 0;
}

/// What the kernel gives up at once counts as free: files it could read again.
void take_memory(const fs::path& node, std::optional<MachineState::Memory>& all) {
  const auto text = word(node / "meminfo");
  if (!text || text->find("MemTotal:") == std::string::npos) return;
  MachineState::Memory sum = all.value_or(MachineState::Memory{});
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    sum.total += bytes_of(line, "MemTotal");
    for (const char* name : {"MemFree", "Active(file)", "Inactive(file)", "SReclaimable"}) {
      sum.free += bytes_of(line, name);
    }
  }
  all = sum;
}

/// Of a text of lines, the rest of the one that starts with `name`, without blanks around it.
std::optional<std::string_view> line_after(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
  }
  return std::nullopt;
}

/// user nice system idle iowait irq softirq steal; guest times are in user and nice already.
std::optional<MachineCounters::Cpu> cpu_of(std::string_view stat) {
  constexpr std::size_t kTimes = 8, kIdle = 3, kWaiting = 4;
  auto line = line_after(stat, "cpu ");
  if (!line) return std::nullopt;
  MachineCounters::Cpu out;
  for (std::size_t i = 0; i < kTimes; ++i) {
    const std::size_t end = std::min(line->find(' '), line->size());
    const auto ticks = whole<std::uint64_t>(line->substr(0, end));
    if (!ticks || *ticks > (1ULL << 56U)) return std::nullopt;
    out.all += *ticks;
    if (i != kIdle && i != kWaiting) out.busy += *ticks;
    line->remove_prefix(std::min(end + 1, line->size()));
  }
  return out;
}

std::optional<MachineUse::Memory> memory_of(std::string_view meminfo) {
  const auto kib = [meminfo](std::string_view name) -> std::optional<std::uint64_t> {
    const auto line = line_after(meminfo, name);
    if (!line) return std::nullopt;
    const auto value = whole<std::uint64_t>(line->substr(0, line->find(' ')));
    return value && *value < (1ULL << 50U) ? value : std::nullopt;
  };
  const auto total = kib("MemTotal:"), available = kib("MemAvailable:");
  if (!total || !available || *total == 0 || *available > *total) return std::nullopt;
  return MachineUse::Memory{*total * 1024, *available * 1024};
}

/// Watts of one battery, from power_now (µW), or from current_now (µA) and voltage_now (µV).
std::optional<double> watts_of(const fs::path& battery) {
  constexpr double kWattsMost = 10'000;
  double watts = 0;
  if (const auto power = count_in(battery / "power_now")) {
    watts = static_cast<double>(*power) / 1e6;
  } else {
    const auto current = count_in(battery / "current_now");
    const auto voltage = count_in(battery / "voltage_now");
    if (!current || !voltage) return std::nullopt;
    watts = static_cast<double>(*current) / 1e6 * (static_cast<double>(*voltage) / 1e6);
  }
  if (watts > kWattsMost) return std::nullopt;
  return watts;
}

bool drains(const fs::path& supply) {
  const bool battery = word(supply / "type").value_or("") == "Battery";
  const bool device = word(supply / "scope").value_or("") == "Device";  // of a mouse, say
  return battery && !device && word(supply / "status").value_or("") == "Discharging";
}

/// A file of /proc; stat has a line for each core and each interrupt.
std::optional<std::string> long_text(const fs::path& file) {
  constexpr std::size_t kProcBytesMax = 1 << 20;
  auto text = read_file(file, kProcBytesMax);
  return text ? std::optional(*std::move(text)) : std::nullopt;
}

}  // namespace

MachineCounters read_machine_counters(const fs::path& sys_root, const fs::path& proc_root) {
  MachineCounters out;
  if (const auto stat = long_text(proc_root / "stat")) out.cpu = cpu_of(*stat);
  for (const fs::path& zone : below(sys_root / "class" / "powercap")) {
    const std::string name = zone.filename().string();
    // "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it; AMD's are named so too.
    if (!name.starts_with("intel-rapl:") || std::ranges::count(name, ':') != 1) continue;
    if (const auto energy = count_in(zone / "energy_uj")) {
      out.packages[name] = {*energy, count_in(zone / "max_energy_range_uj").value_or(0)};
    }
  }
  return out;
}

MachineUse read_machine_use(const fs::path& sys_root, const fs::path& proc_root) {
  MachineUse out;
  if (const auto meminfo = long_text(proc_root / "meminfo")) out.memory = memory_of(*meminfo);
  std::error_code ignored;
  for (const fs::path& card : below(sys_root / "class" / "drm")) {
    if (const auto busy = count_in(card / "device" / "gpu_busy_percent"); busy && *busy <= 100) {
      out.gpu_percent = std::max(out.gpu_percent.value_or(0), static_cast<double>(*busy));
      out.gpu_present = true;
    }
  }
  out.gpu_present =
      out.gpu_present || fs::exists(proc_root / "driver" / "nvidia" / "gpus", ignored);
  for (const fs::path& supply : below(sys_root / "class" / "power_supply")) {
    if (!drains(supply)) continue;
    if (const auto watts = watts_of(supply))
      out.battery_watts = out.battery_watts.value_or(0) + *watts;
  }
  return out;
}

MachineState read_machine_state(const fs::path& root) {
  MachineState out;
  for (const fs::path& supply : below(root / "class" / "power_supply")) {
    out.on_battery = out.on_battery || drains(supply);
  }
  for (const fs::path& zone : below(root / "class" / "thermal")) {
    take_temperature(zone / "temp", out.temperature_c);
  }
  for (const fs::path& chip : below(root / "class" / "hwmon")) {
    for (const fs::path& file : below(chip)) {
      const std::string name = file.filename().string();
      if (name.starts_with("temp") && name.ends_with("_input")) {
        take_temperature(file, out.temperature_c);
      }
    }
  }
  for (const fs::path& card : below(root / "class" / "drm")) take_gpu(card / "device", out.gpu);
  for (const fs::path& node : below(root / "devices" / "system" / "node")) {
    take_memory(node, out.memory);
  }
  return out;
}

}  // namespace phase
