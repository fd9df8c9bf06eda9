// The inference body of a job (spec/job.md §2).
#include <array>

#include "protocol/job/codec_internal.h"
#include "protocol/job/parts.h"

namespace phase::job {
namespace {

constexpr std::size_t kStopMax = 16;

using Field = std::optional<std::int64_t> Sampling::*;
/// Optional sampling values by their keys, from 1.
constexpr std::array<Field, 9> kSamplingFields{
    &Sampling::temperature_ppm,
    &Sampling::top_p_ppm,
    &Sampling::min_p_ppm,
    &Sampling::typical_p_ppm,
    &Sampling::repeat_penalty_ppm,
    &Sampling::presence_penalty_ppm,
    &Sampling::frequency_penalty_ppm,
    &Sampling::top_k,
    &Sampling::repeat_last_n,
};

void write_sampling(CborWriter& out, const Sampling& sampling) {
  std::uint64_t count = 1;
  for (const Field field : kSamplingFields) count += (sampling.*field).has_value() ? 1U : 0U;
  out.map(count).uint(0).uint(sampling.seed);
  for (std::size_t i = 0; i < kSamplingFields.size(); ++i) {
    if (const auto& value = sampling.*kSamplingFields[i]) out.uint(i + 1).integer(*value);
  }
}

Result<Sampling> read_sampling(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  Sampling out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.seed, at->uint());
  for (std::size_t i = 0; i < kSamplingFields.size(); ++i) {
    if (!map.optional(i + 1)) continue;
    PHASE_TRY(const std::int64_t value, in.integer());
    out.*kSamplingFields[i] = value;
  }
  PHASE_TRY_VOID(map.close());
  return out;
}

Result<void> read_model(CborReader& in, InferenceJob& job) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(job.model, read_hash<ArtifactId>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(job.model_name, read_text(*at));
  return map.close();
}

Result<void> read_prompt(CborReader& in, InferenceJob& job) {
  if (in.peek() == CborType::null) return in.null();
  PHASE_TRY(const Commitment prompt, read_commitment(in));
  if (prompt.length > kPromptBytesMax) {
    return fail(Code::too_large, "prompt above " + std::to_string(kPromptBytesMax) + " bytes");
  }
  job.prompt = prompt;
  return {};
}

Result<void> read_stop(CborReader& in, InferenceJob& job) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count > kStopMax) return fail(Code::too_large, "more than 16 stop strings");
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string text, read_text(in));
    job.stop.push_back(std::move(text));
  }
  return {};
}

}  // namespace

void write_body(CborWriter& out, const InferenceJob& job) {
  out.map(job.grammar ? 8 : 7).uint(0);
  out.map(2).uint(0).bytes(job.model.bytes()).uint(1).text(job.model_name);
  out.uint(1).uint(static_cast<std::uint64_t>(job.prompt_kind)).uint(2);
  if (job.prompt) {
    write(out, *job.prompt);
  } else {
    out.null();
  }
  out.uint(3);
  write_sampling(out, job.sampling);
  out.uint(4).uint(job.tokens_max).uint(5).uint(job.context_tokens);
  out.uint(6).array(job.stop.size());
  for (const std::string& text : job.stop) out.text(text);
  if (job.grammar) {
    out.uint(7);
    write(out, *job.grammar);
  }
}

Result<InferenceJob> read_inference(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  InferenceJob job;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY_VOID(read_model(*at, job));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(const std::uint64_t kind, at->uint());
  if (kind > static_cast<std::uint64_t>(PromptKind::rerank))
    return fail(Code::malformed, "unknown prompt kind " + std::to_string(kind));
  job.prompt_kind = static_cast<PromptKind>(kind);
  PHASE_TRY(at, map.required(2));
  PHASE_TRY_VOID(read_prompt(*at, job));
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(job.sampling, read_sampling(*at));
  PHASE_TRY(at, map.required(4));
  PHASE_TRY(job.tokens_max, at->uint());
  if (job.tokens_max == 0) return fail(Code::malformed, "a token limit of 0 asks for nothing");
  PHASE_TRY(at, map.required(5));
  PHASE_TRY(job.context_tokens, at->uint());
  PHASE_TRY(at, map.required(6));
  PHASE_TRY_VOID(read_stop(*at, job));
  if (map.optional(7)) {
    PHASE_TRY(job.grammar, read_commitment(in));
  }
  PHASE_TRY_VOID(map.close());
  return job;
}

}  // namespace phase::job
