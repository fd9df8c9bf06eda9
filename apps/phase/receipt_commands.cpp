// `phase verify` and `phase receipt show`: offline, from files.
#include <boost/json.hpp>

#include "command.h"
#include "console.h"
#include "proof/reference/repeat.h"
#include "run.h"
#include "sdk/cpp/wire.h"

namespace phase::cli {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kFileBytesMax = 1024_MiB;
constexpr std::uint64_t kJsonBytesMax = 1536_MiB;

/// A peer id, or a public key in hex.
Result<identity::PublicKey> parse_provider(const std::string& text) {
  if (auto peer = identity::PeerId::parse(text)) {
    return peer->key();
  }
  if (auto key = identity::PublicKey::from_hex_text(text)) {
    return *key;
  }
  return fail(Code::invalid_argument,
              "--provider: " + printable(text, 80) + " is neither a peer id nor 64 hex digits");
}

/// Hex, or a file that holds it (as `phase run --save` writes).
Result<job::Salt> parse_salt(const std::string& text) {
  auto hash = Sha256::from_hex_text(text);
  if (!hash) {
    return fail(Code::invalid_argument, "--salt: expected 64 hex digits");
  }
  return hash->value;
}

Result<job::OutputSummary> summary_of_transcript(const std::filesystem::path& path) {
  PHASE_TRY(const Bytes text, read_file(path, kJsonBytesMax));
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = sdk::kJsonDepthMax;
  const json::value value =
      json::parse({reinterpret_cast<const char*>(text.data()), text.size()}, error, {}, options);
  const json::array* pieces = value.if_array();
  if (const json::object* object = value.if_object(); object != nullptr) {
    const json::value* inside = object->if_contains("transcript");  // a whole result object
    pieces = inside != nullptr ? inside->if_array() : nullptr;
  }
  if (error || pieces == nullptr) {
    return fail(Code::malformed, path.string() + " is neither a transcript nor a result");
  }
  job::OutputChain chain;
  for (const json::value& entry : *pieces) {
    PHASE_TRY(const job::OutputPiece piece, sdk::read_output(entry));
    chain.append(piece.stream, piece.data);
  }
  return chain.summary();
}

Result<std::optional<job::OutputSummary>> output_evidence(const VerifyCommand& command) {
  if (command.transcript) {
    PHASE_TRY(const job::OutputSummary summary, summary_of_transcript(*command.transcript));
    return std::optional{summary};
  }
  if (command.output) {
    PHASE_TRY(const Bytes bytes, read_file(*command.output, kFileBytesMax));
    job::OutputChain chain;
    chain.append(job::OutputStream::out, bytes);
    return std::optional{chain.summary()};
  }
  return std::nullopt;
}

/// The input commitment as `phase run --save` wrote it.
Result<job::Commitment> read_commitment(const std::filesystem::path& path) {
  PHASE_TRY(const Bytes text, read_file(path, identity::kEnvelopeBytesMax));
  auto object = sdk::parse_object(as_text(text));
  const json::value* hash = object ? object->if_contains("sha256") : nullptr;
  const json::value* length = object ? object->if_contains("length") : nullptr;
  if (hash == nullptr || !hash->is_string() || length == nullptr || !length->is_number()) {
    return fail(Code::malformed, path.string() + " is not {\"sha256\", \"length\"}");
  }
  job::Commitment out;
  PHASE_TRY(out.sha256, Sha256::from_hex_text(
                            std::string_view{hash->as_string().data(), hash->as_string().size()}));
  boost::system::error_code error;
  out.length = length->to_number<std::uint64_t>(error);
  return error ? Result<job::Commitment>{fail(Code::malformed, path.string() + " has a bad length")}
               : out;
}

std::string or_none(const std::optional<std::uint64_t>& value, std::string_view unit) {
  return value ? std::to_string(*value) + std::string{unit} : std::string{"-"};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    out += out.empty() ? "" : " ";
    out += printable(word, 64);
  }
  return out;
}

json::object commitment_object(const job::Commitment& commitment) {
  return {{"sha256", commitment.sha256.hex()}, {"length", commitment.length}};
}

json::object receipt_object(const receipt::SignedReceipt& signed_receipt) {
  const receipt::Receipt& r = signed_receipt.receipt;
  json::object claimed;
  const auto claim = [&claimed](std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) {
      claimed[name] = *value;
    }
  };
  claim("wall_us", r.claimed.wall_us);
  claim("cpu_us", r.claimed.cpu_us);
  claim("memory_bytes_peak", r.claimed.memory_bytes_peak);
  claim("fuel", r.claimed.fuel);
  claim("energy_mj", r.claimed.energy_mj);
  claim("started_unix_ms", r.claimed.started_unix_ms);
  claim("finished_unix_ms", r.claimed.finished_unix_ms);
  if (r.claimed.runtime) {
    claimed["runtime"] = printable(*r.claimed.runtime, 128);
  }
  json::array isolation;
  for (const std::string& layer : r.isolation) {
    isolation.emplace_back(printable(layer, 64));
  }
  const bool exited = r.completion.kind == receipt::CompletionKind::exited;
  return {{"provider", identity::PeerId::from(signed_receipt.provider).text()},
          {"provider_key", signed_receipt.provider.hex()},
          {"job_id", r.job_id.hex()},
          {"execution_id", r.execution_id.hex()},
          {"kind", r.job_kind == 0 ? "wasm" : "inference"},
          {"subject_id", r.subject_id.hex()},
          {"subject_sha256", r.subject_sha256.hex()},
          {"input", commitment_object(r.input)},
          {"output", json::object{{"commitment", r.output.commitment.hex()},
                                  {"length", r.output.length},
                                  {"segments", r.output.segments}}},
          {"completion",
           json::object{
               {"kind", std::string{receipt::completion_name(r.completion.kind)}},
               {"exit_code", exited ? json::value(r.completion.exit_code) : json::value(nullptr)},
               {"reason", printable(r.completion.reason, 64)}}},
          {"profile", std::string{job::profile_name(r.profile)}},
          {"isolation", std::move(isolation)},
          {"private", r.is_private},
          {"fuel", r.fuel ? json::value(*r.fuel) : json::value(nullptr)},
          {"claimed", std::move(claimed)},
          {"signature_valid", true}};
}

