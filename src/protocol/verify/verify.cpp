#include "protocol/verify/verify.h"

#include <array>

#include "base/check.h"

namespace phase::verify {
namespace {

constexpr std::array<std::string_view, 20> kCheckNames{
    "receipt_form", "signature", "provider_key",     "manifest_form",     "manifest_signature",
    "audience",     "job_id",    "job_kind",         "module_hash",       "input_commitment",
    "execution_id", "profile",   "output_length",    "output_commitment", "checkpoint",
    "level",        "commit",    "rerun_completion", "rerun_fuel",        "rerun_output"};

// Words of receipts (spec/receipt.md) that decide whether a run can be repeated.
constexpr std::string_view kReasonFuel = "fuel";
constexpr std::string_view kReasonStack = "stack_overflow";

struct Refusal {
  Check check;
  std::string detail;
};
/// Empty: the check passed.
using Step = std::optional<Refusal>;

Step require(bool holds, Check check, std::string_view otherwise) {
  if (holds) return std::nullopt;
  return Refusal{check, std::string(otherwise)};
}

/// The checks of spec/verify.md, one function each, in their order. A later one relies on those
/// before it.
class Checks {
 public:
  Checks(ByteView envelope, const Evidence& evidence, manifest::Level level)
      : envelope_(envelope), evidence_(evidence), level_(level) {}

  [[nodiscard]] Step run();
  /// After run() found nothing.
  [[nodiscard]] receipt::SignedReceipt take() { return *std::move(receipt_); }

 private:
  Step receipt_form_and_signature();
  Step provider_key() const;
  Step manifest_form_and_signature();
  Step audience() const;
  Step job_id() const;
  Step job_kind() const;
  Step module_hash() const;
  Step input_commitment() const;
  Step execution_id() const;
  Step profile() const;
  Step output_length() const;
  Step output_commitment() const;
  Step checkpoint() const;
  Step level() const;
  Step re_execute() const;
  Step compare(const Rerun& rerun) const;

  [[nodiscard]] Sha256 in_receipt(ByteView hash) const;
  [[nodiscard]] bool input_is(const job::Commitment& input) const;

  [[nodiscard]] const receipt::Receipt& stated() const { return receipt_->receipt; }
  [[nodiscard]] const manifest::Manifest& asked() const { return manifest_->manifest; }

