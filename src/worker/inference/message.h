// message.h — what the parent and an inference child say to each other.
//
//   parent → child   load (with the model's descriptor); then for each request begin, prompt*, and
//                    perhaps cancel, pause, resume
//   child → parent   loading*, info*, then loaded or refused; then output*, progress*, end for each
//                    request
//
// From the parent, one message is one packet. From the child, one packet holds one or more records
// behind each other, so that a decoding step that moves many requests costs one system call.
// Everything a child says is untrusted: `decode_from_child` accepts exactly the forms below; what
// they claim is for the receiver to bound.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "worker/inference/inference_worker.h"
#include "worker/sandbox/message.h"

namespace phase::worker::inference {

/// Most bytes of one output record, prompt piece or piece of model information.
inline constexpr std::size_t kRecordDataMax = 32_KiB;
/// A caller's name (InferenceRequest::caller).
inline constexpr std::size_t kCallerBytesMax = 256;
/// An encoded ModelInfo: template and metadata, and small things.
inline constexpr std::size_t kInfoBytesMax = 2 * kModelMetadataBytesMax + 64_KiB;
/// What an engine may say for people.
inline constexpr std::size_t kSayingBytesMax = 512;
/// Stop strings of a request, all together; what a job may hold besides (spec/job.md §4).
inline constexpr std::size_t kStopBytesMax = 40_KiB;

// --- from the parent

/// Comes with one descriptor: the model, open for reading.
struct Load {
  std::uint64_t model_bytes = 0;
  bool inspect = false;  ///< say what it is, and end
  EngineOptions options;
};
struct Begin {
  std::uint32_t id = 0;
  job::InferenceJob
      job;  ///< prompt kind, sampling, limits and stop strings travel; the rest does not
  std::string caller;
  std::uint64_t prompt_bytes = 0;
};
struct PromptPiece {
  std::uint32_t id = 0;
  ByteView data;  ///< never empty, at most kRecordDataMax
};
/// What a request of this id is to do now.
enum class Word : std::uint8_t { cancel = 3, pause = 4, resume = 5 };
struct Tell {
  std::uint32_t id = 0;
  Word word = Word::cancel;
};
using FromParent = std::variant<Load, Begin, PromptPiece, Tell>;

[[nodiscard]] Bytes encode(const Load& load);
/// Errors: Code::too_large for a caller or stop strings above their limits.
[[nodiscard]] Result<Bytes> encode(const Begin& begin);
/// What stands before the data of a piece.
[[nodiscard]] Bytes prompt_head(std::uint32_t id);
[[nodiscard]] Bytes encode(const Tell& tell);
/// Errors: Code::malformed. Views point into `bytes`.
[[nodiscard]] Result<FromParent> decode_from_parent(ByteView bytes);

// --- from the child

/// How a request ended. One byte; receipts carry the words of `completion_of`.
enum class End : std::uint8_t {
  exited = 0,
  tokens = 1,
  context = 2,
  cancelled = 3,
  prompt_malformed = 4,
  prompt_too_long = 5,
  suffix_unsupported = 6,
  template_malformed = 7,
  grammar_malformed = 8,
  model_unfit = 9,
  memory = 10,
  engine_failed = 11,
};
/// The words for an end. Total: every value has one.
[[nodiscard]] receipt::Completion completion_of(End end);

enum class Stage : std::uint8_t { load = 0, prompt = 1, eval = 2, cached = 3 };
/// "load", "prompt", "eval", "cached".
[[nodiscard]] std::string_view stage_name(Stage stage) noexcept;

struct Output {
  std::uint32_t id = 0;
  job::OutputStream stream = job::OutputStream::out;
  ByteView data;  ///< never empty, at most kRecordDataMax
};
struct Moved {
  std::uint32_t id = 0;
  Stage stage = Stage::prompt;
  std::uint64_t done = 0, total = 0;
};
struct Ended {
  std::uint32_t id = 0;
  End end = End::engine_failed;
  std::uint64_t cpu_us = 0;  ///< its share of the process's time
  std::string message;       ///< for people; at most kSayingBytesMax, printable
};
struct Loading {
  std::uint32_t ppm = 0;  ///< ≤ 1,000,000
};
struct InfoPiece {
  ByteView data;  ///< never empty
};
/// The engine is ready; `info` pieces are complete.
struct Loaded {
  std::uint64_t memory_bytes = 0;  ///< weights, KV, buffers
  std::uint64_t gpu_bytes = 0;     ///< of them, on devices
  std::uint64_t load_ns = 0;
  EngineOptions options;  ///< as granted
};
enum class Refusal : std::uint8_t { malformed = 0, too_large = 1, unsupported = 2 };
struct Refused {
  Refusal refusal = Refusal::malformed;
  std::string message;  ///< for people; at most kSayingBytesMax, printable
};
using FromChild = std::variant<Output, Moved, Ended, Loading, InfoPiece, Loaded, Refused>;

/// Appends a record. Data above its limit is cut: callers split it first.
void append(Bytes& packet, const FromChild& record);
/// Bytes of a record beside its data, at most; a packet holds sandbox::kMessageBytesMax.
inline constexpr std::size_t kRecordHeadMax = 16;
/// Errors: Code::malformed. Views point into `bytes`. At least one record.
[[nodiscard]] Result<std::vector<FromChild>> decode_from_child(ByteView bytes);

[[nodiscard]] Bytes encode(const ModelInfo& info);
/// Errors: Code::malformed, Code::too_large.
[[nodiscard]] Result<ModelInfo> decode_info(ByteView bytes);

/// Text with U+FFFD in place of what is not UTF-8.
[[nodiscard]] std::string well_formed(std::string_view text);

}  // namespace phase::worker::inference
