// sampler_settings.h — the sampler settings of a job, with Ollama's defaults where the job says
// nothing.
#pragma once

#include "common.h"
#include "protocol/job/job.h"

namespace phase::worker::inference {

/// Temperature 0.8, top_k 40, top_p 0.9, min_p 0, typical_p 1, repeat_penalty 1.1 over the last 64
/// tokens, presence and frequency 0. Temperature 0 is greedy. Values outside what a sampler takes
/// are moved to its nearest bound. `context_tokens` is what repeat_last_n -1 means.
[[nodiscard]] common_params_sampling sampling_of(const job::Sampling& wanted,
                                                 std::uint32_t context_tokens);

}  // namespace phase::worker::inference
