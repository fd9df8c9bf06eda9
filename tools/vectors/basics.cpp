#include "basics.h"

#include "base/check.h"

namespace phase::vectors {
namespace {

identity::KeyPair key_of(std::string_view seed_hex) {
  return identity::KeyPair::from_seed(from_hex(seed_hex).value()).value();
}

constexpr std::uint64_t kCreatedMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z

}  // namespace

identity::KeyPair requester() {
  return key_of("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
}
identity::KeyPair provider() {
  return key_of("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
}
identity::KeyPair stranger() {
  return key_of("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
}

Bytes sample_module() {
  return {0x00, 0x61, 0x73, 0x6D, 0x01, 0x00, 0x00, 0x00};
}

Bytes sample_input() {
  return to_bytes("hello\n");
}

job::WasmJob sample_job() {
  job::WasmJob out;
  out.module = job::reference(sample_module());
  out.args = {"--count", "3"};
  out.env = {{"LANG", "C"}, {"A", "1"}};
  out.stdin_commitment = job::commit(sample_input());
  out.limits.fuel = 1'000'000;
  out.limits.memory_bytes = 1_MiB;
  out.limits.table_elements = 1000;
  out.limits.output_bytes = 64_KiB;
  out.clock_start_ns = kCreatedMs * 1'000'000;
  out.random_seed = counting<32>(0x20);
  return out;
}

job::InferenceJob sample_inference() {
  job::InferenceJob out;
  out.model.value = counting<32>(0x40);
  out.model_name = "tiny-chat";
  out.prompt_kind = job::PromptKind::request;
  out.prompt = job::commit(as_bytes(R"([{"role":"user","content":"hi"}])"));
  out.sampling.seed = 7;
  out.sampling.temperature_ppm = 700'000;
  out.sampling.presence_penalty_ppm = -500'000;
  out.sampling.top_k = 40;
  out.tokens_max = 64;
  out.stop = {"\n\n"};
  return out;
}

manifest::Manifest sample_manifest() {
  manifest::Manifest out;
  out.job = sample_job();
  out.requirements.arch = "x86_64";
  out.requirements.runtime = "wasmtime";
  out.wall_limit_ms = 30'000;
  out.audience = provider().public_key();
  out.created = {kCreatedMs};
  out.expires = {kCreatedMs + 600'000};
  out.nonce = counting<16>(0x60);
  return out;
}

std::vector<job::OutputPiece> sample_transcript() {
  return {{job::OutputStream::out, to_bytes("hello\n")},
          {job::OutputStream::err, to_bytes("3 lines\n")},
          {job::OutputStream::out, to_bytes("hello\nhello\n")}};
}

job::OutputSummary summary_of(const std::vector<job::OutputPiece>& transcript) {
  job::OutputChain chain;
  for (const job::OutputPiece& piece : transcript) chain.append(piece.stream, piece.data);
  return chain.summary();
}

receipt::Receipt sample_receipt(const manifest::SignedManifest& asked, const job::Commitment& input,
                                const job::OutputSummary& output) {
  job::Job job = asked.manifest.job;
  receipt::Receipt out;
  out.job_id = asked.id;
  out.job_kind = static_cast<std::uint8_t>(job.index());
  if (auto* wasm = std::get_if<job::WasmJob>(&job)) {
    if (!wasm->stdin_commitment) wasm->stdin_commitment = input;
    out.subject_id.value = wasm->module.id.value;
    out.subject_sha256 = wasm->module.sha256;
    out.profile = wasm->profile;
  } else {
    auto& inference = std::get<job::InferenceJob>(job);
    if (!inference.prompt) inference.prompt = input;
    out.subject_id.value = inference.model.value;
  }
  out.execution_id = job::execution_id(job);
  out.input = input;
  out.output = output;
  out.isolation = {"landlock", "rlimits", "seccomp"};
  out.claimed.wall_us = 1500;
  out.claimed.fuel = 4711;
  out.claimed.started_unix_ms = kCreatedMs + 1000;
  out.claimed.finished_unix_ms = kCreatedMs + 1002;
  out.claimed.runtime = "wasmtime-48";
  return out;
}

receipt::Receipt salted_receipt(receipt::Receipt plain, const job::Salt& salt) {
  const auto hide = [&salt](auto& hash) { hash.value = job::salted(salt, hash.bytes()).value; };
  hide(plain.execution_id);
  hide(plain.subject_id);
  hide(plain.subject_sha256);
  hide(plain.input.sha256);
  hide(plain.output.commitment);
  plain.is_private = true;
  return plain;
}

Bytes patched(ByteView map, const std::map<std::uint64_t, Bytes>& changes) {
  std::map<std::uint64_t, Bytes> items;
  CborReader reader(map);
  const std::uint64_t count = reader.map().value();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t key = reader.uint().value();
    items[key] = to_bytes(reader.skip().value());
  }
  for (const auto& [key, bytes] : changes) {
    if (bytes.empty()) {
      items.erase(key);
    } else {
      items[key] = bytes;
    }
  }
  CborWriter writer;
  writer.map(items.size());
  for (const auto& [key, bytes] : items) writer.uint(key).raw(bytes);
  return writer.take();
}

Bytes value_at(ByteView map, std::uint64_t key) {
  CborReader reader(map);
  const std::uint64_t count = reader.map().value();
  for (std::uint64_t i = 0; i < count; ++i) {
    const bool wanted = reader.uint().value() == key;
    const ByteView value = reader.skip().value();
    if (wanted) return to_bytes(value);
  }
  check_failed(__FILE__, __LINE__, "the key is there", {});
}

Bytes uint_item(std::uint64_t value) {
  return item([&](CborWriter& w) { w.uint(value); });
}
Bytes text_item(std::string_view value) {
  return item([&](CborWriter& w) { w.text(value); });
}
Bytes bytes_item(ByteView value) {
  return item([&](CborWriter& w) { w.bytes(value); });
}

Bytes flipped(Bytes bytes, std::size_t bit) {
  PHASE_CHECK(bit / 8 < bytes.size());
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
  return bytes;
}

Bytes last_bit_flipped(Bytes bytes) {
  const std::size_t last = bytes.size() * 8 - 1;
  return flipped(std::move(bytes), last);
}

json::value file(std::string_view document, std::string_view spec, json::array cases) {
  return json::object{{"document", document}, {"spec", spec}, {"cases", std::move(cases)}};
}

std::vector<VectorFile> all_files() {
  return {{"encoding.json", encoding_vectors()},
          {"identity.json", identity_vectors()},
          {"envelope.json", envelope_vectors()},
          {"artifact.json", artifact_vectors()},
          {"job.json", job_vectors()},
          {"output.json", output_vectors()},
          {"manifest.json", manifest_vectors()},
          {"receipt.json", receipt_vectors()},
          {"verify.json", verify_vectors()},
          {"frames.json", frame_vectors()},
          {"artifact-frames.json", artifact_frame_vectors()},
          {"fleet.json", fleet_vectors()}};
}

}  // namespace phase::vectors
