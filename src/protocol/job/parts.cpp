#include "protocol/job/parts.h"

namespace phase::job {

void write(CborWriter& out, const Commitment& commitment) {
  out.map(2).uint(0).bytes(commitment.sha256.bytes()).uint(1).uint(commitment.length);
}

void write(CborWriter& out, const ArtifactRef& reference) {
  out.map(3).uint(0).bytes(reference.id.bytes()).uint(1).bytes(reference.sha256.bytes());
  out.uint(2).uint(reference.length);
}

void write(CborWriter& out, const OutputSummary& summary) {
  out.map(3).uint(0).bytes(summary.commitment.bytes()).uint(1).uint(summary.length);
  out.uint(2).uint(summary.segments);
}

Result<Commitment> read_commitment(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  Commitment out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.sha256, read_hash<Sha256>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.length, at->uint());
  PHASE_TRY_VOID(map.close());
  return out;
}

Result<ArtifactRef> read_reference(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  ArtifactRef out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.id, read_hash<ArtifactId>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.sha256, read_hash<Sha256>(*at));
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.length, at->uint());
  PHASE_TRY_VOID(map.close());
  return out;
}

Result<OutputSummary> read_summary(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  OutputSummary out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.commitment, read_hash<OutputCommitment>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.length, at->uint());
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.segments, at->uint());
  PHASE_TRY_VOID(map.close());
  return out;
}

Result<std::string> read_text(CborReader& in, std::size_t bytes_max) {
  PHASE_TRY(const std::string_view text, in.text());
  if (text.size() > bytes_max) {
    return fail(Code::too_large, "text above " + std::to_string(bytes_max) + " bytes");
  }
  if (text.find('\0') != std::string_view::npos) return fail(Code::malformed, "text holds a NUL");
  return std::string(text);
}

Result<Profile> profile_from_name(std::string_view name) {
  for (const Profile profile : {Profile::fast, Profile::det_1}) {
    if (profile_name(profile) == name) return profile;
  }
  return fail(Code::version_unknown, "unknown profile '" + printable(name, 32) + "'",
              "known profiles: fast, det-1");
}

}  // namespace phase::job
