#include "protocol/job/document_internal.h"

namespace phase::job {
namespace {

Result<ArtifactRef> read_module(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  ArtifactRef ref;
  PHASE_TRY(ref.id, hash_at<ArtifactId>(map, 0));
  PHASE_TRY(ref.sha256, hash_at<Sha256>(map, 1));
  PHASE_TRY(ref.length, uint_at(map, 2));
  PHASE_TRY_VOID(map.close());
  if (ref.length == 0) return wrong(reader, "a module has at least one byte");
  if (ref.length > kModuleBytesMax) {
    return too_large(reader, "a module has at most " + std::to_string(kModuleBytesMax) + " bytes");
  }
  return ref;
}

/// A commitment to at most `length_max` bytes, or null.
Result<std::optional<Commitment>> read_input(CborReader& reader, std::uint64_t length_max) {
  if (reader.peek() == CborType::null) {
    PHASE_TRY_VOID(reader.null());
    return std::nullopt;
  }
  PHASE_TRY(const Commitment input, read_commitment(reader));
  if (input.length > length_max) {
    return too_large(reader, "the input has at most " + std::to_string(length_max) + " bytes");
  }
  return input;
}

/// Text that a C string can hold.
Result<std::string> read_word(CborReader& reader) {
  PHASE_TRY(std::string text, read_text(reader, 0, kTextBytesMax));
  if (text.find('\0') != std::string::npos) return wrong(reader, "text of a job holds a NUL");
  return text;
}

Result<std::vector<std::string>> read_args(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kArgsMax) return too_large(reader, "at most " + std::to_string(kArgsMax) + " args");
  std::vector<std::string> args;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string arg, read_word(reader));
    args.push_back(std::move(arg));
  }
  return args;
}

Result<std::map<std::string, std::string>> read_env(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.map());
  if (count > kEnvMax) return too_large(reader, "at most " + std::to_string(kEnvMax) + " env");
  std::map<std::string, std::string> env;
  std::optional<std::string> last;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string name, read_word(reader));
    if (name.empty() || name.find('=') != std::string::npos) {
      return wrong(reader, "an env name is empty or holds '='");
    }
    if (last && !text_key_less(*last, name)) {
      return wrong(reader, "env names are not in ascending order");
    }
    PHASE_TRY(std::string value, read_word(reader));
    last = name;
    env.emplace(std::move(name), std::move(value));
  }
  return env;
}

Result<WasmLimits> read_limits(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  WasmLimits limits;
  PHASE_TRY(limits.fuel, uint_at(map, 0));
  PHASE_TRY(limits.memory_bytes, uint_at(map, 1));
  PHASE_TRY(limits.table_elements, uint_at(map, 2));
  PHASE_TRY(limits.output_bytes, uint_at(map, 3));
  PHASE_TRY_VOID(map.close());
  if (limits.fuel == 0) return wrong(reader, "fuel is at least 1");
  if (limits.memory_bytes > kMemoryBytesMax) {
    return too_large(reader, "memory is at most 2^32 bytes");
  }
  return limits;
}

Result<WasmJob> read_wasm(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  WasmJob job;
  PHASE_TRY(job.module, map.required(0).and_then([](CborReader* r) { return read_module(*r); }));
  PHASE_TRY(job.entry, text_at(map, 1, 1, kTextBytesMax));
  PHASE_TRY(job.args, map.required(2).and_then([](CborReader* r) { return read_args(*r); }));
  PHASE_TRY(job.env, map.required(3).and_then([](CborReader* r) { return read_env(*r); }));
  PHASE_TRY(job.stdin_commitment,
            map.required(4).and_then([](CborReader* r) { return read_input(*r, kStdinBytesMax); }));
  PHASE_TRY(job.limits, map.required(5).and_then([](CborReader* r) { return read_limits(*r); }));
  PHASE_TRY(const std::string profile, text_at(map, 6, 0, kTextBytesMax));
  PHASE_TRY(job.profile, profile_from_name(profile));
  PHASE_TRY(job.clock_start_ns, uint_at(map, 7));
  PHASE_TRY(job.random_seed, array_at<32>(map, 8));
  PHASE_TRY_VOID(map.close());
  return job;
}

