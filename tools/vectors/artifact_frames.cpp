#include "artifact/name_record.h"
#include "basics.h"

namespace phase::vectors {
namespace {

using namespace artifact;  // NOLINT(google-build-using-namespace): the documents of this file

constexpr std::size_t kChunk = kArtifactChunkBytes;

/// Two chunks and a byte of 'a': long enough for proofs of one and of two hashes.
struct Sample {
  Bytes content = Bytes(2 * kChunk + 1, 'a');
  Tree tree{
      content.size(),
      {tree_leaf(Bytes(kChunk, 'a')), tree_leaf(Bytes(kChunk, 'a')), tree_leaf(Bytes(1, 'a'))}};
  job::ArtifactRef ref = job::reference(content);
};

json::object frame_case(std::string_view name, const Frame& frame) {
  return {{"name", name}, {"kind", "frame"}, {"bytes", to_hex(encode(frame))}, {"error", nullptr}};
}

json::object bad_case(std::string_view name, std::string_view hex, Code code) {
  return {{"name", name}, {"kind", "frame"}, {"bytes", hex}, {"error", code_name(code)}};
}

void add_frames(json::array& cases, const Sample& sample) {
  const ArtifactId id = sample.tree.id();
  cases.push_back(frame_case("ask", Ask{id, 2, 1}));
  cases.push_back(frame_case("ask how long it is", Ask{id, 0, 0}));
  cases.push_back(frame_case("held", Held{sample.content.size(), sample.ref.sha256, 1}));
  cases.push_back(frame_case("chunk", Chunk{2, sample.tree.proof(2), Bytes(1, 'a')}));
  cases.push_back(frame_case("not_here", NotHere{}));
  cases.push_back(frame_case("busy", Busy{1000}));
  cases.push_back(frame_case("names by name", Names{"tiny:latest", {}, {}}));
  cases.push_back(frame_case("names by digest", Names{"", sample.ref.sha256, {}}));
  cases.push_back(frame_case("names by id", Names{"", {}, id}));
  cases.push_back(frame_case("records of none", Records{}));
  cases.push_back(frame_case("end", End{}));
}

void add_bad_frames(json::array& cases) {
  const auto add = [&cases](std::string_view name, const Frame& frame, Code code) {
    cases.push_back(bad_case(name, to_hex(encode(frame)), code));
  };
  add("17 chunks asked for", Ask{{}, 0, 17}, Code::too_large);
  add("longer than 2^38", Held{kArtifactBytesMax + 1, {}, 0}, Code::too_large);
  add("a proof of 21 hashes", Chunk{0, Proof(21), Bytes(1)}, Code::too_large);
  add("an empty chunk", Chunk{0, {}, {}}, Code::malformed);
  add("an empty name", Names{"", {}, {}}, Code::malformed);
  add("come again after more than a minute", Busy{60'001}, Code::too_large);
  cases.push_back(bad_case("an unknown type", "0000000163", Code::malformed));
  cases.push_back(bad_case("an end with a body", "000000021000", Code::malformed));
}

json::object proof_case(std::string_view name, const Sample& sample, std::uint64_t index,
                        const Proof& proof, bool holds) {
  json::array hashes;
  for (const Sha256& hash : proof) hashes.emplace_back(hash.hex());
  json::object out{{"name", name},
                   {"kind", "proof"},
                   {"id", sample.tree.id().hex()},
                   {"length", sample.content.size()},
                   {"index", index},
                   {"fill", "61"},
                   {"count", chunk_bytes(sample.content.size(), index)},
                   {"proof", hashes}};
  out["error"] = holds ? json::value(nullptr) : json::value(code_name(Code::verification_failed));
  return out;
}

void add_proofs(json::array& cases, const Sample& sample) {
  cases.push_back(proof_case("the first chunk", sample, 0, sample.tree.proof(0), true));
  cases.push_back(proof_case("the second chunk", sample, 1, sample.tree.proof(1), true));
  cases.push_back(proof_case("the last chunk", sample, 2, sample.tree.proof(2), true));
  Proof wrong = sample.tree.proof(1);
  wrong.back().value[31] ^= 1;
  cases.push_back(proof_case("a turned bit in the proof", sample, 1, wrong, false));
  Proof longer = sample.tree.proof(2);
  longer.push_back(longer.back());
  cases.push_back(proof_case("a hash too many", sample, 2, longer, false));
  Proof shorter = sample.tree.proof(0);
  shorter.pop_back();
  cases.push_back(proof_case("a hash too few", sample, 0, shorter, false));
}

NameRecord sample_record(const Sample& sample) {
  NameRecord out;
  out.name = "tiny:latest";
  out.content = sample.ref;
  out.created = {1'767'225'600'000};
  out.expires = {1'767'225'600'000 + 86'400'000};
  return out;
}

json::object record_case(std::string_view name, const Bytes& envelope, std::uint64_t now,
                         const json::value& error) {
  return {{"name", name},
          {"kind", "record"},
          {"envelope", to_hex(envelope)},
          {"now", now},
          {"error", error}};
}

void add_records(json::array& cases, const Sample& sample) {
  const NameRecord good = sample_record(sample);
  const Bytes envelope = sign(good, provider()).envelope;
  const std::uint64_t now = good.created.unix_ms + 1000;
  json::object first = record_case("a name record", envelope, now, nullptr);
  first["value"] = json::object{{"name", good.name},
                                {"id", good.content.id.hex()},
                                {"sha256", good.content.sha256.hex()},
                                {"length", good.content.length},
                                {"kind", good.kind},
                                {"format", good.format},
                                {"created", good.created.unix_ms},
                                {"expires", good.expires.unix_ms}};
  first["publisher"] = provider().public_key().hex();
  cases.push_back(std::move(first));
  const auto bad = [&](std::string_view name, const Bytes& bytes, std::uint64_t at, Code code) {
    cases.push_back(record_case(name, bytes, at, json::value(code_name(code))));
  };
  bad("an expired record", envelope, good.expires.unix_ms, Code::expired);
  bad("a record of the future", envelope, good.created.unix_ms - 120'001, Code::expired);
  Bytes turned = envelope;
  turned.back() ^= 1;
  bad("a record with a turned bit", turned, now, Code::verification_failed);
  NameRecord long_lived = good;
  long_lived.expires.unix_ms = good.created.unix_ms + kRecordLifeMsMax + 1;
  bad("a record that lives too long", sign(long_lived, provider()).envelope, now, Code::malformed);
  NameRecord unprintable = good;
  unprintable.name = "tiny\x1b[31m";
  bad("a record with a control character", sign(unprintable, provider()).envelope, now,
      Code::malformed);
}

}  // namespace

json::value artifact_frame_vectors() {
  const Sample sample;
  json::array cases;
  add_frames(cases, sample);
  add_bad_frames(cases);
  add_proofs(cases, sample);
  add_records(cases, sample);
  return file("artifact-frames", "spec/artifact.md", std::move(cases));
}

}  // namespace phase::vectors
