#include "worker/inference/sampler_settings.h"

#include <algorithm>

namespace phase::worker::inference {
namespace {

constexpr double kPerUnit = 1e6;
constexpr std::int64_t kTopKMax = 1'000'000;
constexpr std::int64_t kLastMax = 1'000'000;

float value(const std::optional<std::int64_t>& ppm, double otherwise, double low, double high) {
  const double wanted = ppm ? static_cast<double>(*ppm) / kPerUnit : otherwise;
  return static_cast<float>(std::clamp(wanted, low, high));
}

// 32 bits for the engine, of which one value means "at random".
std::uint32_t seed_of(std::uint64_t seed) {
  const auto folded = static_cast<std::uint32_t>(seed ^ (seed >> 32));
  return folded == LLAMA_DEFAULT_SEED ? 0 : folded;
}

}  // namespace

common_params_sampling sampling_of(const job::Sampling& wanted, std::uint32_t context_tokens) {
  common_params_sampling out;
  out.no_perf = true;
  out.seed = seed_of(wanted.seed);
  out.temp = value(wanted.temperature_ppm, 0.8, 0, 100);
  out.top_p = value(wanted.top_p_ppm, 0.9, 0, 1);
  out.min_p = value(wanted.min_p_ppm, 0, 0, 1);
  out.typ_p = value(wanted.typical_p_ppm, 1, 0, 1);
  out.top_k =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(wanted.top_k.value_or(40), 0, kTopKMax));
  out.penalty_repeat = value(wanted.repeat_penalty_ppm, 1.1, 0.01, 100);
  out.penalty_present = value(wanted.presence_penalty_ppm, 0, -100, 100);
  out.penalty_freq = value(wanted.frequency_penalty_ppm, 0, -100, 100);
  const std::int64_t last = wanted.repeat_last_n.value_or(64);
  out.penalty_last_n =
      static_cast<std::int32_t>(last < 0 ? std::int64_t{context_tokens} : std::min(last, kLastMax));
  const bool penalized =
      out.penalty_last_n > 0 &&
      (out.penalty_repeat != 1.0F || out.penalty_present != 0 || out.penalty_freq != 0);
  out.samplers.clear();
  if (penalized) out.samplers.push_back(COMMON_SAMPLER_TYPE_PENALTIES);
  if (out.temp <= 0) out.top_k = 1;
  // Only those that change something: each costs a pass over the vocabulary.
  if (out.top_k > 0) out.samplers.push_back(COMMON_SAMPLER_TYPE_TOP_K);
  if (out.temp <= 0) return out;
  if (out.typ_p < 1) out.samplers.push_back(COMMON_SAMPLER_TYPE_TYPICAL_P);
  if (out.top_p < 1) out.samplers.push_back(COMMON_SAMPLER_TYPE_TOP_P);
  if (out.min_p > 0) out.samplers.push_back(COMMON_SAMPLER_TYPE_MIN_P);
  out.samplers.push_back(COMMON_SAMPLER_TYPE_TEMPERATURE);
  return out;
}

}  // namespace phase::worker::inference
