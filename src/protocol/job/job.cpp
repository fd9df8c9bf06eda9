#include "protocol/job/job.h"

#include "base/check.h"
#include "protocol/job/document_internal.h"

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

Result<Profile> profile_from_name(std::string_view name) {
  for (const Profile profile : {Profile::fast, Profile::det_1}) {
    if (name == profile_name(profile)) return profile;
  }
  return fail(Code::version_unknown, "no profile '" + printable(name, 64) + "' is known");
}

bool complete(const Job& job) {
  if (const auto* wasm = std::get_if<WasmJob>(&job)) return wasm->stdin_commitment.has_value();
  return std::get<InferenceJob>(job).prompt.has_value();
}

ExecutionId execution_id(const Job& job) {
  PHASE_CHECK(complete(job));
  return {sha256(encode(job)).value};
}

Sha256 salted(const Salt& salt, ByteView hash) {
  return Sha256Stream().update(salt).update(hash).finish();
}

Result<void> check(const Job& job) {
  Result<Job> same = decode(encode(job));
  if (!same) return fail(std::move(same).error());
  return {};
}

}  // namespace phase::job
