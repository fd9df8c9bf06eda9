// options.h — what options of a model mean, wherever they are written: in a request, a recipe, a
// flag.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "protocol/job/job.h"

namespace phase::lucid {

/// A sampling option that a job carries in parts per million.
struct PpmOption {
  std::string_view name;
  std::optional<std::int64_t> job::Sampling::* field;
  double min, max;
};
inline constexpr std::array<PpmOption, 7> kPpmOptions{{
    {"temperature", &job::Sampling::temperature_ppm, 0, 100},
    {"top_p", &job::Sampling::top_p_ppm, 0, 1},
    {"min_p", &job::Sampling::min_p_ppm, 0, 1},
    {"typical_p", &job::Sampling::typical_p_ppm, 0, 1},
    {"repeat_penalty", &job::Sampling::repeat_penalty_ppm, 0, 100},
    {"presence_penalty", &job::Sampling::presence_penalty_ppm, -100, 100},
    {"frequency_penalty", &job::Sampling::frequency_penalty_ppm, -100, 100},
}};

/// Stop strings of one request (spec/job.md §2).
inline constexpr std::size_t kStopsMax = 16;

/// Stays for ever.
inline constexpr Duration kKeepForEver{-1};
/// Seconds as a keep-alive: negative and beyond 31 years is for ever; nothing for what is no
/// number.
[[nodiscard]] std::optional<Duration> keep_alive_of(double seconds);
/// A duration as Go writes it: "300ms", "1.5h", "2h45m", "-1"; a bare number is seconds. Nothing
/// for anything else.
[[nodiscard]] std::optional<Duration> keep_alive_of(std::string_view text);

}  // namespace phase::lucid
