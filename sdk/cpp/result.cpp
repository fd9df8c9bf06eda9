// Reading a result object, and believing nothing of it that can be recomputed.
#include <algorithm>

#include <boost/json.hpp>

#include "sdk/cpp/client.h"
#include "sdk/cpp/wire.h"

namespace phase::sdk {
namespace {

namespace json = boost::json;
using verify::Check;

struct Reader {
  const json::object& object;

  [[nodiscard]] const json::value* at(std::string_view key) const {
    const json::value* value = object.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] std::string text(std::string_view key) const {
    const json::value* value = at(key);
    return value != nullptr && value->is_string() ? std::string{value->as_string()} : std::string{};
  }
  /// Empty when absent. Errors: Code::malformed.
  [[nodiscard]] Result<Bytes> bytes(std::string_view key) const {
    const json::value* value = at(key);
    if (value == nullptr) {
      return Bytes{};
    }
    if (!value->is_string()) {
      return fail(Code::malformed, "the result's " + std::string{key} + " is not a text");
    }
    return from_base64(std::string_view{value->as_string().data(), value->as_string().size()});
  }
};

Result<std::vector<job::OutputPiece>> read_transcript(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr) {
    return fail(Code::malformed, "the result's transcript is not a list");
  }
  std::vector<job::OutputPiece> out;
  out.reserve(array->size());
  for (const json::value& entry : *array) {
    PHASE_TRY(job::OutputPiece piece, read_output(entry));
    out.push_back(std::move(piece));
  }
  return out;
}

verify::Verdict refused(Check check, std::string detail) {
  verify::Verdict verdict;
  verdict.failed = check;
  verdict.detail = std::move(detail);
  return verdict;
}

/// The first check that fails because the manifest is not what this client asked for.
std::optional<verify::Verdict> compare(const manifest::SignedManifest& signed_manifest,
                                       const SubmittedJob& asked) {
  const auto* job = std::get_if<job::WasmJob>(&signed_manifest.manifest.job);
  if (job == nullptr) {
    return refused(Check::job_kind, "the manifest is for another kind of job");
  }
  const JobOptions& want = asked.options;
  const bool same = asked.module_by_id ? job->module.id == asked.module.id  // it binds the bytes
                                       : job->module == asked.module;
  if (!same) {
    return refused(Check::module_hash, "the manifest names another module than the one submitted");
  }
  if (job->entry != want.entry || job->args != want.args || job->env != want.env ||
      job->limits != want.limits) {
    return refused(Check::execution_id,
                   "the manifest has another entry, args, env or limits than submitted");
  }
  const auto expected = asked.input || !job->stdin_commitment
                            ? asked.input
                            : asked.streamed.prefix(asked.streamed.length());
  if (job->stdin_commitment != expected) {
    return refused(Check::input_commitment,
                   "the manifest is for another stdin than the one submitted");
  }
  if (job->profile != want.profile) {
    return refused(Check::profile, "the manifest asks for another profile");
  }
  if (signed_manifest.manifest.level != want.level) {
    return refused(Check::level, "the manifest asks for another level");
  }
  return std::nullopt;
}

job::OutputSummary summary_of(const std::vector<job::OutputPiece>& transcript) {
  job::OutputChain chain;
  for (const job::OutputPiece& piece : transcript) {
    chain.append(piece.stream, piece.data);
  }
  return chain.summary();
}

/// Why there is no verdict to make: the job has an error instead of a receipt.
std::optional<Error> read_error(const Reader& reader) {
  const json::value* value = reader.at("error");
  if (value == nullptr || !value->is_object()) {
    return std::nullopt;
  }
  return read_error_object(value->as_object());
}

verify::Verdict verdict_of(const JobResult& result, const SubmittedJob& asked,
                           const std::optional<identity::PublicKey>& provider) {
  const auto opened = manifest::open(result.manifest);
  if (!opened) {
    return refused(Check::manifest_form, "the manifest: " + opened.error().message);
  }
  if (auto different = compare(*opened, asked)) {
    return std::move(*different);
  }
  if (asked.options.is_private != result.salt.has_value()) {
    return refused(Check::job_id, "the job was asked for as " +
                                      std::string{result.salt ? "public" : "private"} +
                                      " and was run otherwise");
  }
  verify::Evidence evidence;
  evidence.manifest = result.manifest;
  evidence.provider = provider;
  evidence.salt = result.salt;
  if (result.output_kept) {
    evidence.output = summary_of(result.transcript);
  }
  std::string note;
  const auto receipt = receipt::open(result.receipt);
  if (!asked.input && receipt) {
    const std::uint64_t stated = receipt->receipt.input.length;
    const std::uint64_t sent = asked.streamed.length();
    if (stated > sent) {
      return refused(Check::input_commitment, "the receipt is for more input than was sent");
    }
    evidence.input = asked.streamed.prefix(stated);
    if (!evidence.input) {
      return refused(Check::input_commitment,
                     "the receipt covers a beginning of stdin that is long past");
    }
    note = stated < sent ? "; covers the first " + std::to_string(stated) + " of " +
                               std::to_string(sent) + " bytes of stdin"
                         : "";
  }
  verify::Verdict verdict = verify::check(result.receipt, evidence, asked.options.level);
  verdict.detail += verdict.ok() ? note : "";
  return verdict;
}

Result<std::optional<identity::PublicKey>> read_provider(const Reader& reader) {
  const std::string hex = reader.text("provider_key");
  if (hex.empty()) {
    return std::nullopt;
  }
  PHASE_TRY(const auto key, identity::PublicKey::from_hex_text(hex));
  return std::optional{key};
}

Result<void> read_output_of(const Reader& reader, JobResult& out) {
  const json::value* transcript = reader.at("transcript");
  out.output_kept = transcript != nullptr;
  if (!out.output_kept) {
    return {};
  }
  PHASE_TRY(out.transcript, read_transcript(*transcript));
  for (const job::OutputPiece& piece : out.transcript) {
    Bytes& into = piece.stream == job::OutputStream::out ? out.out : out.err;
    into.insert(into.end(), piece.data.begin(), piece.data.end());
  }
  return {};
}

}  // namespace

