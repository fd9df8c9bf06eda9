// verify.h — receipt ⇄ manifest ⇄ output: verified, or the check that failed. Normative:
// spec/verify.md.
//
// The only maker of VerifiedReceipt. Store, pages and reputation accept nothing else.
// Nothing here reads a clock or throws; nothing blocks but a repeater that was passed in.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "protocol/job/output.h"
#include "protocol/manifest/manifest.h"
#include "protocol/receipt/receipt.h"

namespace phase::verify {

/// Checks in the order they are made; the first that fails is named. Wire names are the
/// enumerators.
enum class Check : std::uint8_t {
  receipt_form,   ///< deterministic CBOR, COSE_Sign1, known version
  signature,      ///< Ed25519 over exactly these bytes under phase/receipt/2
  provider_key,   ///< signed by the peer the job went to
  manifest_form,  ///< our own manifest, as kept
  manifest_signature,
  audience,  ///< the manifest named another provider
  job_id,    ///< the receipt is for this manifest
  job_kind,
  module_hash,  ///< module or model
  input_commitment,
  execution_id,
  profile,
  output_length,
  output_commitment,
  checkpoint,        ///< a checkpoint disagrees with the output
  level,             ///< the asked level cannot be reached with this evidence
  commit,            ///< what was revealed is not what the provider had committed to
  rerun_completion,  ///< the job, run again, ended otherwise
  rerun_fuel,
  rerun_output,
};
[[nodiscard]] std::string_view check_name(Check check) noexcept;

/// A checkpoint that came while the job ran, with what the verifier had received by then.
struct SeenCheckpoint {
  ByteView envelope;
  job::OutputSummary output;  ///< of the verifier's own chain when the checkpoint arrived
};

/// What a job came to when somebody other than its provider ran it.
struct Rerun {
  receipt::Completion completion;
  std::optional<std::uint64_t> fuel;  ///< of a run that exited
  job::OutputSummary output;
  bool beyond_budget = false;  ///< it trapped where it could not pay (spec/fuel.md §2, Limit)
};

/// Runs a job again, with the module and the input that it was made with. Implemented by whoever
/// has something to run it on.
class Repeater {
 public:
  virtual ~Repeater() = default;
  /// Errors: Code::invalid_argument for another module or input than the job's, Code::unsupported
  /// for a job that it cannot run.
  [[nodiscard]] virtual Result<Rerun> repeat(const job::WasmJob& job) = 0;
};

/// What the verifier holds besides the receipt. Absent output: the output is not checked, and the
/// verdict says so.
struct Evidence {
  ByteView manifest;  ///< envelope bytes
  /// Whom the job went to; absent: any signer passes `provider_key`, and the manifest's audience,
  /// if it names one, is insisted on by `audience`.
  std::optional<identity::PublicKey> provider;
  std::optional<job::Commitment> input;              ///< required when stdin was streamed
  std::optional<job::OutputSummary> output;          ///< recomputed from the bytes received
  std::optional<job::Salt> salt;                     ///< present exactly for a private job
  std::span<const SeenCheckpoint> checkpoints = {};  ///< in order of arrival; borrowed
  Repeater* repeater = nullptr;                      ///< for level `re-execute`; borrowed
};

/// A receipt that passed. Only `check` makes one.
class VerifiedReceipt {
 public:
  [[nodiscard]] const receipt::SignedReceipt& get() const noexcept { return signed_; }
  [[nodiscard]] bool output_checked() const noexcept { return output_checked_; }

 private:
  friend struct Verdict check(ByteView, const Evidence&, manifest::Level);
  VerifiedReceipt(receipt::SignedReceipt s, bool output_checked)
      : signed_(std::move(s)), output_checked_(output_checked) {}
  receipt::SignedReceipt signed_;
  bool output_checked_;
};

struct Verdict {
  std::optional<VerifiedReceipt> verified;
  std::optional<manifest::Level> level;  ///< reached; absent when refused
  std::optional<Check> failed;           ///< the first check that failed; absent when verified
  std::string detail;                    ///< one sentence for a person

  [[nodiscard]] bool ok() const noexcept { return verified.has_value(); }
  /// "receipt verified" or "receipt refused: <check>".
  [[nodiscard]] std::string text() const;
};

/// Never throws; every input is untrusted. Level `re-execute` takes as long as the repeater does;
/// levels beside it and `signature` fail with Check::level until their evidence exists.
[[nodiscard]] Verdict check(ByteView receipt_envelope, const Evidence& evidence,
                            manifest::Level level = manifest::Level::signature);

}  // namespace phase::verify
