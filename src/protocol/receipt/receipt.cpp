#include "protocol/receipt/receipt.h"

#include <algorithm>
#include <array>

#include "protocol/job/parts.h"
#include "protocol/receipt/completion.h"

namespace phase::receipt {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kEvidenceMax = 16;
constexpr std::size_t kNameBytesMax = 128;  // a runtime, a piece of evidence
constexpr std::string_view kNoIsolation = "none";

using Figure = std::optional<std::uint64_t> Claimed::*;
/// Claimed figures by their keys, from 0.
constexpr std::array<Figure, 7> kFigures{
    &Claimed::wall_us,   &Claimed::cpu_us,          &Claimed::memory_bytes_peak, &Claimed::fuel,
    &Claimed::energy_mj, &Claimed::started_unix_ms, &Claimed::finished_unix_ms,
};

void write_claimed(CborWriter& out, const Claimed& claimed) {
  std::uint64_t count = claimed.runtime ? 1 : 0;
  for (const Figure figure : kFigures) count += (claimed.*figure).has_value() ? 1U : 0U;
  out.map(count);
  for (std::size_t i = 0; i < kFigures.size(); ++i) {
    if (const auto& value = claimed.*kFigures[i]) out.uint(i).uint(*value);
  }
  if (claimed.runtime) out.uint(7).text(*claimed.runtime);
}

Result<Claimed> read_claimed(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  Claimed out;
  for (std::size_t i = 0; i < kFigures.size(); ++i) {
    if (!map.optional(i)) continue;
    PHASE_TRY(const std::uint64_t value, in.uint());
    out.*kFigures[i] = value;
  }
  if (map.optional(7)) {
    PHASE_TRY(out.runtime, job::read_text(in, kNameBytesMax));
  }
  PHASE_TRY_VOID(map.close_ignoring_unknown());
  return out;
}

/// Ascending, each once; an empty list says what it means.
std::vector<std::string> canonical_isolation(std::vector<std::string> layers) {
  std::ranges::sort(layers);
  const auto repeated = std::ranges::unique(layers);
  layers.erase(repeated.begin(), repeated.end());
  if (layers.empty()) layers.emplace_back(kNoIsolation);
  return layers;
}

Result<std::vector<std::string>> read_isolation(CborReader& in) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count == 0 || count > kIsolationMax)
    return fail(Code::malformed, "isolation names 1 ... 16 layers");
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string layer, job::read_text(in, kWordBytesMax));
    if (layer.empty() || (!out.empty() && layer <= out.back())) {
      return fail(Code::malformed, "isolation layers are not in ascending order");
    }
    out.push_back(std::move(layer));
  }
  if (out.size() > 1 && std::ranges::find(out, kNoIsolation) != out.end()) {
    return fail(Code::malformed, "isolation names its layers, or exactly \"none\"");
  }
  return out;
}

Result<std::map<std::string, Bytes>> read_evidence(CborReader& in) {
  PHASE_TRY(const std::uint64_t count, in.map());
  if (count > kEvidenceMax) return fail(Code::too_large, "more than 16 pieces of evidence");
  std::map<std::string, Bytes> out;
  std::string last;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string name, job::read_text(in, kNameBytesMax));
    if (i > 0 && std::pair(name.size(), name) <= std::pair(last.size(), last)) {
      return fail(Code::malformed, "evidence names are not in ascending order");
    }
    last = name;
    PHASE_TRY(const ByteView value, in.bytes());
    out.emplace(std::move(name), to_bytes(value));
  }
  return out;
}

void write_evidence(CborWriter& out, const std::map<std::string, Bytes>& evidence) {
  std::vector<std::pair<std::string_view, ByteView>> rows(evidence.begin(), evidence.end());
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    return std::pair(a.first.size(), a.first) < std::pair(b.first.size(), b.first);
  });
  out.map(rows.size());
  for (const auto& [name, value] : rows) out.text(name).bytes(value);
}

Result<void> read_subject(CborReader& in, Receipt& out) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.subject_id, job::read_hash<Sha256>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.subject_sha256, job::read_hash<Sha256>(*at));
  return map.close();
}

