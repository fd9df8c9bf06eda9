// What the machine says of its power, heat and memory, from Linux's sysfs.
#include <algorithm>
#include <charconv>

#include "lucid/catalog_files.h"
#include "lucid/operator_policy.h"

namespace phase::lucid {
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

}  // namespace

MachineState read_machine_state(const fs::path& root) {
  MachineState out;
  for (const fs::path& supply : below(root / "class" / "power_supply")) {
    const bool battery = word(supply / "type").value_or("") == "Battery";
    const bool device = word(supply / "scope").value_or("") == "Device";  // of a mouse, say
    if (battery && !device && word(supply / "status").value_or("") == "Discharging") {
      out.on_battery = true;
    }
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

}  // namespace phase::lucid
