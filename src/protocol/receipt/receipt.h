// receipt.h — the result of a job, signed by the provider that ran it. Normative: spec/receipt.md.
//
// Proves: the holder of the provider's key stated this result for this job.
// Does not prove: that the computation was performed correctly. For that, climb the ladder
// (src/protocol/verify). Pure values: nothing here blocks, reads a clock or throws.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "identity/identity.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/manifest/manifest.h"

namespace phase::receipt {

/// Largest encoded receipt payload without evidence. A receipt is nearly fixed-shape; this is ten
/// times the usual.
inline constexpr std::size_t kReceiptBytesMax = 16_KiB;
/// A reason, or the name of an isolation layer.
inline constexpr std::size_t kWordBytesMax = 64;
inline constexpr std::size_t kIsolationMax = 16;
static_assert(kReceiptBytesMax < identity::kEnvelopeBytesMax);

/// How a run ended. Values are on the wire; never reused.
enum class CompletionKind : std::uint8_t {
  exited = 0,     ///< the module ended by itself, with `exit_code`
  trapped = 1,    ///< `reason` names the trap, for example "unreachable", "stack_overflow"
  limited = 2,    ///< `reason` names the limit: fuel, memory, table, output, wall, compile
  cancelled = 3,  ///< by the requester
  invalid =
      4,  ///< the module cannot run: "module_malformed", "import_undefined", "entry_missing", …
  failed = 5,  ///< the provider could not finish: "worker_lost", "input_incomplete", "shutdown"
};
[[nodiscard]] std::string_view completion_name(CompletionKind kind) noexcept;

struct Completion {
  CompletionKind kind = CompletionKind::exited;
  std::int64_t exit_code = 0;  ///< meaningful for `exited` only; else 0
  std::string reason;          ///< [a-z0-9_]{1,64}; not written for `exited` and `cancelled`
  friend bool operator==(const Completion&, const Completion&) = default;
};

/// What the provider says of itself and nobody can check from the receipt. Unknown keys are
/// ignored.
struct Claimed {
  std::optional<std::uint64_t> wall_us, cpu_us, memory_bytes_peak, fuel, energy_mj;
  std::optional<std::uint64_t> started_unix_ms, finished_unix_ms;
  std::optional<std::string> runtime;  ///< for example "wasmtime-48"
  friend bool operator==(const Claimed&, const Claimed&) = default;
};

struct Receipt {
  manifest::JobId job_id;
  /// Private jobs: salted(salt, execution id); else the execution id itself.
  job::ExecutionId execution_id;
  bool is_private = false;
  std::uint8_t job_kind = 0;  ///< 0 wasm, 1 inference
  Sha256 subject_id;          ///< artifact id of module or model (salted when private)
  Sha256 subject_sha256;      ///< flat hash of the module; zero for a model (salted when private)
  job::Commitment input;  ///< stdin or prompt, as consumed to its end (hash salted when private)
  job::OutputSummary output;  ///< (commitment salted when private)
  Completion completion;
  job::Profile profile = job::Profile::fast;
  std::vector<std::string> isolation;  ///< layers in force: seccomp, landlock, user_namespace,
                                       ///< network_namespace, rlimits; or exactly "none"
  std::optional<std::uint64_t> fuel;   ///< at return, only where the profile makes it checkable
  Claimed claimed;
  std::map<std::string, Bytes> evidence;  ///< optional, by name; ignored when unknown
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

/// A receipt whose form and signature hold. Bound to nothing yet: `verify::check` does that.
struct SignedReceipt {
  Receipt receipt;
  identity::PublicKey provider;
  Bytes envelope;  ///< exact bytes
};

[[nodiscard]] Bytes encode_payload(const Receipt& receipt);
[[nodiscard]] Result<Receipt> decode_payload(ByteView payload);
[[nodiscard]] SignedReceipt sign(const Receipt& receipt, const identity::KeyPair& key);
/// Errors: Code::malformed, too_large, version_unknown, verification_failed (signature).
[[nodiscard]] Result<SignedReceipt> open(ByteView envelope);

/// A statement about a run that goes on: so many bytes, this chain state. Normative:
/// spec/receipt.md §6.
struct Checkpoint {
  manifest::JobId job_id;
  std::uint64_t sequence = 0;  ///< 0, 1, 2, …
  job::OutputSummary output;   ///< as if the output ended here
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};
struct SignedCheckpoint {
  Checkpoint checkpoint;
  identity::PublicKey provider;
  Bytes envelope;
};
[[nodiscard]] SignedCheckpoint sign(const Checkpoint& checkpoint, const identity::KeyPair& key);
[[nodiscard]] Result<SignedCheckpoint> open_checkpoint(ByteView envelope);

/// Redundancy: a provider commits to its answer before it sees others' (spec/receipt.md §7).
///   value = SHA-256("phase/commit/2" ‖ nonce ‖ provider key ‖ output commitment ‖ completion
///   encoding)
struct Commit {
  manifest::JobId job_id;
  Sha256 value;
  friend bool operator==(const Commit&, const Commit&) = default;
};
[[nodiscard]] Sha256 commit_value(const std::array<std::uint8_t, 32>& nonce,
                                  const identity::PublicKey& provider,
                                  const job::OutputCommitment& output,
                                  const Completion& completion);
struct SignedCommit {
  Commit commit;
  identity::PublicKey provider;
  Bytes envelope;
};
[[nodiscard]] SignedCommit sign(const Commit& commit, const identity::KeyPair& key);
[[nodiscard]] Result<SignedCommit> open_commit(ByteView envelope);

}  // namespace phase::receipt
