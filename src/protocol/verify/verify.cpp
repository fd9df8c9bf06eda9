#include "protocol/verify/verify.h"

#include <array>
#include <utility>

namespace phase::verify {
namespace {

constexpr std::array<std::string_view, 16> kNames{
    "receipt_form",       "signature",         "provider_key", "manifest_form",
    "manifest_signature", "audience",          "job_id",       "job_kind",
    "module_hash",        "input_commitment",  "execution_id", "profile",
    "output_length",      "output_commitment", "checkpoint",   "level",
};

/// A check that did not pass, and why.
struct Failure {
  Check check;
  std::string detail;
};
using Step = std::optional<Failure>;  // empty: passed

/// The two documents and what is compared with them.
struct Case {
  const receipt::SignedReceipt& signed_receipt;
  const manifest::SignedManifest& asked;
  const Evidence& evidence;

  [[nodiscard]] const receipt::Receipt& receipt() const { return signed_receipt.receipt; }
  /// `hash`, salted when the receipt is private (the salt is there then: check_job_id looked).
  template <typename H>
  [[nodiscard]] Sha256 shown(const H& hash) const {
    if (receipt().is_private) return job::salted(*evidence.salt, hash.bytes());
    return Sha256{hash.value};
  }
};

Failure from_error(const Error& error, Check form, Check signature) {
  const bool bad_signature = error.code == Code::verification_failed;
  return {bad_signature ? signature : form, error.message};
}

Step check_provider(const receipt::SignedReceipt& signed_receipt, const Evidence& evidence) {
  if (!evidence.provider || *evidence.provider == signed_receipt.provider) return {};
  return Failure{Check::provider_key,
                 "signed by " + identity::PeerId::from(signed_receipt.provider).text() +
                     ", the job went to " + identity::PeerId::from(*evidence.provider).text()};
}

Step check_audience(const Case& c) {
  const auto& audience = c.asked.manifest.audience;
  if (!audience) return {};
  if (c.evidence.provider && *c.evidence.provider != *audience) {
    return Failure{Check::audience, "the manifest was meant for another provider"};
  }
  if (*audience == c.signed_receipt.provider) return {};
  return Failure{Check::provider_key,
                 "signed by " + identity::PeerId::from(c.signed_receipt.provider).text() +
                     ", the manifest was meant for " + identity::PeerId::from(*audience).text()};
}

Step check_job_id(const Case& c) {
  if (c.receipt().job_id != c.asked.id) {
    return Failure{Check::job_id, "the receipt is for job " + c.receipt().job_id.hex()};
  }
  if (c.receipt().is_private != c.evidence.salt.has_value()) {
    return Failure{Check::job_id, c.receipt().is_private
                                      ? "a private receipt needs the job's salt"
                                      : "the job was private, the receipt is not"};
  }
  return {};
}

Step check_subject(const Case& c) {
  if (c.receipt().job_kind != c.asked.manifest.job.index()) {
    return Failure{Check::job_kind, "the receipt is for another kind of job"};
  }
  Sha256 id;
  Sha256 flat;
  if (const auto* wasm = std::get_if<job::WasmJob>(&c.asked.manifest.job)) {
    id = c.shown(wasm->module.id);
    flat = c.shown(wasm->module.sha256);
  } else {
    id = c.shown(std::get<job::InferenceJob>(c.asked.manifest.job).model);
    flat = c.shown(Sha256{});
  }
  if (c.receipt().subject_id == id && c.receipt().subject_sha256 == flat) return {};
  return Failure{Check::module_hash, "the receipt names another module"};
}

std::optional<job::Commitment>& input_of(job::Job& job) {
  if (auto* wasm = std::get_if<job::WasmJob>(&job)) return wasm->stdin_commitment;
  return std::get<job::InferenceJob>(job).prompt;
}

/// The job with its input filled in; a failure when the receipt's input is not the job's.
std::variant<job::Job, Failure> fill_input(const Case& c) {
  job::Job job = c.asked.manifest.job;
  std::optional<job::Commitment>& input = input_of(job);
  const bool streamed = !input.has_value();
  const job::Commitment& stated = c.receipt().input;
  const auto same = [&](const job::Commitment& ours) {
    return stated.length == ours.length && stated.sha256 == c.shown(ours.sha256);
  };
  const Failure wrong{Check::input_commitment, "the receipt is for another input"};
  if (streamed && c.evidence.input) {
    if (!same(*c.evidence.input)) return wrong;
    input = c.evidence.input;
    return job;
  }
  if (streamed) {
    if (c.receipt().is_private) {
      return Failure{Check::input_commitment, "a private job with streamed input needs the input"};
    }
    input = stated;
    return job;
  }
  if (same(*input)) return job;
  // A run that ended by itself or by a limit may not have been sent all of its input.
  const bool shorter = stated.length < input->length;
  const bool ended_early = c.receipt().completion.kind != receipt::CompletionKind::exited;
  if (shorter && ended_early && !c.evidence.input) return job;
  return wrong;
}

Step check_execution(const Case& c) {
  auto filled = fill_input(c);
  if (auto* failure = std::get_if<Failure>(&filled)) return std::move(*failure);
  const auto& job = std::get<job::Job>(filled);
  if (Sha256{c.receipt().execution_id.value} != c.shown(job::execution_id(job))) {
    return Failure{Check::execution_id, "the receipt is for another execution"};
  }
  const auto* wasm = std::get_if<job::WasmJob>(&job);
  if (wasm != nullptr && wasm->profile != c.receipt().profile) {
    return Failure{Check::profile,
                   "the job asked for profile " + std::string(job::profile_name(wasm->profile))};
  }
  return {};
}

Step check_output(const Case& c) {
  if (!c.evidence.output) return {};
  const job::OutputSummary& ours = *c.evidence.output;
  const job::OutputSummary& stated = c.receipt().output;
  if (ours.length != stated.length) {
    return Failure{Check::output_length, "the receipt is for " + std::to_string(stated.length) +
                                             " bytes of output, there are " +
                                             std::to_string(ours.length)};
  }
  if (Sha256{stated.commitment.value} != c.shown(ours.commitment) ||
      stated.segments != ours.segments) {
    return Failure{Check::output_commitment, "the receipt is for other output"};
  }
  return {};
}

Step check_level(manifest::Level level) {
  if (level == manifest::Level::signature) return {};
  return Failure{Check::level, "level " + std::string(manifest::level_name(level)) +
                                   " needs evidence that this receipt does not carry"};
}

Verdict refused(Failure failure) {
  return {std::nullopt, std::nullopt, failure.check, std::move(failure.detail)};
}

}  // namespace

std::string_view check_name(Check check) noexcept {
  return kNames[static_cast<std::size_t>(check)];
}

std::string Verdict::text() const {
  if (ok()) return "receipt verified";
  return "receipt refused: " + std::string(check_name(*failed));
}

Verdict check(ByteView receipt_envelope, const Evidence& evidence, manifest::Level level) {
  auto opened = receipt::open(receipt_envelope);
  if (!opened) return refused(from_error(opened.error(), Check::receipt_form, Check::signature));
  if (auto step = check_provider(*opened, evidence)) return refused(std::move(*step));
  const auto asked = manifest::open(evidence.manifest);
  if (!asked) {
    return refused(from_error(asked.error(), Check::manifest_form, Check::manifest_signature));
  }
  const Case c{*opened, *asked, evidence};
  for (const auto step_of :
       {check_audience, check_job_id, check_subject, check_execution, check_output}) {
    if (auto step = step_of(c)) return refused(std::move(*step));
  }
  if (auto step = check_level(level)) return refused(std::move(*step));
  const bool output_checked = evidence.output.has_value();
  const std::string signer = identity::PeerId::from(opened->provider).text();
  Verdict verdict;
  verdict.verified = VerifiedReceipt(std::move(*opened), output_checked);
  verdict.level = manifest::Level::signature;
  verdict.detail = "signed by " + signer + (output_checked ? "" : "; output not checked");
  return verdict;
}

}  // namespace phase::verify