Result<void> read_head(CborMap& map, Receipt& out) {
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t version, at->uint());
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "receipt version " + std::to_string(version) + ", expected 2");
  }
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.job_id, job::read_hash<manifest::JobId>(*at));
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.execution_id, job::read_hash<job::ExecutionId>(*at));
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(const std::uint64_t kind, at->uint());
  if (kind > 1) return fail(Code::version_unknown, "unknown job kind " + std::to_string(kind));
  out.job_kind = static_cast<std::uint8_t>(kind);
  PHASE_TRY(at, map.required(4));
  return read_subject(*at, out);
}

Result<void> read_outcome(CborMap& map, Receipt& out) {
  PHASE_TRY(CborReader * at, map.required(5));
  PHASE_TRY(out.input, job::read_commitment(*at));
  PHASE_TRY(at, map.required(6));
  PHASE_TRY(out.output, job::read_summary(*at));
  PHASE_TRY(at, map.required(7));
  PHASE_TRY(out.completion, read_completion(*at));
  PHASE_TRY(at, map.required(8));
  PHASE_TRY(const std::string_view profile, at->text());
  PHASE_TRY(out.profile, job::profile_from_name(profile));
  PHASE_TRY(at, map.required(9));
  PHASE_TRY(out.isolation, read_isolation(*at));
  return {};
}

Result<void> read_tail(CborMap& map, CborReader& in, Receipt& out) {
  if (map.optional(10)) {
    PHASE_TRY(out.fuel, in.uint());
  }
  if (map.optional(11)) {
    PHASE_TRY(out.is_private, in.boolean());
    if (!out.is_private) return fail(Code::malformed, "private is written only when true");
  }
  PHASE_TRY(CborReader * at, map.required(12));
  PHASE_TRY(out.claimed, read_claimed(*at));
  if (in.offset() > kReceiptBytesMax) {
    return fail(Code::too_large, "a receipt above " + std::to_string(kReceiptBytesMax) +
                                     " bytes without its evidence");
  }
  if (map.optional(13)) {
    PHASE_TRY(out.evidence, read_evidence(in));
    if (out.evidence.empty())
      return fail(Code::malformed, "evidence is written only when there is some");
  }
  return map.close();
}

}  // namespace

Bytes encode_payload(const Receipt& receipt) {
  CborWriter out;
  out.map(11 + (receipt.fuel ? 1U : 0U) + (receipt.is_private ? 1U : 0U) +
          (receipt.evidence.empty() ? 0U : 1U));
  out.uint(0).uint(kVersion).uint(1).bytes(receipt.job_id.bytes());
  out.uint(2).bytes(receipt.execution_id.bytes()).uint(3).uint(receipt.job_kind);
  out.uint(4).map(2).uint(0).bytes(receipt.subject_id.bytes());
  out.uint(1).bytes(receipt.subject_sha256.bytes()).uint(5);
  job::write(out, receipt.input);
  out.uint(6);
  job::write(out, receipt.output);
  out.uint(7);
  write_completion(out, receipt.completion);
  out.uint(8).text(job::profile_name(receipt.profile)).uint(9);
  const std::vector<std::string> layers = canonical_isolation(receipt.isolation);
  out.array(layers.size());
  for (const std::string& layer : layers) out.text(layer);
  if (receipt.fuel) out.uint(10).uint(*receipt.fuel);
  if (receipt.is_private) out.uint(11).boolean(true);
  out.uint(12);
  write_claimed(out, receipt.claimed);
  if (!receipt.evidence.empty()) {
    out.uint(13);
    write_evidence(out, receipt.evidence);
  }
  return out.take();
}

Result<Receipt> decode_payload(ByteView payload) {
  CborReader in(payload);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Receipt out;
  PHASE_TRY_VOID(read_head(map, out));
  PHASE_TRY_VOID(read_outcome(map, out));
  PHASE_TRY_VOID(read_tail(map, in, out));
  PHASE_TRY_VOID(in.finish());
  return out;
}

SignedReceipt sign(const Receipt& receipt, const identity::KeyPair& key) {
  Receipt written = receipt;
  written.isolation = canonical_isolation(std::move(written.isolation));
  Bytes envelope = identity::seal(identity::Domain::receipt, encode_payload(written), key);
  return {std::move(written), key.public_key(), std::move(envelope)};
}

Result<SignedReceipt> open(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::receipt, envelope));
  PHASE_TRY(Receipt receipt, decode_payload(opened.payload));
  return SignedReceipt{std::move(receipt), opened.signer, to_bytes(envelope)};
}

}  // namespace phase::receipt
