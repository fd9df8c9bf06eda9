#include "protocol/receipt/receipt.h"

#include <algorithm>

#include "base/check.h"
#include "protocol/job/document_internal.h"
#include "protocol/receipt/completion_internal.h"

namespace phase::receipt {
namespace {

using job::wrong;

constexpr std::array<std::string_view, 6> kCompletions{"exited",    "trapped", "limited",
                                                       "cancelled", "invalid", "failed"};
constexpr std::string_view kNoIsolation = "none";

bool has_reason(CompletionKind kind) noexcept {
  return kind != CompletionKind::exited && kind != CompletionKind::cancelled;
}

bool is_word(std::string_view text) noexcept {
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

Result<Completion> read_completion(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t kind, job::uint_at(map, 0));
  if (kind >= kCompletions.size()) {
    return wrong(reader, "no completion kind " + std::to_string(kind));
  }
  Completion out;
  out.kind = static_cast<CompletionKind>(kind);
  if (out.kind == CompletionKind::exited) {
    PHASE_TRY(out.exit_code, map.required(1).and_then([](CborReader* r) { return r->integer(); }));
  } else if (has_reason(out.kind)) {
    PHASE_TRY(out.reason, job::text_at(map, 2, 1, kWordBytesMax));
    if (!is_word(out.reason)) return wrong(reader, "a reason is a snake_case word");
  }
  PHASE_TRY_VOID(map.close());
  return out;
}

/// Ascending, each once; empty says what it means.
std::vector<std::string> canonical_isolation(std::vector<std::string> layers) {
  std::ranges::sort(layers);
  const auto repeated = std::ranges::unique(layers);
  layers.erase(repeated.begin(), repeated.end());
  if (layers.empty()) layers.emplace_back(kNoIsolation);
  return layers;
}

Result<std::vector<std::string>> read_isolation(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kIsolationMax) return job::too_large(reader, "too many isolation layers");
  std::vector<std::string> layers;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string layer, job::read_text(reader, 1, kWordBytesMax));
    if (!layers.empty() && layers.back() >= layer) {
      return wrong(reader, "isolation layers are not in ascending order");
    }
    layers.push_back(std::move(layer));
  }
  const bool says_none = std::ranges::find(layers, kNoIsolation) != layers.end();
  if (layers.empty() || (says_none && layers.size() > 1)) {
    return wrong(reader, "isolation names its layers, or exactly \"none\"");
  }
  return layers;
}

template <typename ClaimedType>
auto claimed_numbers(ClaimedType& claimed) {
  return std::array{
      &claimed.wall_us,   &claimed.cpu_us,          &claimed.memory_bytes_peak, &claimed.fuel,
      &claimed.energy_mj, &claimed.started_unix_ms, &claimed.finished_unix_ms};
}
constexpr std::uint64_t kClaimedRuntime = 7;

void write_claimed(CborWriter& writer, const Claimed& claimed) {
  const auto numbers = claimed_numbers(claimed);
  std::uint64_t count = claimed.runtime ? 1 : 0;
  for (const auto* number : numbers) count += number->has_value() ? 1 : 0;
  writer.map(count);
  std::uint64_t key = 0;
  for (const auto* number : numbers) {
    if (*number) writer.uint(key).uint(**number);
    ++key;
  }
  if (claimed.runtime) writer.uint(kClaimedRuntime).text(*claimed.runtime);
}

Result<Claimed> read_claimed(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Claimed claimed;
  std::uint64_t key = 0;
  for (auto* number : claimed_numbers(claimed)) {
    PHASE_TRY_VOID(
        job::optional_at(map, reader, key++, *number, [](CborReader& r) { return r.uint(); }));
  }
  PHASE_TRY_VOID(job::optional_at(map, reader, kClaimedRuntime, claimed.runtime, [](CborReader& r) {
    return job::read_text(r, 0, job::kTextBytesMax);
  }));
  PHASE_TRY_VOID(map.close_ignoring_unknown());
  return claimed;
}

void write_evidence(CborWriter& writer, const std::map<std::string, Bytes>& evidence) {
  std::vector<std::string_view> names;
  for (const auto& [name, bytes] : evidence) names.push_back(name);
  std::ranges::sort(names, job::text_key_less);
  writer.map(names.size());
  for (const std::string_view name : names) {
    writer.text(name).bytes(evidence.at(std::string(name)));
  }
}

Result<std::map<std::string, Bytes>> read_evidence(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.map());
  if (count == 0) return wrong(reader, "empty evidence is left out");
  std::map<std::string, Bytes> evidence;
  std::optional<std::string> last;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string name, job::read_text(reader, 0, job::kTextBytesMax));
    if (last && !job::text_key_less(*last, name)) {
      return wrong(reader, "evidence names are not in ascending order");
    }
    PHASE_TRY(const ByteView bytes, reader.bytes());
    last = name;
    evidence.emplace(std::move(name), to_bytes(bytes));
  }
  return evidence;
}

