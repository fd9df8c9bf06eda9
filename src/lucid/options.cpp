#include "lucid/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace phase::lucid {
namespace {

constexpr double kSecondsMax = 1e9;

struct Unit {
  std::string_view name;
  double seconds;
};
// Longer names first: "ms" is no "m".
constexpr std::array<Unit, 7> kUnits{
    {{"ms", 1e-3}, {"us", 1e-6}, {"µs", 1e-6}, {"ns", 1e-9}, {"s", 1}, {"m", 60}, {"h", 3600}}};

}  // namespace

std::optional<Duration> keep_alive_of(double seconds) {
  if (std::isnan(seconds)) return std::nullopt;
  if (seconds < 0 || seconds > kSecondsMax) return kKeepForEver;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::optional<Duration> keep_alive_of(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double total = 0;
  for (bool first = true; !text.empty(); first = false) {
    if (text.front() != '.' && (text.front() < '0' || text.front() > '9')) return std::nullopt;
    double number = 0;  // not "inf", not "nan"
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) {
      if (!first) return std::nullopt;
      total = number;  // a number alone: seconds
      break;
    }
    const auto* unit = std::ranges::find_if(
        kUnits, [text](const Unit& candidate) { return text.starts_with(candidate.name); });
    if (unit == kUnits.end()) return std::nullopt;
    total += number * unit->seconds;
    text.remove_prefix(unit->name.size());
  }
  return keep_alive_of(negative ? -total : total);
}

}  // namespace phase::lucid
