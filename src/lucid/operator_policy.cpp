#include "lucid/operator_policy.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include <toml++/toml.h>

#include "lucid/catalog_files.h"
#include "policy/policy.h"

namespace phase::lucid {
namespace {

constexpr std::size_t kGlobBytesMax = 256;

using Reader = std::function<Result<void>(const toml::node&, OperatorPolicy&)>;

std::string at_line(const toml::node& node) {
  return " (line " + std::to_string(node.source().begin.line) + ")";
}

tl::unexpected<Error> wrong(std::string_view key, const toml::node& node, std::string_view what) {
  return fail(Code::invalid_argument,
              "policy: " + std::string(key) + ": " + std::string(what) + at_line(node));
}

Reader boolean(std::string_view key, bool OperatorPolicy::* into) {
  return [key, into](const toml::node& node, OperatorPolicy& out) -> Result<void> {
    const auto value = node.value_exact<bool>();
    if (!value) return wrong(key, node, "true or false is expected");
    out.*into = *value;
    return {};
  };
}

Reader count(std::string_view key, std::uint64_t OperatorPolicy::* into, std::int64_t min,
             std::int64_t max) {
  return [key, into, min, max](const toml::node& node, OperatorPolicy& out) -> Result<void> {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < min || *value > max) {
      return wrong(key, node,
                   "a whole number from " + std::to_string(min) + " to " + std::to_string(max) +
                       " is expected");
    }
    out.*into = static_cast<std::uint64_t>(*value);
    return {};
  };
}

Result<double> number(std::string_view key, const toml::node& node, double max) {
  const auto value = node.value<double>();
  if (!value || !std::isfinite(*value) || *value < 0 || *value > max) {
    return wrong(key, node,
                 "a number from 0 to " + std::to_string(static_cast<int>(max)) + " is expected");
  }
  return *value;
}

Result<std::vector<std::string>> texts(std::string_view key, const toml::node& node,
                                       std::size_t bytes_max) {
  const toml::array* list = node.as_array();
  if (list == nullptr || list->size() > kPolicyListMax) {
    return wrong(key, node, "a list of texts is expected");
  }
  std::vector<std::string> out;
  for (const toml::node& one : *list) {
    const auto text = one.value_exact<std::string>();
    if (!text || text->size() > bytes_max) return wrong(key, one, "a list of texts is expected");
    out.push_back(*text);
  }
  return out;
}

Result<void> read_threshold(const toml::node& node, OperatorPolicy& out) {
  PHASE_TRY(const double degrees, number("auto_pause_on_thermal_threshold_c", node, 200));
  out.auto_pause_on_thermal_threshold_c.reset();
  if (degrees > 0) out.auto_pause_on_thermal_threshold_c = degrees;
  return {};
}

Reader gigabytes(std::string_view key, double OperatorPolicy::* into) {
  return [key, into](const toml::node& node, OperatorPolicy& out) -> Result<void> {
    PHASE_TRY(out.*into, number(key, node, 4096));
    return {};
  };
}

Result<void> read_models(const toml::node& node, OperatorPolicy& out) {
  PHASE_TRY(out.serve_models, texts("serve_models", node, kGlobBytesMax));
  return {};
}

Result<void> read_shared(const toml::node& node, OperatorPolicy& out) {
  PHASE_TRY(out.share_models, texts("share_models", node, kGlobBytesMax));
  return {};
}

Result<void> read_submitters(const toml::node& node, OperatorPolicy& out) {
  PHASE_TRY(const auto words, texts("authorized_submitters", node, 128));
  out.authorized_submitters.clear();
  for (const std::string& word : words) {
    auto key = policy::parse_requester(word);
    if (!key) return wrong("authorized_submitters", node, key.error().message);
    out.authorized_submitters.push_back(*key);
  }
  return {};
}

Result<void> read_window(const toml::node& node, OperatorPolicy& out) {
  constexpr std::string_view kKey = "time_of_day_window";
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return wrong(kKey, node, "{ start_hour_local, end_hour_local } is expected");
  ServingWindow window;
  std::size_t seen = 0;
  for (const auto& [key, value] : *table) {
    const auto hour = value.value_exact<std::int64_t>();
    if (!hour || *hour < 0 || *hour > 24) return wrong(kKey, value, "hours are 0 to 24");
    if (key == "start_hour_local") {
      window.start_hour_local = static_cast<int>(*hour);
    } else if (key == "end_hour_local") {
      window.end_hour_local = static_cast<int>(*hour);
    } else {
      return wrong(kKey, value, "unknown key " + printable(key.str(), 64));
    }
    ++seen;
  }
  if (seen != 2) return wrong(kKey, node, "start_hour_local and end_hour_local are both needed");
  out.time_of_day_window = window;
  return {};
}

const std::map<std::string, Reader, std::less<>>& readers() {
  using P = OperatorPolicy;
  static const std::map<std::string, Reader, std::less<>> all{
      {"auto_pause_on_battery", boolean("auto_pause_on_battery", &P::auto_pause_on_battery)},
      {"auto_pause_on_thermal_threshold_c", read_threshold},
      {"vram_reserve_gb", gigabytes("vram_reserve_gb", &P::vram_reserve_gb)},
      {"memory_reserve_gb", gigabytes("memory_reserve_gb", &P::memory_reserve_gb)},
      {"serve_models", read_models},
      {"time_of_day_window", read_window},
      {"manual_pause", boolean("manual_pause", &P::manual_pause)},
      {"max_concurrent_remote_jobs",
       count("max_concurrent_remote_jobs", &P::max_concurrent_remote_jobs, 0, 1024)},
      {"authorized_submitters", read_submitters},
      {"allow_unauthenticated_jobs",
       boolean("allow_unauthenticated_jobs", &P::allow_unauthenticated_jobs)},
      {"max_tokens_ceiling", count("max_tokens_ceiling", &P::max_tokens_ceiling, 1, 10'000'000)},
      {"max_prompt_bytes", count("max_prompt_bytes", &P::max_prompt_bytes, 1, 16'777'216)},
      {"max_wall_seconds", count("max_wall_seconds", &P::max_wall_seconds, 1, 3600)},
      {"max_jobs_per_minute_per_key",
       count("max_jobs_per_minute_per_key", &P::max_jobs_per_minute_per_key, 1, 100'000)},
      {"max_concurrent_jobs_per_key",
       count("max_concurrent_jobs_per_key", &P::max_concurrent_jobs_per_key, 1, 1024)},
      {"share_models", read_shared},
      {"share_with_anybody", boolean("share_with_anybody", &P::share_with_anybody)},
      {"share_bytes_per_second",
       count("share_bytes_per_second", &P::share_bytes_per_second, 0, 1ULL << 40U)},
  };
  return all;
}

/// Letters to add, drop or change to get from one word to the other (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// The known key a person may have meant.
std::string nearest_hint(std::string_view key) {
  constexpr std::size_t kKeyLooked = 64;
  const std::string_view looked = key.substr(0, kKeyLooked);
  const auto far = [looked](const auto& entry) { return distance(looked, entry.first); };
  const auto nearest = std::ranges::min_element(readers(), {}, far);
  if (far(*nearest) <= nearest->first.size() / 2) return "did you mean " + nearest->first + "?";
  return "`lucidd policy show` prints every key";
}

/// One `[..]` set; `at` stands behind the bracket and is moved behind the closing one. Nothing: no
/// set.
std::optional<bool> in_set(std::string_view pattern, std::size_t& at, char c) {
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  bool found = false;
  for (bool first = true; at < pattern.size(); first = false) {
    if (pattern[at] == ']' && !first) {
      ++at;
      return found != negated;
    }
    const char low = pattern[at++];
    char high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      high = pattern[at + 1];
      at += 2;
    }
    found = found || (low <= c && c <= high);
  }
  return std::nullopt;
}

/// Matches one character at `at` of the pattern, which is then behind it. Nothing: a bad pattern.
std::optional<bool> matches_one(std::string_view pattern, std::size_t& at, char c) {
  const char wanted = pattern[at++];
  if (wanted == '?') return true;
  if (wanted == '[') return in_set(pattern, at, c);
  return wanted == c;
}

bool in_window(const ServingWindow& window, int hour) {
  const int start = window.start_hour_local, end = window.end_hour_local;
  if (start == end) return false;
  if (start < end) return hour >= start && hour < end;
  return hour >= start || hour < end;
}

/// Why, when less than the reserve is free; memory that never had as much is no reason.
std::optional<std::string> short_of(std::string_view what, double reserve_gb,
                                    const std::optional<MachineState::Memory>& has) {
  constexpr double kBytesPerGb = 1e9;
  if (!has || reserve_gb <= 0 || static_cast<double>(has->total) <= reserve_gb * kBytesPerGb) {
    return std::nullopt;
  }
  const double free_gb = static_cast<double>(has->free) / kBytesPerGb;
  if (free_gb >= reserve_gb) return std::nullopt;
  char text[96];
  std::snprintf(text, sizeof text, "%.*s reserve reached (%.1f GB free < %.1f GB)",
                static_cast<int>(what.size()), what.data(), free_gb, reserve_gb);
  return text;
}

std::string degrees(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

}  // namespace

Result<OperatorPolicy> parse_policy(std::string_view text) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid_argument, "policy: " + std::string(error.description()) + " (line " +
                                            std::to_string(error.source().begin.line) + ")");
  }
  OperatorPolicy out;
  for (const auto& [key, value] : table) {
    const auto reader = readers().find(key.str());
    if (reader == readers().end()) {
      return fail(Code::invalid_argument,
                  "policy: unknown key " + printable(key.str(), 64) + at_line(value),
                  nearest_hint(key.str()));
    }
    PHASE_TRY_VOID(reader->second(value, out));
  }
  return out;
}