  ByteView envelope_;
  const Evidence& evidence_;
  manifest::Level level_;
  std::optional<receipt::SignedReceipt> receipt_;
  std::optional<manifest::SignedManifest> manifest_;
};

Step Checks::run() {
  if (Step refusal = receipt_form_and_signature()) return refusal;
  if (Step refusal = provider_key()) return refusal;
  if (Step refusal = manifest_form_and_signature()) return refusal;
  constexpr std::array kBindings{
      &Checks::audience,          &Checks::job_id,       &Checks::job_kind, &Checks::module_hash,
      &Checks::input_commitment,  &Checks::execution_id, &Checks::profile,  &Checks::output_length,
      &Checks::output_commitment, &Checks::checkpoint,   &Checks::level};
  for (const auto binding : kBindings) {
    if (Step refusal = (this->*binding)()) return refusal;
  }
  return std::nullopt;
}

/// Form comes before signature: where the signature does not hold, the payload decides which of
/// the two is named.
template <typename Decode>
bool only_signature_fails(const Error& error, identity::Domain domain, ByteView envelope,
                          Decode&& decode_payload) {
  if (error.code != Code::verification_failed) return false;
  const auto form = identity::read_unverified(domain, envelope);
  return form && decode_payload(form->payload);
}

Step Checks::receipt_form_and_signature() {
  Result<receipt::SignedReceipt> opened = receipt::open(envelope_);
  if (opened) {
    receipt_ = *std::move(opened);
    return std::nullopt;
  }
  const bool signature = only_signature_fails(
      opened.error(), identity::Domain::receipt, envelope_,
      [](ByteView payload) { return receipt::decode_payload(payload).has_value(); });
  return Refusal{signature ? Check::signature : Check::receipt_form, opened.error().message};
}

Step Checks::provider_key() const {
  return require(!evidence_.provider || receipt_->provider == *evidence_.provider,
                 Check::provider_key,
                 "signed by another key than that of the peer the job went to");
}

Step Checks::manifest_form_and_signature() {
  Result<manifest::SignedManifest> opened = manifest::open(evidence_.manifest);
  if (opened) {
    manifest_ = *std::move(opened);
    return std::nullopt;
  }
  const bool signature = only_signature_fails(
      opened.error(), identity::Domain::manifest, evidence_.manifest,
      [](ByteView payload) { return manifest::decode_payload(payload).has_value(); });
  return Refusal{signature ? Check::manifest_signature : Check::manifest_form,
                 opened.error().message};
}

Step Checks::audience() const {
  return require(!asked().audience || *asked().audience == receipt_->provider, Check::audience,
                 "the manifest names another provider");
}

Step Checks::job_id() const {
  return require(stated().job_id == manifest_->id, Check::job_id,
                 "the receipt is for another manifest");
}

Step Checks::job_kind() const {
  return require(stated().job_kind == asked().job.index(), Check::job_kind,
                 "the receipt is for another kind of job");
}

/// A hash as this receipt should carry it.
Sha256 Checks::in_receipt(ByteView hash) const {
  if (evidence_.salt) return job::salted(*evidence_.salt, hash);
  Sha256 out;
  std::memcpy(out.value.data(), hash.data(), out.value.size());
  return out;
}

Step Checks::module_hash() const {
  if (stated().is_private != evidence_.salt.has_value()) {
    return Refusal{Check::module_hash, stated().is_private
                                           ? "the receipt is private and no salt is at hand"
                                           : "the job was private and the receipt is not"};
  }
  return require(
      stated().subject_id == in_receipt(job::subject_id(asked().job).bytes()) &&
          stated().subject_sha256 == in_receipt(job::subject_sha256(asked().job).bytes()),
      Check::module_hash, "the receipt is for another module or model");
}

bool Checks::input_is(const job::Commitment& input) const {
  return stated().input.length == input.length &&
         stated().input.sha256 == in_receipt(input.sha256.bytes());
}

Step Checks::input_commitment() const {
  const auto& own = evidence_.input;
  const auto& fixed = job::input_of(asked().job);
  if (own && !input_is(*own)) {
    return Refusal{Check::input_commitment, "the provider consumed another input than was sent"};
  }
  if (fixed ? input_is(*fixed) : own.has_value()) return std::nullopt;
  // A run that ended before its input did: the provider states how far it got.
  const bool ended_early = stated().completion.kind != receipt::CompletionKind::exited;
  if (ended_early && (!fixed || stated().input.length < fixed->length)) return std::nullopt;
  return Refusal{Check::input_commitment,
                 fixed ? "the provider consumed another input than the manifest's"
                       : "the input was streamed, and the verifier does not hold it"};
}

Step Checks::execution_id() const {
  job::Job job = asked().job;
  if (!job::complete(job)) {
    // A private receipt carries the input salted; the id is over the input itself.
    if (stated().is_private && !evidence_.input) {
      return Refusal{Check::execution_id,
                     "the input of a private job was streamed, and the verifier does not hold it"};
    }
    const job::Commitment input = stated().is_private ? *evidence_.input : stated().input;
    job = job::with_input(std::move(job), input);
  }
  const Sha256 expected = in_receipt(job::execution_id(job).bytes());
  return require(stated().execution_id.value == expected.value, Check::execution_id,
                 "the receipt is for another execution");
}

Step Checks::profile() const {
  return require(stated().profile == job::profile_of(asked().job), Check::profile,
                 "run under another profile");
}

Step Checks::output_length() const {
  if (!evidence_.output) return std::nullopt;
  if (stated().output.length == evidence_.output->length &&
      stated().output.segments == evidence_.output->segments) {
    return std::nullopt;
  }
  return Refusal{Check::output_length,
                 "the provider states " + std::to_string(stated().output.length) + " bytes in " +
                     std::to_string(stated().output.segments) + " segments, received were " +
                     std::to_string(evidence_.output->length) + " in " +
                     std::to_string(evidence_.output->segments)};
}

Step Checks::output_commitment() const {
  if (!evidence_.output) return std::nullopt;
  const Sha256 expected = in_receipt(evidence_.output->commitment.bytes());
  return require(stated().output.commitment.value == expected.value, Check::output_commitment,
                 "the output received is not the output the provider signed");
}

Step Checks::checkpoint() const {
  std::uint64_t sequence = 0;
  for (const SeenCheckpoint& seen : evidence_.checkpoints) {
    const Result<receipt::SignedCheckpoint> opened = receipt::open_checkpoint(seen.envelope);
    const std::string which = "checkpoint " + std::to_string(sequence);
    if (!opened) return Refusal{Check::checkpoint, which + ": " + opened.error().message};
    const receipt::Checkpoint& said = opened->checkpoint;
    if (opened->provider != receipt_->provider || said.job_id != stated().job_id ||
        said.sequence != sequence) {
      return Refusal{Check::checkpoint, which + " is of another run"};
    }
    // Not salted: a checkpoint goes to the requester alone (spec/receipt.md §6).
    if (said.output != seen.output) {
      return Refusal{Check::checkpoint, which + " disagrees with the output received by then"};
    }
    ++sequence;
  }
  return std::nullopt;
}

Step Checks::level() const {
  if (level_ == manifest::Level::signature) return std::nullopt;
  if (level_ == manifest::Level::re_execute) return re_execute();
  return Refusal{Check::level, "the level '" + std::string(manifest::level_name(level_)) +
                                   "' needs evidence that is not there"};
}

/// What a receipt states is compared with what the job comes to when it is run again.
Step Checks::re_execute() const {
  const auto* const wasm = std::get_if<job::WasmJob>(&asked().job);
  if (wasm == nullptr || wasm->profile != job::Profile::det_1) {
    return Refusal{Check::level, "only jobs of profile det-1 come to the same when run again"};
  }
  using Kind = receipt::CompletionKind;
  const receipt::Completion& completion = stated().completion;
  const bool by_fuel = completion.kind == Kind::limited && completion.reason == kReasonFuel;
  const bool by_stack = completion.kind == Kind::trapped && completion.reason == kReasonStack;
  const bool own_end = completion.kind == Kind::exited || completion.kind == Kind::trapped;
  if (by_stack || !(own_end || by_fuel)) {
    return Refusal{Check::level,
                   "the run was ended by what its provider had or allowed, which "
                   "nobody else can repeat"};
  }
  if (evidence_.repeater == nullptr) {
    return Refusal{Check::level, "running the job again takes its module and its input"};
  }
  const Result<Rerun> rerun = evidence_.repeater->repeat(*wasm);
  if (!rerun) return Refusal{Check::level, "not run again: " + rerun.error().text()};
  return compare(*rerun);
}

Step Checks::compare(const Rerun& rerun) const {
  using Kind = receipt::CompletionKind;
  const receipt::Completion& said = stated().completion;
  const receipt::Completion& came = rerun.completion;
  const bool limit_and_trap =
      (said.kind == Kind::limited && came.kind == Kind::trapped && rerun.beyond_budget) ||
      (said.kind == Kind::trapped && came.kind == Kind::limited);
  if (limit_and_trap) {
    return Refusal{Check::level,
                   "the run trapped about where its fuel ended: which came first "
                   "depends on how often the engine looks"};
  }
  if (said.kind != came.kind || said.exit_code != came.exit_code || said.reason != came.reason) {
    return Refusal{Check::rerun_completion, "run again, the job ended otherwise"};
  }
  if (said.kind == Kind::limited) return std::nullopt;  // how far it came may differ
  if (said.kind == Kind::exited && stated().fuel != rerun.fuel) {
    return Refusal{Check::rerun_fuel, "run again, the job used other fuel"};
  }
  const Sha256 expected = in_receipt(rerun.output.commitment.bytes());
  const bool same = stated().output.commitment.value == expected.value &&
                    stated().output.length == rerun.output.length &&
                    stated().output.segments == rerun.output.segments;
  return require(same, Check::rerun_output, "run again, the job wrote something else");
}

}  // namespace

std::string_view check_name(Check check) noexcept {
  PHASE_CHECK(static_cast<std::size_t>(check) < kCheckNames.size());
  return kCheckNames[static_cast<std::size_t>(check)];
}

std::string Verdict::text() const {
  if (!failed) return "receipt verified";
  return "receipt refused: " + std::string(check_name(*failed));
}

Verdict check(ByteView receipt_envelope, const Evidence& evidence, manifest::Level level) {
  Checks checks(receipt_envelope, evidence, level);
  Verdict verdict;
  if (Step refusal = checks.run()) {
    verdict.failed = refusal->check;
    verdict.detail = std::move(refusal->detail);
    return verdict;
  }
  verdict.verified = VerifiedReceipt(checks.take(), evidence.output.has_value());
  verdict.level = level;
  verdict.detail = "signed by " + identity::PeerId::from(verdict.verified->get().provider).text() +
                   (level == manifest::Level::re_execute ? "; run again with the same result"
                    : evidence.output                    ? ""
                                                         : "; output not checked");
  return verdict;
}

}  // namespace phase::verify
