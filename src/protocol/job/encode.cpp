#include <algorithm>
#include <functional>

#include "protocol/job/document_internal.h"

namespace phase::job {
namespace {

constexpr std::uint64_t kKindWasm = 0, kKindInference = 1;

void write_reference(CborWriter& writer, const ArtifactRef& ref) {
  writer.map(3).uint(0).bytes(ref.id.bytes());
  writer.uint(1).bytes(ref.sha256.bytes()).uint(2).uint(ref.length);
}

void write_commitment_or_null(CborWriter& writer, const std::optional<Commitment>& commitment) {
  if (commitment) {
    write_commitment(writer, *commitment);
  } else {
    writer.null();
  }
}

void write_env(CborWriter& writer, const std::map<std::string, std::string>& env) {
  std::vector<const std::pair<const std::string, std::string>*> entries;
  for (const auto& entry : env) entries.push_back(&entry);
  std::ranges::sort(entries, text_key_less,
                    [](const auto* entry) -> std::string_view { return entry->first; });
  writer.map(entries.size());
  for (const auto* entry : entries) writer.text(entry->first).text(entry->second);
}

void write_wasm(CborWriter& writer, const WasmJob& job) {
  writer.map(9).uint(0);
  write_reference(writer, job.module);
  writer.uint(1).text(job.entry);
  writer.uint(2).array(job.args.size());
  for (const std::string& arg : job.args) writer.text(arg);
  writer.uint(3);
  write_env(writer, job.env);
  writer.uint(4);
  write_commitment_or_null(writer, job.stdin_commitment);
  writer.uint(5).map(4);
  writer.uint(0).uint(job.limits.fuel).uint(1).uint(job.limits.memory_bytes);
  writer.uint(2).uint(job.limits.table_elements).uint(3).uint(job.limits.output_bytes);
  writer.uint(6).text(profile_name(job.profile));
  writer.uint(7).uint(job.clock_start_ns).uint(8).bytes(job.random_seed);
}

void write_sampling(CborWriter& writer, const Sampling& sampling) {
  const std::optional<std::int64_t>* const options[] = {&sampling.temperature_ppm,
                                                        &sampling.top_p_ppm,
                                                        &sampling.min_p_ppm,
                                                        &sampling.typical_p_ppm,
                                                        &sampling.repeat_penalty_ppm,
                                                        &sampling.presence_penalty_ppm,
                                                        &sampling.frequency_penalty_ppm,
                                                        &sampling.top_k,
                                                        &sampling.repeat_last_n};
  const auto present = std::ranges::count_if(options, [](const auto* o) { return o->has_value(); });
  writer.map(1 + static_cast<std::uint64_t>(present)).uint(0).uint(sampling.seed);
  std::uint64_t key = 1;
  for (const auto* option : options) {
    if (*option) writer.uint(key).integer(**option);
    ++key;
  }
}

void write_inference(CborWriter& writer, const InferenceJob& job) {
  writer.map(job.grammar ? 8 : 7);
  writer.uint(0).map(2).uint(0).bytes(job.model.bytes()).uint(1).text(job.model_name);
  writer.uint(1).uint(static_cast<std::uint64_t>(job.prompt_kind)).uint(2);
  write_commitment_or_null(writer, job.prompt);
  writer.uint(3);
  write_sampling(writer, job.sampling);
  writer.uint(4).uint(job.tokens_max).uint(5).uint(job.context_tokens);
  writer.uint(6).array(job.stop.size());
  for (const std::string& stop : job.stop) writer.text(stop);
  if (job.grammar) {
    writer.uint(7);
    write_commitment(writer, *job.grammar);
  }
}

}  // namespace

void write_commitment(CborWriter& writer, const Commitment& commitment) {
  writer.map(2).uint(0).bytes(commitment.sha256.bytes()).uint(1).uint(commitment.length);
}

void write_summary(CborWriter& writer, const OutputSummary& summary) {
  writer.map(3).uint(0).bytes(summary.commitment.bytes());
  writer.uint(1).uint(summary.length).uint(2).uint(summary.segments);
}

Bytes encode(const Job& job) {
  CborWriter writer;
  writer.map(2).uint(0);
  if (const auto* wasm = std::get_if<WasmJob>(&job)) {
    writer.uint(kKindWasm).uint(1);
    write_wasm(writer, *wasm);
  } else {
    writer.uint(kKindInference).uint(1);
    write_inference(writer, std::get<InferenceJob>(job));
  }
  return writer.take();
}

}  // namespace phase::job