Result<Sampling> read_sampling(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Sampling sampling;
  PHASE_TRY(sampling.seed, uint_at(map, 0));
  std::optional<std::int64_t>* const options[] = {&sampling.temperature_ppm,
                                                  &sampling.top_p_ppm,
                                                  &sampling.min_p_ppm,
                                                  &sampling.typical_p_ppm,
                                                  &sampling.repeat_penalty_ppm,
                                                  &sampling.presence_penalty_ppm,
                                                  &sampling.frequency_penalty_ppm,
                                                  &sampling.top_k,
                                                  &sampling.repeat_last_n};
  std::uint64_t key = 1;
  for (auto* option : options) {
    PHASE_TRY_VOID(
        optional_at(map, reader, key++, *option, [](CborReader& r) { return r.integer(); }));
  }
  PHASE_TRY_VOID(map.close());
  return sampling;
}

Result<std::vector<std::string>> read_stop(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kStopMax) return too_large(reader, "at most " + std::to_string(kStopMax) + " stops");
  std::vector<std::string> stop;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string text, read_text(reader, 0, kTextBytesMax));
    stop.push_back(std::move(text));
  }
  return stop;
}

Result<void> read_model(CborReader& reader, InferenceJob& job) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(job.model, hash_at<ArtifactId>(map, 0));
  PHASE_TRY(job.model_name, text_at(map, 1, 0, kTextBytesMax));
  return map.close();
}

Result<PromptKind> prompt_kind_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(const std::uint64_t kind, uint_at(map, key));
  if (kind > 1) return fail(Code::malformed, "the prompt kind is 0 or 1");
  return static_cast<PromptKind>(kind);
}

Result<InferenceJob> read_inference(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  InferenceJob job;
  PHASE_TRY_VOID(map.required(0).and_then([&](CborReader* r) { return read_model(*r, job); }));
  PHASE_TRY(job.prompt_kind, prompt_kind_at(map, 1));
  PHASE_TRY(job.prompt, map.required(2).and_then(
                            [](CborReader* r) { return read_input(*r, kPromptBytesMax); }));
  PHASE_TRY(job.sampling,
            map.required(3).and_then([](CborReader* r) { return read_sampling(*r); }));
  PHASE_TRY(job.tokens_max, uint_at(map, 4));
  if (job.tokens_max == 0) return wrong(reader, "tokens max is at least 1");
  PHASE_TRY(job.context_tokens, uint_at(map, 5));
  PHASE_TRY(job.stop, map.required(6).and_then([](CborReader* r) { return read_stop(*r); }));
  PHASE_TRY_VOID(optional_at(map, reader, 7, job.grammar, read_commitment));
  PHASE_TRY_VOID(map.close());
  if (job.grammar && job.grammar->length > kPromptBytesMax) {
    return too_large(reader, "a grammar has at most " + std::to_string(kPromptBytesMax) + " bytes");
  }
  return job;
}

}  // namespace

Result<std::uint64_t> uint_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(CborReader * reader, map.required(key));
  return reader->uint();
}

Result<std::string> read_text(CborReader& reader, std::size_t least, std::size_t most) {
  PHASE_TRY(const std::string_view text, reader.text());
  if (text.size() < least) return wrong(reader, "text is empty");
  if (text.size() > most) {
    return too_large(reader, "text has at most " + std::to_string(most) + " bytes");
  }
  return std::string(text);
}

Result<std::string> text_at(CborMap& map, std::uint64_t key, std::size_t least, std::size_t most) {
  PHASE_TRY(CborReader * reader, map.required(key));
  return read_text(*reader, least, most);
}

Result<Commitment> read_commitment(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Commitment commitment;
  PHASE_TRY(commitment.sha256, hash_at<Sha256>(map, 0));
  PHASE_TRY(commitment.length, uint_at(map, 1));
  PHASE_TRY_VOID(map.close());
  return commitment;
}

Result<OutputSummary> read_summary(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  OutputSummary summary;
  PHASE_TRY(summary.commitment, hash_at<OutputCommitment>(map, 0));
  PHASE_TRY(summary.length, uint_at(map, 1));
  PHASE_TRY(summary.segments, uint_at(map, 2));
  PHASE_TRY_VOID(map.close());
  return summary;
}

Result<Job> decode(ByteView bytes) {
  if (bytes.size() > kJobBytesMax) {
    return fail(Code::too_large, "a job has at most " + std::to_string(kJobBytesMax) +
                                     " bytes, not " + std::to_string(bytes.size()));
  }
  CborReader reader(bytes);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t kind, uint_at(map, 0));
  PHASE_TRY_VOID(map.required(1).map([](CborReader*) {}));
  Job job;
  if (kind == 0) {
    PHASE_TRY(job, read_wasm(reader));
  } else if (kind == 1) {
    PHASE_TRY(job, read_inference(reader));
  } else {
    return fail(Code::version_unknown, "no job kind " + std::to_string(kind) + " is known");
  }
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return job;
}

}  // namespace phase::job