void StdinRecord::append(ByteView bytes) {
  while (!bytes.empty()) {
    if (tail_.empty() || tail_.back().bytes.size() == kChunkBytes) {
      tail_.push_back({length_, hash_, {}});
      if (tail_.size() > kTailBytes / kChunkBytes) {
        tail_.pop_front();
      }
    }
    Bytes& into = tail_.back().bytes;
    const ByteView piece = bytes.first(std::min(bytes.size(), kChunkBytes - into.size()));
    into.insert(into.end(), piece.begin(), piece.end());
    hash_.update(piece);
    length_ += piece.size();
    bytes = bytes.subspan(piece.size());
  }
}

std::optional<job::Commitment> StdinRecord::prefix(std::uint64_t length) const {
  if (length == length_) {
    return job::Commitment{hash_.finish(), length_};
  }
  for (const Chunk& chunk : tail_) {
    if (length >= chunk.offset && length - chunk.offset <= chunk.bytes.size()) {
      Sha256Stream hash = chunk.before;
      hash.update(ByteView{chunk.bytes}.first(length - chunk.offset));
      return job::Commitment{hash.finish(), length};
    }
  }
  return std::nullopt;
}

namespace {

Result<SubmittedJob> describe_rest(SubmittedJob out, JobOptions options) {
  if (options.stdin_bytes) {
    out.input = job::commit(*options.stdin_bytes);
    options.stdin_bytes.reset();
  }
  if (options.target != "local" && options.target != "remote") {
    PHASE_TRY(const auto peer, identity::PeerId::parse(options.target));
    out.provider = peer.key();
  }
  out.options = std::move(options);
  return out;
}

}  // namespace

Result<SubmittedJob> describe(ByteView module, JobOptions options) {
  SubmittedJob out;
  out.module = job::reference(module);
  return describe_rest(std::move(out), std::move(options));
}

Result<SubmittedJob> describe(const ArtifactId& module, JobOptions options) {
  SubmittedJob out;
  out.module.id = module;
  out.module_by_id = true;
  return describe_rest(std::move(out), std::move(options));
}

namespace {

/// Everything of a result but the verdict.
Result<JobResult> read_result(const Reader& reader, std::string_view text) {
  JobResult out;
  out.id = reader.text("id");
  out.state = reader.text("state");
  out.error = read_error(reader);
  PHASE_TRY(out.provider, read_provider(reader));
  PHASE_TRY(out.manifest, reader.bytes("manifest"));
  PHASE_TRY(out.receipt, reader.bytes("receipt"));
  PHASE_TRY_VOID(read_output_of(reader, out));
  if (const std::string salt = reader.text("salt"); !salt.empty()) {
    PHASE_TRY(const Sha256 hash, Sha256::from_hex_text(salt));
    out.salt = hash.value;
  }
  out.json = std::string{text};
  if (out.receipt.empty() && !out.error) {
    out.error = Error{Code::protocol, "the daemon reports neither a receipt nor an error", ""};
  }
  return out;
}

void take_verdict(JobResult& result, verify::Verdict verdict) {
  result.verdict = std::move(verdict);
  if (result.verdict.ok()) {
    const receipt::SignedReceipt& good = result.verdict.verified->get();
    result.completion = good.receipt.completion;
    result.provider = good.provider;
  }
}

}  // namespace

Result<JobResult> check_result(std::string_view text, const SubmittedJob& asked) {
  PHASE_TRY(const json::object object, parse_object(text));
  PHASE_TRY(JobResult out, read_result(Reader{object}, text));
  if (!out.receipt.empty()) {
    take_verdict(out, verdict_of(out, asked, asked.provider ? asked.provider : out.provider));
  }
  return out;
}

Result<JobResult> check_kept_result(std::string_view text) {
  PHASE_TRY(const json::object object, parse_object(text));
  const Reader reader{object};
  PHASE_TRY(JobResult out, read_result(reader, text));
  if (out.receipt.empty()) {
    return out;
  }
  verify::Evidence evidence;
  evidence.manifest = out.manifest;
  evidence.provider = out.provider;
  evidence.salt = out.salt;
  if (out.output_kept) {
    evidence.output = summary_of(out.transcript);
  }
  const json::value* length = reader.at("stdin_length");
  if (const std::string hex = reader.text("stdin_sha256"); !hex.empty() && length != nullptr) {
    boost::system::error_code error;
    job::Commitment input;
    PHASE_TRY(input.sha256, Sha256::from_hex_text(hex));
    input.length = length->is_number() ? length->to_number<std::uint64_t>(error) : 0;
    evidence.input = input;
  }
  take_verdict(out, verify::check(out.receipt, evidence));
  return out;
}

}  // namespace phase::sdk
