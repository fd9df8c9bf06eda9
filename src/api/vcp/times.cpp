#include "api/vcp/times.h"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace phase::vcp::api {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_time;
using std::chrono::year_month_day;

constexpr std::size_t kFractionDigitsMax = 9;
constexpr std::uint64_t kYearMax = 9999;

/// Exactly so many digits; moves on.
std::optional<unsigned> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) {
    return std::nullopt;
  }
  unsigned out = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    out = out * 10 + static_cast<unsigned>(c - '0');
  }
  text.remove_prefix(count);
  return out;
}

bool skip(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

/// "Z" or "+01:30", in minutes.
std::optional<std::int64_t> offset(std::string_view text) {
  if (text == "Z" || text == "z") {
    return 0;
  }
  const bool east = text.starts_with('+');
  if (!skip(text, "+-")) {
    return std::nullopt;
  }
  const auto hour = digits(text, 2);
  if (!hour || !skip(text, ":")) {
    return std::nullopt;
  }
  const auto minute = digits(text, 2);
  if (!minute || !text.empty() || *hour > 23 || *minute > 59) {
    return std::nullopt;
  }
  const std::int64_t out = std::int64_t{*hour} * 60 + *minute;
  return east ? out : -out;
}

/// The fraction after its dot, in milliseconds.
std::optional<unsigned> fraction(std::string_view& text) {
  unsigned out = 0, place = 100;
  std::size_t count = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    out += static_cast<unsigned>(text.front() - '0') * place;
    place /= 10;
    ++count;
  }
  return count == 0 || count > kFractionDigitsMax ? std::nullopt : std::optional(out);
}

}  // namespace

std::string utc_text(UtcTime time) {
  const sys_time<milliseconds> at{milliseconds(time.unix_ms)};
  const auto day = std::chrono::floor<days>(at);
  const year_month_day date{day};
  const std::chrono::hh_mm_ss<milliseconds> clock{at - day};
  char out[40];
  std::snprintf(
      out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return out;
}

std::optional<UtcTime> parse_utc(std::string_view text) {
  const auto year_number = digits(text, 4);
  if (!year_number || !skip(text, "-")) return std::nullopt;
  const auto month_number = digits(text, 2);
  if (!month_number || !skip(text, "-")) return std::nullopt;
  const auto day_number = digits(text, 2);
  if (!day_number || !skip(text, "Tt ")) return std::nullopt;
  const auto hour = digits(text, 2);
  if (!hour || !skip(text, ":")) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || !skip(text, ":")) return std::nullopt;
  const auto second = digits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const year_month_day date{std::chrono::year(static_cast<int>(*year_number)),
                            std::chrono::month(*month_number), std::chrono::day(*day_number)};
  unsigned part = 0;
  if (skip(text, ".")) {
    const auto given = fraction(text);
    if (!given) return std::nullopt;
    part = *given;
  }
  const auto shift = offset(text);
  if (!date.ok() || !shift) return std::nullopt;
  const auto at = sys_time<milliseconds>(sys_days(date)) + hours(*hour) + minutes(*minute) +
                  seconds(*second) + milliseconds(part) - minutes(*shift);
  const std::int64_t out = at.time_since_epoch().count();
  return out < 0 || *year_number > kYearMax
             ? std::nullopt
             : std::optional(UtcTime{static_cast<std::uint64_t>(out)});
}

}  // namespace phase::vcp::api
