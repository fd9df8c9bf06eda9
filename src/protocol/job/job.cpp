#include "protocol/job/job.h"

#include <algorithm>

#include "base/check.h"
#include "protocol/job/codec_internal.h"
#include "protocol/job/parts.h"

namespace phase::job {

Commitment commit(ByteView bytes) {
  return {sha256(bytes), bytes.size()};
}

ArtifactRef reference(ByteView bytes) {
  return {artifact_id(bytes), sha256(bytes), bytes.size()};
}

std::string_view profile_name(Profile profile) noexcept {
  return profile == Profile::fast ? "fast" : "det-1";
}

Bytes encode(const Job& job) {
  CborWriter out;
  out.map(2).uint(0).uint(job.index()).uint(1);
  std::visit([&out](const auto& body) { write_body(out, body); }, job);
  return out.take();
}

Result<Job> decode(ByteView bytes) {
  if (bytes.size() > kJobBytesMax) {
    return fail(Code::too_large, "job above " + std::to_string(kJobBytesMax) + " bytes");
  }
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t kind, at->uint());
  PHASE_TRY(at, map.required(1));
  Job job;
  if (kind == 0) {
    PHASE_TRY(job, read_wasm(*at));
  } else if (kind == 1) {
    PHASE_TRY(job, read_inference(*at));
  } else {
    return fail(Code::version_unknown, "unknown job kind " + std::to_string(kind));
  }
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return job;
}

namespace {

const InferenceJob& inference(const Job& job) noexcept {
  return *std::get_if<InferenceJob>(&job);
}

}  // namespace

const ArtifactRef* module_of(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return wasm != nullptr ? &wasm->module : nullptr;
}

const std::optional<Commitment>& input_of(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return wasm != nullptr ? wasm->stdin_commitment : inference(job).prompt;
}

Job with_input(Job job, const Commitment& input) {
  if (auto* wasm = std::get_if<WasmJob>(&job)) {
    wasm->stdin_commitment = input;
  } else {
    std::get<InferenceJob>(job).prompt = input;
  }
  return job;
}

std::uint64_t input_bytes_max(const Job& job) noexcept {
  return std::holds_alternative<WasmJob>(job) ? kStdinBytesMax : kPromptBytesMax;
}

std::uint64_t output_bytes_max(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return wasm != nullptr ? wasm->limits.output_bytes : kInferenceOutputBytesMax;
}

Profile profile_of(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return wasm != nullptr ? wasm->profile : Profile::fast;
}

Sha256 subject_id(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return Sha256{wasm != nullptr ? wasm->module.id.value : inference(job).model.value};
}

Sha256 subject_sha256(const Job& job) noexcept {
  const auto* wasm = std::get_if<WasmJob>(&job);
  return wasm != nullptr ? wasm->module.sha256 : Sha256{};
}

std::string_view kind_name(const Job& job) noexcept {
  return std::holds_alternative<WasmJob>(job) ? "wasm" : "inference";
}

bool complete(const Job& job) {
  return input_of(job).has_value();
}

ExecutionId execution_id(const Job& job) {
  PHASE_CHECK(complete(job));
  return ExecutionId{sha256(encode(job)).value};
}

Sha256 salted(const Salt& salt, ByteView hash) {
  return Sha256Stream().update(salt).update(hash).finish();
}

Result<void> check(const Job& job) {
  const Result<Job> same = decode(encode(job));
  if (!same) return fail(same.error());
  return {};
}

}  // namespace phase::job
