// The node document (spec/discovery.md §2).
#include "base/cbor.h"
#include "protocol/job/parts.h"
#include "protocol/offer/frame.h"

namespace phase::offer {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kListMax = 64;
constexpr std::size_t kModelsMax = 512;
constexpr std::size_t kWordBytesMax = 128;
constexpr auto kLifetimeMs = static_cast<std::uint64_t>(
    std::chrono::duration_cast<std::chrono::milliseconds>(kCapabilitiesLifetime).count());

Bytes encode_payload(const Capabilities& c) {
  CborWriter out;
  const bool named = !c.model_names.empty();
  out.map(14 + (c.region ? 1 : 0) + (named ? 1 : 0))
      .uint(0)
      .uint(kVersion)
      .uint(1)
      .uint(c.created.unix_ms);
  out.uint(2).uint(c.expires.unix_ms).uint(3).text(c.agent).uint(4).text(c.arch);
  out.uint(5).uint(c.cpu_cores).uint(6).uint(c.memory_bytes).uint(7).array(c.kinds.size());
  for (const std::string& kind : c.kinds) out.text(kind);
  out.uint(8).text(c.runtime);
  if (c.region) out.uint(9).text(*c.region);
  out.uint(10).array(c.models.size());
  for (const Sha256& model : c.models) out.bytes(model.bytes());
  out.uint(11).uint(c.jobs_running).uint(12).uint(c.jobs_max).uint(13).array(c.isolation.size());
  for (const std::string& layer : c.isolation) out.text(layer);
  out.uint(14).boolean(c.open);
  if (named) {
    out.uint(15).array(c.model_names.size());
    for (const std::string& name : c.model_names) out.text(name);
  }
  return out.take();
}

Result<std::vector<std::string>> read_words(CborReader& in, std::size_t count_max = kListMax) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count > count_max) {
    return fail(Code::too_large, "more than " + std::to_string(count_max) + " words in a list");
  }
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string word, job::read_text(in, kWordBytesMax));
    out.push_back(std::move(word));
  }
  return out;
}

Result<std::vector<Sha256>> read_models(CborReader& in) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count > kModelsMax) return fail(Code::too_large, "more than 512 models");
  std::vector<Sha256> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(const Sha256 model, job::read_hash<Sha256>(in));
    out.push_back(model);
  }
  return out;
}

Result<void> read_machine(CborMap& map, Capabilities& out) {
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t version, at->uint());
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "node document version " + std::to_string(version) + ", expected 2");
  }
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.created.unix_ms, at->uint());
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.expires.unix_ms, at->uint());
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(out.agent, job::read_text(*at, kWordBytesMax));
  PHASE_TRY(at, map.required(4));
  PHASE_TRY(out.arch, job::read_text(*at, kWordBytesMax));
  PHASE_TRY(at, map.required(5));
  PHASE_TRY(out.cpu_cores, at->uint());
  PHASE_TRY(at, map.required(6));
  PHASE_TRY(out.memory_bytes, at->uint());
  return {};
}

Result<void> read_offerings(CborMap& map, CborReader& in, Capabilities& out) {
  PHASE_TRY(CborReader * at, map.required(7));
  PHASE_TRY(out.kinds, read_words(*at));
  PHASE_TRY(at, map.required(8));
  PHASE_TRY(out.runtime, job::read_text(*at, kWordBytesMax));
  if (map.optional(9)) {
    PHASE_TRY(out.region, job::read_text(in, kWordBytesMax));
  }
  PHASE_TRY(at, map.required(10));
  PHASE_TRY(out.models, read_models(*at));
  PHASE_TRY(at, map.required(11));
  PHASE_TRY(out.jobs_running, at->uint());
  PHASE_TRY(at, map.required(12));
  PHASE_TRY(out.jobs_max, at->uint());
  PHASE_TRY(at, map.required(13));
  PHASE_TRY(out.isolation, read_words(*at));
  PHASE_TRY(at, map.required(14));
  PHASE_TRY(out.open, at->boolean());
  if (map.optional(15)) {
    PHASE_TRY(out.model_names, read_words(in, kModelsMax));
    if (out.model_names.empty() || out.model_names.size() != out.models.size()) {
      return fail(Code::malformed, "a node document names each of its models or none");
    }
  }
  return map.close();
}

/// Lifetime rules of a node document at `now`.
Result<void> check_time(const Capabilities& c, UtcTime now) {
  if (c.expires <= c.created || c.expires.unix_ms - c.created.unix_ms > kLifetimeMs) {
    return fail(Code::malformed, "node document lives longer than 300 s");
  }
  if (now >= c.expires) return fail(Code::expired, "node document has expired");
  const auto skew = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(manifest::kClockSkewMax).count());
  if (c.created > now && c.created.unix_ms - now.unix_ms > skew) {
    return fail(Code::expired, "node document is from the future",
                "set the clocks of both machines");
  }
  return {};
}

}  // namespace

std::string native_arch() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#else
#error "name this architecture as uname -m does"
#endif
}

Capabilities native_capabilities(UtcTime now) {
  Capabilities out;
  out.created = now;
  out.expires.unix_ms = now.unix_ms + kLifetimeMs;
  out.arch = native_arch();
  return out;
}

Bytes seal(const Capabilities& capabilities, const identity::KeyPair& key) {
  return identity::seal(identity::Domain::node, encode_payload(capabilities), key);
}

Result<Capabilities> open_capabilities(ByteView envelope, const identity::PublicKey& peer,
                                       UtcTime now) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::node, envelope));
  if (opened.signer != peer) {
    return fail(Code::verification_failed,
                "node document is signed by another key than its sender's");
  }
  CborReader in(opened.payload);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Capabilities out;
  PHASE_TRY_VOID(read_machine(map, out));
  PHASE_TRY_VOID(read_offerings(map, in, out));
  PHASE_TRY_VOID(in.finish());
  PHASE_TRY_VOID(check_time(out, now));
  return out;
}

}  // namespace phase::offer
