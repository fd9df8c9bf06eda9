// job.h — what is run, and everything its result depends on. Normative: spec/job.md.
//
// A job holds no data: module, stdin and prompt stand in it by commitment and length; their bytes
// travel after the provider accepted. Equal jobs have equal ExecutionIds, whoever asks and however
// the bytes arrived. Pure values: nothing here blocks, reads a clock or throws.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"
#include "base/tree_hash.h"

namespace phase::job {

struct ExecutionIdTag;
/// SHA-256 of the job with all commitments filled in.
using ExecutionId = Hash<ExecutionIdTag>;

/// Secret of a private job: 32 random bytes of the requester (spec/job.md §5).
using Salt = std::array<std::uint8_t, 32>;

// Limits a decoder enforces. What a provider grants is its policy, never more than these.
inline constexpr std::size_t kModuleBytesMax = 50_MiB;
inline constexpr std::uint64_t kStdinBytesMax = 1ULL << 30;
inline constexpr std::uint64_t kPromptBytesMax = 16_MiB;
/// Text and notes (spec/inference.md §3) of one inference job.
inline constexpr std::uint64_t kInferenceOutputBytesMax = 64_MiB;
inline constexpr std::size_t kArgsMax = 256;
inline constexpr std::size_t kEnvMax = 256;
inline constexpr std::size_t kTextBytesMax = 4096;            ///< one argument, name or value
inline constexpr std::size_t kJobBytesMax = 40_KiB;           ///< the encoded job
inline constexpr std::uint64_t kMemoryBytesMax = 4ULL << 30;  ///< all a 32-bit module can address

/// Bytes by what they are: flat SHA-256 and length.
struct Commitment {
  Sha256 sha256;
  std::uint64_t length = 0;
  friend bool operator==(const Commitment&, const Commitment&) = default;
};
[[nodiscard]] Commitment commit(ByteView bytes);

/// A module or other artifact: tree id (any range checkable), flat hash (checked over the whole),
/// length.
struct ArtifactRef {
  ArtifactId id;
  Sha256 sha256;
  std::uint64_t length = 0;
  friend bool operator==(const ArtifactRef&, const ArtifactRef&) = default;
};
[[nodiscard]] ArtifactRef reference(ByteView bytes);

/// Limits under which a wasm job runs. A limit that is hit ends the job with a signed receipt
/// naming it.
struct WasmLimits {
  std::uint64_t fuel = 10'000'000'000;  ///< units of spec/fuel.md; > 0
  std::uint64_t memory_bytes =
      128_MiB;  ///< linear memory, all memories together; ≤ kMemoryBytesMax
  std::uint64_t table_elements = 1'000'000;  ///< all tables together
  std::uint64_t output_bytes = 64_MiB;       ///< stdout and stderr together
  friend bool operator==(const WasmLimits&, const WasmLimits&) = default;
};

/// How equal two runs are. Only `fast` is granted until the conformance suite of det-1 exists.
enum class Profile : std::uint8_t { fast = 0, det_1 = 1 };
[[nodiscard]] std::string_view profile_name(Profile profile) noexcept;  ///< "fast", "det-1"

struct WasmJob {
  ArtifactRef module;
  std::string entry = "_start";
  std::vector<std::string> args;  ///< argv[1...]; argv[0] is "module" (spec/job.md §2)
  std::map<std::string, std::string> env;
  std::optional<Commitment> stdin_commitment;  ///< absent: streamed, known only at its end
  WasmLimits limits;
  Profile profile = Profile::fast;
  std::uint64_t clock_start_ns = 0;  ///< CLOCK_REALTIME of the guest at start, ns since 1970
  std::array<std::uint8_t, 32> random_seed{};
  friend bool operator==(const WasmJob&, const WasmJob&) = default;
};

/// Sampling of a language model; parts per million where a float would stand. Absent: the model's
/// default.
struct Sampling {
  std::uint64_t seed = 0;
  std::optional<std::int64_t> temperature_ppm, top_p_ppm, min_p_ppm, typical_p_ppm,
      repeat_penalty_ppm, presence_penalty_ppm, frequency_penalty_ppm;
  std::optional<std::int64_t> top_k, repeat_last_n;
  friend bool operator==(const Sampling&, const Sampling&) = default;
};

/// What the prompt's bytes are (spec/inference.md §1). Values are on the wire; never reused.
enum class PromptKind : std::uint8_t { text = 0, request = 1, embed = 2, rerank = 3 };

struct InferenceJob {
  ArtifactId model;        ///< content id of the weights
  std::string model_name;  ///< for people; not trusted
  PromptKind prompt_kind = PromptKind::text;
  std::optional<Commitment> prompt;  ///< the prompt's bytes, sent after acceptance
  Sampling sampling;
  std::uint64_t tokens_max = 0;      ///< > 0
  std::uint64_t context_tokens = 0;  ///< 0: the model's own
  std::vector<std::string> stop;
  std::optional<Commitment> grammar;  ///< constrains the output; bytes sent after acceptance
  friend bool operator==(const InferenceJob&, const InferenceJob&) = default;
};

using Job = std::variant<WasmJob, InferenceJob>;

/// The one encoding of a job.
[[nodiscard]] Bytes encode(const Job& job);
/// Reads a job from untrusted bytes. Errors: Code::malformed (with the offset), Code::too_large,
/// Code::version_unknown for a profile this program does not know.
[[nodiscard]] Result<Job> decode(ByteView bytes);

/// What `decode` would say of the encoding of this job: for jobs built from somebody's words,
/// before they are signed.
[[nodiscard]] Result<void> check(const Job& job);

// What the job stream asks of a job, whatever its kind.

/// The module that travels with the job; null for a kind that names what its provider holds.
[[nodiscard]] const ArtifactRef* module_of(const Job& job) noexcept;
/// Commitment of the bytes that follow acceptance: stdin or prompt; absent where they are streamed.
[[nodiscard]] const std::optional<Commitment>& input_of(const Job& job) noexcept;
/// The job with that commitment filled in.
[[nodiscard]] Job with_input(Job job, const Commitment& input);
[[nodiscard]] std::uint64_t input_bytes_max(const Job& job) noexcept;
[[nodiscard]] std::uint64_t output_bytes_max(const Job& job) noexcept;
[[nodiscard]] Profile profile_of(const Job& job) noexcept;
/// What a receipt says was run: artifact id of module or model, and the flat hash of a module (zero
/// for a model).
[[nodiscard]] Sha256 subject_id(const Job& job) noexcept;
[[nodiscard]] Sha256 subject_sha256(const Job& job) noexcept;
/// "wasm" or "inference", as capabilities name kinds.
[[nodiscard]] std::string_view kind_name(const Job& job) noexcept;

/// True when every commitment is there, so that an ExecutionId exists.
[[nodiscard]] bool complete(const Job& job);
/// Requires complete(job) (checked).
[[nodiscard]] ExecutionId execution_id(const Job& job);
/// SHA-256(salt ‖ hash): what a private job's receipt and logs carry instead of `hash`.
[[nodiscard]] Sha256 salted(const Salt& salt, ByteView hash);

}  // namespace phase::job