Result<OperatorPolicy> read_policy(const std::filesystem::path& path) {
  PHASE_TRY(const std::string text, read_file(path, kPolicyBytesMax));
  return parse_policy(text);
}

std::string default_policy_text() {
  return R"(# What this machine does for others. Requests of its own programs are never bound by it.
# In force as soon as it is saved. An unknown key or a wrong value keeps the last good file.

# Who may send jobs here: peer ids (12D3KooW...) or public keys of 64 hexadecimal digits.
# Empty: nobody.
authorized_submitters = []
# true: anybody who can reach this node, within the limits below.
allow_unauthenticated_jobs = false

# Which models others may use: names with *, ? and [..].
serve_models = ["*"]
# Nothing for others while true.
manual_pause = false
auto_pause_on_battery = true
# Above this many degrees Celsius on the hottest sensor; 0: never.
auto_pause_on_thermal_threshold_c = 75.0
# Only in these hours of the local day; it may pass midnight.
# time_of_day_window = { start_hour_local = 22, end_hour_local = 6 }

# Limits of others' jobs.
max_concurrent_remote_jobs = 4
max_concurrent_jobs_per_key = 2
max_jobs_per_minute_per_key = 60
max_tokens_ceiling = 8192
max_prompt_bytes = 1000000
max_wall_seconds = 600
# Others wait while less than this is free (GB of 10^9 bytes; 0: never): of the largest GPU, where
# its driver tells (amdgpu), and of the machine's memory.
vram_reserve_gb = 4.0
memory_reserve_gb = 0.0

# Which models' files others may fetch and keep (pull): names with *, ? and [..]; and those that
# were pushed. Empty: only those pushed.
share_models = []
# false: only those who may send jobs. true: anybody who can reach this node.
share_with_anybody = false
# To all of them together; 0: as fast as it goes.
share_bytes_per_second = 0
)";
}