/// Keys 4 and 3: what was run.
Result<void> read_subject(CborMap& outer, Receipt& out) {
  PHASE_TRY(CborReader * reader, outer.required(4));
  PHASE_TRY(CborMap map, CborMap::open(*reader));
  PHASE_TRY(out.subject_id, job::hash_at<Sha256>(map, 0));
  PHASE_TRY(out.subject_sha256, job::hash_at<Sha256>(map, 1));
  return map.close();
}

/// Keys 1 to 7: what the receipt is bound to, and how the run ended.
Result<void> read_bindings(CborMap& map, Receipt& out) {
  PHASE_TRY(out.job_id, job::hash_at<manifest::JobId>(map, 1));
  PHASE_TRY(out.execution_id, job::hash_at<job::ExecutionId>(map, 2));
  PHASE_TRY(const std::uint64_t kind, job::uint_at(map, 3));
  if (kind > 1) return fail(Code::malformed, "no job kind " + std::to_string(kind));
  out.job_kind = static_cast<std::uint8_t>(kind);
  PHASE_TRY_VOID(read_subject(map, out));
  PHASE_TRY(out.input,
            map.required(5).and_then([](CborReader* r) { return job::read_commitment(*r); }));
  PHASE_TRY(out.output,
            map.required(6).and_then([](CborReader* r) { return job::read_summary(*r); }));
  PHASE_TRY(out.completion,
            map.required(7).and_then([](CborReader* r) { return read_completion(*r); }));
  return {};
}

/// Keys 8 to 12.
Result<void> read_circumstances(CborMap& map, CborReader& reader, Receipt& out) {
  PHASE_TRY(const std::string profile, job::text_at(map, 8, 0, job::kTextBytesMax));
  PHASE_TRY(out.profile, job::profile_from_name(profile));
  PHASE_TRY(out.isolation,
            map.required(9).and_then([](CborReader* r) { return read_isolation(*r); }));
  PHASE_TRY_VOID(
      job::optional_at(map, reader, 10, out.fuel, [](CborReader& r) { return r.uint(); }));
  if (map.optional(11)) {
    PHASE_TRY(out.is_private, reader.boolean());
    if (!out.is_private) return wrong(reader, "private is true or left out");
  }
  PHASE_TRY(out.claimed, map.required(12).and_then([](CborReader* r) { return read_claimed(*r); }));
  return {};
}

}  // namespace

std::string_view completion_name(CompletionKind kind) noexcept {
  PHASE_CHECK(static_cast<std::size_t>(kind) < kCompletions.size());
  return kCompletions[static_cast<std::size_t>(kind)];
}

void write_completion(CborWriter& writer, const Completion& completion) {
  const bool exited = completion.kind == CompletionKind::exited;
  writer.map(exited || has_reason(completion.kind) ? 2 : 1);
  writer.uint(0).uint(static_cast<std::uint64_t>(completion.kind));
  if (exited) writer.uint(1).integer(completion.exit_code);
  if (has_reason(completion.kind)) writer.uint(2).text(completion.reason);
}

Result<void> read_version(CborMap& map, std::string_view what) {
  PHASE_TRY(const std::uint64_t version, job::uint_at(map, 0));
  if (version == kVersion) return {};
  return fail(Code::version_unknown,
              std::string(what) + " version " + std::to_string(version) + " is not known");
}

Bytes encode_payload(const Receipt& receipt) {
  CborWriter writer;
  writer.map(11U + (receipt.fuel ? 1U : 0U) + (receipt.is_private ? 1U : 0U) +
             (receipt.evidence.empty() ? 0U : 1U));
  writer.uint(0).uint(kVersion).uint(1).bytes(receipt.job_id.bytes());
  writer.uint(2).bytes(receipt.execution_id.bytes()).uint(3).uint(receipt.job_kind);
  writer.uint(4).map(2).uint(0).bytes(receipt.subject_id.bytes());
  writer.uint(1).bytes(receipt.subject_sha256.bytes()).uint(5);
  job::write_commitment(writer, receipt.input);
  writer.uint(6);
  job::write_summary(writer, receipt.output);
  writer.uint(7);
  write_completion(writer, receipt.completion);
  writer.uint(8).text(job::profile_name(receipt.profile));
  const std::vector<std::string> isolation = canonical_isolation(receipt.isolation);
  writer.uint(9).array(isolation.size());
  for (const std::string& layer : isolation) writer.text(layer);
  if (receipt.fuel) writer.uint(10).uint(*receipt.fuel);
  if (receipt.is_private) writer.uint(11).boolean(true);
  writer.uint(12);
  write_claimed(writer, receipt.claimed);
  if (!receipt.evidence.empty()) {
    writer.uint(13);
    write_evidence(writer, receipt.evidence);
  }
  return writer.take();
}

Result<Receipt> decode_payload(ByteView payload) {
  CborReader reader(payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY_VOID(read_version(map, "receipt"));
  Receipt out;
  PHASE_TRY_VOID(read_bindings(map, out));
  PHASE_TRY_VOID(read_circumstances(map, reader, out));
  if (reader.offset() > kReceiptBytesMax) {
    return job::too_large(reader, "a receipt without evidence has at most " +
                                      std::to_string(kReceiptBytesMax) + " bytes");
  }
  if (map.optional(13)) {
    PHASE_TRY(out.evidence, read_evidence(reader));
  }
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
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