void print_receipt(const receipt::SignedReceipt& signed_receipt) {
  const receipt::Receipt& r = signed_receipt.receipt;
  const std::string salted = r.is_private ? " (salted)" : "";
  print("provider     " + identity::PeerId::from(signed_receipt.provider).text());
  print("signature    valid; proves who states this, not that it was computed correctly");
  print("job          " + r.job_id.hex());
  print("execution    " + r.execution_id.hex() + salted);
  print(std::string{r.job_kind == 0 ? "module       " : "model        "} + r.subject_id.hex() +
        salted);
  print("input        " + std::to_string(r.input.length) + " bytes, " + r.input.sha256.hex() +
        salted);
  print("output       " + std::to_string(r.output.length) + " bytes, " + r.output.commitment.hex() +
        salted);
  print("completion   " + completion_text(r.completion));
  print("profile      " + std::string{job::profile_name(r.profile)});
  print("isolation    " + joined(r.isolation));
  print("claimed      wall " + or_none(r.claimed.wall_us, " us") + ", cpu " +
        or_none(r.claimed.cpu_us, " us") + ", memory " +
        or_none(r.claimed.memory_bytes_peak, " bytes") + ", fuel " + or_none(r.claimed.fuel, "") +
        ", runtime " + printable(r.claimed.runtime.value_or("-"), 64));
}

}  // namespace

Result<int> verify_command(const VerifyCommand& command) {
  PHASE_TRY(const Bytes receipt, read_file(command.receipt, identity::kEnvelopeBytesMax));
  PHASE_TRY(const Bytes manifest, read_file(command.manifest, identity::kEnvelopeBytesMax));
  verify::Evidence evidence;
  evidence.manifest = manifest;
  PHASE_TRY(evidence.output, output_evidence(command));
  Bytes input;
  if (command.input) {
    PHASE_TRY(input, read_file(*command.input, kFileBytesMax));
    evidence.input = job::commit(input);
  }
  if (command.commitment) {
    PHASE_TRY(evidence.input, read_commitment(*command.commitment));
  }
  if (!command.provider.empty()) {
    PHASE_TRY(evidence.provider, parse_provider(command.provider));
  }
  if (!command.salt.empty()) {
    PHASE_TRY(evidence.salt, parse_salt(command.salt));
  }
  std::optional<reference::ReferenceRepeater> repeater;
  if (command.module) {
    PHASE_TRY(Bytes module, read_file(*command.module, kFileBytesMax));
    evidence.repeater = &repeater.emplace(std::move(module), std::move(input));
  }
  PHASE_TRY(const manifest::Level level, manifest::level_from_name(command.level));
  const verify::Verdict verdict = verify::check(receipt, evidence, level);
  if (command.json) {
    json::object out{
        {"verified", verdict.ok()},
        {"level", verdict.level ? json::value(json::string(manifest::level_name(*verdict.level)))
                                : json::value(nullptr)},
        {"failed_check", verdict.failed
                             ? json::value(json::string(verify::check_name(*verdict.failed)))
                             : json::value(nullptr)},
        {"detail", printable(verdict.detail, 512)}};
    if (verdict.ok()) {
      out["output_checked"] = verdict.verified->output_checked();
      out["receipt"] = receipt_object(verdict.verified->get());
    }
    print(json::serialize(out));
  } else {
    print(verdict.text());
    if (!verdict.detail.empty()) {
      complain(printable(verdict.detail, 512));
    }
  }
  return verdict.ok() ? 0 : kExitRefused;
}

Result<int> receipt_show_command(const Globals& globals, const std::string& what, bool as_json) {
  Bytes bytes;
  std::error_code ignored;
  if (what == "-" || std::filesystem::exists(what, ignored)) {
    PHASE_TRY(bytes, read_file(what, identity::kEnvelopeBytesMax));
  } else {
    PHASE_TRY(sdk::Client client, connect(globals));
    PHASE_TRY(bytes, client.receipt(what));
  }
  const auto opened = receipt::open(bytes);
  if (!opened) {
    const bool bad_signature = opened.error().code == Code::verification_failed;
    const std::string check{
        verify::check_name(bad_signature ? verify::Check::signature : verify::Check::receipt_form)};
    return fail(Code::verification_failed,
                "receipt refused: " + check + ": " + opened.error().message);
  }
  if (as_json) {
    print(json::serialize(receipt_object(*opened)));
  } else {
    print_receipt(*opened);
  }
  return 0;
}

}  // namespace phase::cli
