#include "basics.h"
#include "describe.h"

namespace phase::vectors {
namespace {

using identity::Domain;

json::object good(std::string_view name, const manifest::Manifest& value,
                  const identity::KeyPair& key) {
  const manifest::SignedManifest signed_manifest = manifest::sign(value, key);
  return {{"name", name},
          {"seed", to_hex(key.seed())},
          {"envelope", to_hex(signed_manifest.envelope)},
          {"payload", to_hex(manifest::encode_payload(value))},
          {"requester", key.public_key().hex()},
          {"job_id", signed_manifest.id.hex()},
          {"value", describe(value)},
          {"error", nullptr}};
}

class BadManifests {
 public:
  json::array take() { return std::move(cases_); }
  void add(std::string_view name, const Bytes& envelope, Code code) {
    cases_.push_back(
        json::object{{"name", name}, {"envelope", to_hex(envelope)}, {"error", code_name(code)}});
  }
  /// Properly signed, with keys of the payload changed.
  void changed(std::string_view name, const std::map<std::uint64_t, Bytes>& changes,
               Code code = Code::malformed) {
    add(name, identity::seal(Domain::manifest, patched(payload_, changes), requester()), code);
  }
  [[nodiscard]] const Bytes& payload() const { return payload_; }

 private:
  Bytes payload_ = manifest::encode_payload(sample_manifest());
  json::array cases_;
};

void add_forms(BadManifests& bad) {
  bad.changed("version 1", {{0, uint_item(1)}}, Code::version_unknown);
  bad.changed("version 3", {{0, uint_item(3)}}, Code::version_unknown);
  for (std::uint64_t key = 0; key <= 8; ++key) {
    bad.changed("no key " + std::to_string(key), {{key, {}}});
  }
  bad.changed("an unknown key", {{10, uint_item(0)}});
  const Bytes job = value_at(bad.payload(), 1);
  bad.changed("a job of kind 2", {{1, patched(job, {{0, uint_item(2)}})}}, Code::version_unknown);
  bad.changed(
      "a job with fuel 0",
      {{1, patched(job, {{1, patched(value_at(job, 1), {{5, patched(value_at(value_at(job, 1), 5),
                                                                    {{0, uint_item(0)}})}})}})}});
  bad.changed("an unknown requirement", {{2, from_hex("a10500").value()}});
  bad.changed("a requirement of the wrong type", {{2, from_hex("a1006131").value()}});
  bad.changed("wall limit 0", {{3, uint_item(0)}});
  bad.changed("wall limit above an hour", {{3, uint_item(3'600'001)}});
  bad.changed("audience of 31 bytes", {{4, bytes_item(Bytes(31))}});
  bad.changed("nonce of 15 bytes", {{7, bytes_item(Bytes(15))}});
  bad.changed("price ceiling null", {{9, {0xF6}}});
}

void add_times_and_envelopes(BadManifests& bad) {
  const std::uint64_t created = sample_manifest().created.unix_ms;
  bad.changed("expires as it is created", {{6, uint_item(created)}});
  bad.changed("expires before it is created", {{6, uint_item(created - 1)}});
  bad.changed("lives longer than an hour", {{6, uint_item(created + 3'600'001)}});
  bad.add("a bit of the signature turned",
          last_bit_flipped(manifest::sign(sample_manifest(), requester()).envelope),
          Code::verification_failed);
  bad.add("sealed as a receipt", identity::seal(Domain::receipt, bad.payload(), requester()),
          Code::malformed);
  Bytes behind = bad.payload();
  behind.push_back(0);
  bad.add("payload with a byte behind", identity::seal(Domain::manifest, behind, requester()),
          Code::malformed);
  bad.add("empty payload", identity::seal(Domain::manifest, {}, requester()), Code::malformed);
}

/// Whether a provider takes the sample manifest at a moment (spec/manifest.md, Time and replays).
json::array times() {
  const manifest::Manifest value = sample_manifest();
  json::array out;
  for (const std::int64_t offset : {-120'001, -120'000, 0, 599'999, 600'000}) {
    const UtcTime now{
        static_cast<std::uint64_t>(static_cast<std::int64_t>(value.created.unix_ms) + offset)};
    out.push_back(
        json::object{{"now", now.unix_ms}, {"error", error_of(manifest::check_time(value, now))}});
  }
  return out;
}

}  // namespace

json::value manifest_vectors() {
  json::array cases;
  json::object first = good("manifest for one provider", sample_manifest(), requester());
  first["times"] = times();
  cases.push_back(std::move(first));
  manifest::Manifest anyone = sample_manifest();
  anyone.audience.reset();
  std::get<job::WasmJob>(anyone.job).stdin_commitment.reset();
  anyone.requirements = {};
  anyone.level = manifest::Level::redundancy;
  anyone.price_ceiling = 0;
  cases.push_back(good("streamed stdin, any provider, redundancy, free", anyone, stranger()));
  manifest::Manifest inference = sample_manifest();
  inference.job = sample_inference();
  inference.requirements.cpu_cores = 4;
  inference.requirements.memory_bytes = 8ULL << 30U;
  inference.requirements.region = "eu";
  inference.level = manifest::Level::re_execute;
  inference.wall_limit_ms = manifest::kWallLimitMsMax;
  inference.expires = {inference.created.unix_ms + 3'600'000};
  cases.push_back(good("inference job, every requirement, longest life", inference, requester()));
  BadManifests bad;
  add_forms(bad);
  add_times_and_envelopes(bad);
  for (json::value& c : bad.take()) cases.push_back(std::move(c));
  return file("manifest", "spec/manifest.md", std::move(cases));
}

}  // namespace phase::vectors
