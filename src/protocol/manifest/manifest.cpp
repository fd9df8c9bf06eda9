#include "protocol/manifest/manifest.h"

#include <array>

#include "protocol/job/parts.h"

namespace phase::manifest {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::array<std::string_view, 6> kLevels{"signature",  "audit",   "redundancy",
                                                  "re-execute", "dispute", "proof"};

void write_requirements(CborWriter& out, const Requirements& needs) {
  const std::uint64_t count = (needs.cpu_cores ? 1U : 0U) + (needs.memory_bytes ? 1U : 0U) +
                              (needs.arch ? 1U : 0U) + (needs.runtime ? 1U : 0U) +
                              (needs.region ? 1U : 0U);
  out.map(count);
  if (needs.cpu_cores) out.uint(0).uint(*needs.cpu_cores);
  if (needs.memory_bytes) out.uint(1).uint(*needs.memory_bytes);
  if (needs.arch) out.uint(2).text(*needs.arch);
  if (needs.runtime) out.uint(3).text(*needs.runtime);
  if (needs.region) out.uint(4).text(*needs.region);
}

Result<Requirements> read_requirements(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  Requirements out;
  if (map.optional(0)) {
    PHASE_TRY(out.cpu_cores, in.uint());
  }
  if (map.optional(1)) {
    PHASE_TRY(out.memory_bytes, in.uint());
  }
  if (map.optional(2)) {
    PHASE_TRY(out.arch, job::read_text(in, kRequirementBytesMax));
  }
  if (map.optional(3)) {
    PHASE_TRY(out.runtime, job::read_text(in, kRequirementBytesMax));
  }
  if (map.optional(4)) {
    PHASE_TRY(out.region, job::read_text(in, kRequirementBytesMax));
  }
  PHASE_TRY_VOID(map.close());
  return out;
}

Result<job::Job> read_job(CborReader& in) {
  PHASE_TRY(const ByteView raw, in.skip());
  return job::decode(raw);
}

Result<void> read_head(CborMap& map, Manifest& out) {
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t version, at->uint());
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "manifest version " + std::to_string(version) + ", expected 2");
  }
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.job, read_job(*at));
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.requirements, read_requirements(*at));
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(out.wall_limit_ms, at->uint());
  if (out.wall_limit_ms == 0 || out.wall_limit_ms > kWallLimitMsMax) {
    return fail(Code::malformed,
                "wall limit is not in 1 ... " + std::to_string(kWallLimitMsMax) + " ms");
  }
  PHASE_TRY(at, map.required(4));
  if (at->peek() == CborType::null) return at->null();
  PHASE_TRY(out.audience, job::read_hash<identity::PublicKey>(*at));
  return {};
}

std::uint64_t milliseconds(Duration d) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

Result<void> check_lifetime(const Manifest& manifest, Code code) {
  if (manifest.expires <= manifest.created) {
    return fail(code, "manifest expires before it was created");
  }
  if (manifest.expires.unix_ms - manifest.created.unix_ms > milliseconds(kLifetimeMax)) {
    return fail(code, "manifest lives longer than 3600 s");
  }
  return {};
}

Result<void> read_tail(CborMap& map, CborReader& in, Manifest& out) {
  PHASE_TRY(CborReader * at, map.required(5));
  PHASE_TRY(out.created.unix_ms, at->uint());
  PHASE_TRY(at, map.required(6));
  PHASE_TRY(out.expires.unix_ms, at->uint());
  PHASE_TRY_VOID(check_lifetime(out, Code::malformed));
  PHASE_TRY(at, map.required(7));
  PHASE_TRY(out.nonce, job::read_array<16>(*at));
  PHASE_TRY(at, map.required(8));
  PHASE_TRY(const std::string_view level, at->text());
  PHASE_TRY(out.level, level_from_name(level));
  if (map.optional(9)) {
    PHASE_TRY(out.price_ceiling, in.uint());
  }
  return map.close();
}

}  // namespace

std::string_view level_name(Level level) noexcept {
  return kLevels[static_cast<std::size_t>(level)];
}

Result<Level> level_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == name) return static_cast<Level>(i);
  }
  return fail(Code::version_unknown, "unknown level '" + printable(name, 32) + "'",
              "levels: signature, audit, redundancy, re-execute, dispute, proof");
}

Bytes encode_payload(const Manifest& manifest) {
  CborWriter out;
  out.map(manifest.price_ceiling ? 10 : 9).uint(0).uint(kVersion);
  out.uint(1).raw(job::encode(manifest.job)).uint(2);
  write_requirements(out, manifest.requirements);
  out.uint(3).uint(manifest.wall_limit_ms).uint(4);
  if (manifest.audience) {
    out.bytes(manifest.audience->bytes());
  } else {
    out.null();
  }
  out.uint(5).uint(manifest.created.unix_ms).uint(6).uint(manifest.expires.unix_ms);
  out.uint(7).bytes(manifest.nonce).uint(8).text(level_name(manifest.level));
  if (manifest.price_ceiling) out.uint(9).uint(*manifest.price_ceiling);
  return out.take();
}

Result<Manifest> decode_payload(ByteView payload) {
  CborReader in(payload);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Manifest out;
  PHASE_TRY_VOID(read_head(map, out));
  PHASE_TRY_VOID(read_tail(map, in, out));
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<void> check(const Manifest& manifest) {
  const Result<Manifest> same = decode_payload(encode_payload(manifest));
  if (!same) return fail(same.error());
  return {};
}

SignedManifest sign(const Manifest& manifest, const identity::KeyPair& key) {
  Bytes envelope = identity::seal(identity::Domain::manifest, encode_payload(manifest), key);
  // No hash: too large for anybody to open (check() says so before). The id is then never asked
  // for.
  const auto hash = identity::signed_hash(identity::Domain::manifest, envelope);
  const JobId id{hash ? hash->value : Sha256{}.value};
  return {manifest, key.public_key(), id, std::move(envelope)};
}

Result<SignedManifest> open(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::manifest, envelope));
  PHASE_TRY(Manifest manifest, decode_payload(opened.payload));
  return SignedManifest{std::move(manifest), opened.signer, JobId{opened.signed_hash.value},
                        to_bytes(envelope)};
}

Result<void> check_time(const Manifest& manifest, UtcTime now) {
  const std::uint64_t created = manifest.created.unix_ms;
  PHASE_TRY_VOID(check_lifetime(manifest, Code::invalid_argument));
  const std::uint64_t skew = milliseconds(kClockSkewMax);
  if (created > now.unix_ms && created - now.unix_ms > skew) {
    return fail(Code::invalid_argument, "manifest was created more than 120 s in the future",
                "set the clocks of both machines");
  }
  if (now >= manifest.expires) return fail(Code::expired, "manifest has expired");
  return {};
}

}  // namespace phase::manifest
