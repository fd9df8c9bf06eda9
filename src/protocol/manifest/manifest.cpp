#include "protocol/manifest/manifest.h"

#include "base/check.h"
#include "protocol/job/document_internal.h"

namespace phase::manifest {
namespace {

constexpr std::uint64_t kVersion = 2;

constexpr std::array<std::string_view, 6> kLevels{"signature",  "audit",   "redundancy",
                                                  "re-execute", "dispute", "proof"};

constexpr std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

void write_requirements(CborWriter& writer, const Requirements& need) {
  const std::optional<std::uint64_t>* const numbers[] = {&need.cpu_cores, &need.memory_bytes};
  const std::optional<std::string>* const texts[] = {&need.arch, &need.runtime, &need.region};
  std::uint64_t count = 0;
  for (const auto* number : numbers) count += number->has_value() ? 1 : 0;
  for (const auto* text : texts) count += text->has_value() ? 1 : 0;
  writer.map(count);
  std::uint64_t key = 0;
  for (const auto* number : numbers) {
    if (*number) writer.uint(key).uint(**number);
    ++key;
  }
  for (const auto* text : texts) {
    if (*text) writer.uint(key).text(**text);
    ++key;
  }
}

Result<Requirements> read_requirements(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Requirements need;
  const auto number = [](CborReader& r) { return r.uint(); };
  const auto text = [](CborReader& r) { return job::read_text(r, 0, job::kTextBytesMax); };
  PHASE_TRY_VOID(job::optional_at(map, reader, 0, need.cpu_cores, number));
  PHASE_TRY_VOID(job::optional_at(map, reader, 1, need.memory_bytes, number));
  PHASE_TRY_VOID(job::optional_at(map, reader, 2, need.arch, text));
  PHASE_TRY_VOID(job::optional_at(map, reader, 3, need.runtime, text));
  PHASE_TRY_VOID(job::optional_at(map, reader, 4, need.region, text));
  PHASE_TRY_VOID(map.close());
  return need;
}

Result<std::optional<identity::PublicKey>> read_audience(CborReader& reader) {
  if (reader.peek() == CborType::null) {
    PHASE_TRY_VOID(reader.null());
    return std::nullopt;
  }
  PHASE_TRY(const auto key, job::read_array<32>(reader));
  return identity::PublicKey{key};
}

Result<Level> read_level(CborReader& reader) {
  PHASE_TRY(const std::string_view name, reader.text());
  Result<Level> level = level_from_name(name);
  if (!level) return fail(Code::malformed, level.error().message);
  return level;
}

/// expires > created, and not too far. In this order no sum can overflow.
Result<void> check_lifetime(const Manifest& manifest, Code code) {
  if (manifest.expires <= manifest.created) {
    return fail(code, "the manifest expires before it was created");
  }
  if (manifest.expires.unix_ms - manifest.created.unix_ms > milliseconds(kLifetimeMax)) {
    return fail(code, "a manifest lives at most " + std::to_string(milliseconds(kLifetimeMax)) +
                          " ms, not " +
                          std::to_string(manifest.expires.unix_ms - manifest.created.unix_ms));
  }
  return {};
}

}  // namespace

std::string_view level_name(Level level) noexcept {
  PHASE_CHECK(static_cast<std::size_t>(level) < kLevels.size());
  return kLevels[static_cast<std::size_t>(level)];
}

Result<Level> level_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == name) return static_cast<Level>(i);
  }
  return fail(Code::invalid_argument, "no level '" + printable(name, 64) + "'",
              "levels: signature, audit, redundancy, re-execute, dispute, proof");
}

Bytes encode_payload(const Manifest& manifest) {
  CborWriter writer;
  writer.map(manifest.price_ceiling ? 10 : 9).uint(0).uint(kVersion);
  writer.uint(1).raw(job::encode(manifest.job)).uint(2);
  write_requirements(writer, manifest.requirements);
  writer.uint(3).uint(manifest.wall_limit_ms).uint(4);
  if (manifest.audience) {
    writer.bytes(manifest.audience->bytes());
  } else {
    writer.null();
  }
  writer.uint(5).uint(manifest.created.unix_ms).uint(6).uint(manifest.expires.unix_ms);
  writer.uint(7).bytes(manifest.nonce).uint(8).text(level_name(manifest.level));
  if (manifest.price_ceiling) writer.uint(9).uint(*manifest.price_ceiling);
  return writer.take();
}

Result<Manifest> decode_payload(ByteView payload) {
  CborReader reader(payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t version, job::uint_at(map, 0));
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "manifest version " + std::to_string(version) + " is not known");
  }
  Manifest out;
  PHASE_TRY(const ByteView job_bytes,
            map.required(1).and_then([](CborReader* r) { return r->skip(); }));
  PHASE_TRY(out.job, job::decode(job_bytes));
  PHASE_TRY(out.requirements,
            map.required(2).and_then([](CborReader* r) { return read_requirements(*r); }));
  PHASE_TRY(out.wall_limit_ms, job::uint_at(map, 3));
  if (out.wall_limit_ms < 1 || out.wall_limit_ms > kWallLimitMsMax) {
    return job::wrong(reader, "the wall limit is 1 to " + std::to_string(kWallLimitMsMax) + " ms");
  }
  PHASE_TRY(out.audience,
            map.required(4).and_then([](CborReader* r) { return read_audience(*r); }));
  PHASE_TRY(out.created.unix_ms, job::uint_at(map, 5));
  PHASE_TRY(out.expires.unix_ms, job::uint_at(map, 6));
  PHASE_TRY_VOID(check_lifetime(out, Code::malformed));
  PHASE_TRY(out.nonce, job::array_at<16>(map, 7));
  PHASE_TRY(out.level, map.required(8).and_then([](CborReader* r) { return read_level(*r); }));
  PHASE_TRY_VOID(
      job::optional_at(map, reader, 9, out.price_ceiling, [](CborReader& r) { return r.uint(); }));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return out;
}

Result<void> check(const Manifest& manifest) {
  Result<Manifest> same = decode_payload(encode_payload(manifest));
  if (!same) return fail(std::move(same).error());
  return {};
}

SignedManifest sign(const Manifest& manifest, const identity::KeyPair& key) {
  Bytes envelope = identity::seal(identity::Domain::manifest, encode_payload(manifest), key);
  const Result<Sha256> hash = identity::signed_hash(identity::Domain::manifest, envelope);
  // Too large to be opened by anybody: then the id is never asked for (check() says so before).
  const JobId id{hash ? hash->value : Sha256{}.value};
  return {manifest, key.public_key(), id, std::move(envelope)};
}

Result<SignedManifest> open(ByteView envelope) {
  PHASE_TRY(identity::OpenedEnvelope opened, identity::open(identity::Domain::manifest, envelope));
  PHASE_TRY(Manifest manifest, decode_payload(opened.payload));
  return SignedManifest{std::move(manifest), opened.signer, JobId{opened.signed_hash.value},
                        to_bytes(envelope)};
}

Result<void> check_time(const Manifest& manifest, UtcTime now) {
  PHASE_TRY_VOID(check_lifetime(manifest, Code::invalid_argument));
  if (manifest.created > now &&
      manifest.created.unix_ms - now.unix_ms > milliseconds(kClockSkewMax)) {
    return fail(Code::invalid_argument, "the manifest was created in the future",
                "the clocks of requester and provider differ by more than two minutes");
  }
  if (now >= manifest.expires) return fail(Code::expired, "the manifest has expired");
  return {};
}

}  // namespace phase::manifest