std::optional<std::string> pause_reason(const OperatorPolicy& policy, const ServingMoment& now) {
  if (policy.manual_pause) return "operator paused (manual)";
  if (policy.auto_pause_on_battery && now.machine.on_battery) return "on battery";
  const auto& limit = policy.auto_pause_on_thermal_threshold_c;
  if (limit && now.machine.temperature_c && *now.machine.temperature_c > *limit) {
    return "thermal limit hit (" + degrees(*now.machine.temperature_c) +
           " °C >= " + degrees(*limit) + " °C)";
  }
  if (auto why = short_of("graphics memory", policy.vram_reserve_gb, now.machine.gpu)) return why;
  if (auto why = short_of("memory", policy.memory_reserve_gb, now.machine.memory)) return why;
  if (policy.time_of_day_window && !in_window(*policy.time_of_day_window, now.hour_local)) {
    return "outside serving time window";
  }
  if (now.remote_jobs_running >= policy.max_concurrent_remote_jobs) {
    return "concurrency limit reached";
  }
  return std::nullopt;
}

bool serves_model(const OperatorPolicy& policy, std::string_view model) {
  return std::ranges::any_of(policy.serve_models,
                             [model](const auto& glob) { return glob_matches(glob, model); });
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0, from = 0;
  std::optional<std::size_t> star;  // behind the last `*`, which eats text up to `star_text`
  std::size_t star_text = 0;
  while (from < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_text = from;
      continue;
    }
    std::size_t next = at;
    const std::optional<bool> one =
        at < pattern.size() ? matches_one(pattern, next, text[from]) : std::optional<bool>{false};
    if (!one) return false;
    if (*one) {
      at = next;
      ++from;
    } else if (star) {
      at = *star;
      from = ++star_text;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

}  // namespace phase::lucid
