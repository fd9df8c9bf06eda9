#include "protocol/job/document_internal.h"
#include "protocol/offer/frame.h"

namespace phase::offer {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kWordBytesMax = 64;   // arch, kind, isolation layer
constexpr std::size_t kNameBytesMax = 256;  // agent, runtime, region
constexpr std::size_t kWordsMax = 16;       // kinds, isolation layers
constexpr std::size_t kModelsMax = 256;

constexpr std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

void write_words(CborWriter& writer, const std::vector<std::string>& words) {
  writer.array(words.size());
  for (const std::string& word : words) writer.text(word);
}

Result<std::vector<std::string>> read_words(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kWordsMax) return job::too_large(reader, "too many words");
  std::vector<std::string> words;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string word, job::read_text(reader, 1, kWordBytesMax));
    words.push_back(std::move(word));
  }
  return words;
}

Result<std::vector<Sha256>> read_models(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kModelsMax) return job::too_large(reader, "too many models");
  std::vector<Sha256> models;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(const auto id, job::read_array<32>(reader));
    models.push_back(Sha256{id});
  }
  return models;
}

Bytes encode_payload(const Capabilities& node) {
  CborWriter writer;
  writer.map(node.region ? 15 : 14).uint(0).uint(kVersion);
  writer.uint(1).uint(node.created.unix_ms).uint(2).uint(node.expires.unix_ms);
  writer.uint(3).text(node.agent).uint(4).text(node.arch);
  writer.uint(5).uint(node.cpu_cores).uint(6).uint(node.memory_bytes).uint(7);
  write_words(writer, node.kinds);
  writer.uint(8).text(node.runtime);
  if (node.region) writer.uint(9).text(*node.region);
  writer.uint(10).array(node.models.size());
  for (const Sha256& model : node.models) writer.bytes(model.bytes());
  writer.uint(11).uint(node.jobs_running).uint(12).uint(node.jobs_max).uint(13);
  write_words(writer, node.isolation);
  writer.uint(14).boolean(node.open);
  return writer.take();
}

/// Keys 1 and 2. Errors: Code::malformed for a lifetime that is none, or too long.
Result<void> read_lifetime(CborMap& map, Capabilities& out) {
  PHASE_TRY(out.created.unix_ms, job::uint_at(map, 1));
  PHASE_TRY(out.expires.unix_ms, job::uint_at(map, 2));
  if (out.expires <= out.created ||
      out.expires.unix_ms - out.created.unix_ms > milliseconds(kCapabilitiesLifetime)) {
    return fail(Code::malformed, "a node document lives 1 to " +
                                     std::to_string(milliseconds(kCapabilitiesLifetime)) + " ms");
  }
  return {};
}

Result<void> read_what_runs(CborMap& map, CborReader& reader, Capabilities& out) {
  PHASE_TRY(out.agent, job::text_at(map, 3, 0, kNameBytesMax));
  PHASE_TRY(out.arch, job::text_at(map, 4, 1, kWordBytesMax));
  PHASE_TRY(out.cpu_cores, job::uint_at(map, 5));
  PHASE_TRY(out.memory_bytes, job::uint_at(map, 6));
  PHASE_TRY(out.kinds, map.required(7).and_then([](CborReader* r) { return read_words(*r); }));
  PHASE_TRY(out.runtime, job::text_at(map, 8, 0, kNameBytesMax));
  PHASE_TRY_VOID(job::optional_at(map, reader, 9, out.region, [](CborReader& r) {
    return job::read_text(r, 0, kNameBytesMax);
  }));
  PHASE_TRY(out.models, map.required(10).and_then([](CborReader* r) { return read_models(*r); }));
  return {};
}

Result<Capabilities> decode_payload(ByteView payload) {
  CborReader reader(payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t version, job::uint_at(map, 0));
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "node document version " + std::to_string(version) + " is not known");
  }
  Capabilities out;
  PHASE_TRY_VOID(read_lifetime(map, out));
  PHASE_TRY_VOID(read_what_runs(map, reader, out));
  PHASE_TRY(out.jobs_running, job::uint_at(map, 11));
  PHASE_TRY(out.jobs_max, job::uint_at(map, 12));
  PHASE_TRY(out.isolation, map.required(13).and_then([](CborReader* r) { return read_words(*r); }));
  PHASE_TRY(out.open, map.required(14).and_then([](CborReader* r) { return r->boolean(); }));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return out;
}

}  // namespace

Bytes seal(const Capabilities& capabilities, const identity::KeyPair& key) {
  return identity::seal(identity::Domain::node, encode_payload(capabilities), key);
}

Result<Capabilities> open_capabilities(ByteView envelope, const identity::PublicKey& peer,
                                       UtcTime now) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::node, envelope));
  if (opened.signer != peer) {
    return fail(Code::verification_failed,
                "the node document of " + identity::PeerId::from(peer).text() + " is signed by " +
                    identity::PeerId::from(opened.signer).text());
  }
  PHASE_TRY(Capabilities node, decode_payload(opened.payload));
  if (now >= node.expires) return fail(Code::expired, "the node document has expired");
  if (node.created > now &&
      node.created.unix_ms - now.unix_ms > milliseconds(manifest::kClockSkewMax)) {
    return fail(Code::expired, "the node document is from the future",
                "the two nodes' clocks differ by more than two minutes");
  }
  return node;
}

}  // namespace phase::offer
