// What the machine says of its power and heat, from Linux's sysfs.
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

/// Thousandths of a degree Celsius.
void take_temperature(const fs::path& file, std::optional<double>& hottest) {
  const auto text = word(file);
  if (!text) return;
  long milli = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), milli);
  if (error != std::errc{} || end != text->data() + text->size()) return;
  const double value = static_cast<double>(milli) / 1000;
  if (value < kCoolest || value > kHottest) return;
  hottest = std::max(hottest.value_or(value), value);
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
  return out;
}

}  // namespace phase::lucid
