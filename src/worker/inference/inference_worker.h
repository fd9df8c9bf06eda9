// inference_worker.h — one model in one locked-down process, many sequences at once.
//
// The process gets the model as one read-only descriptor, reads it after lock-down, and then serves
// requests over one socket: prompts, templates, grammars and model files are a stranger's and are
// never parsed anywhere else. What requests and answers hold is spec/inference.md. Everything here
// belongs to one executor; nothing blocks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/receipt/receipt.h"
#include "worker/sandbox/descriptor.h"

namespace phase::worker {

/// Sequences decoded at once by one process.
inline constexpr std::uint32_t kSequencesMax = 64;
/// Processor time, in seconds, that a template, a grammar or a tokenizer may take of a request
/// before the process ends: nothing in them can be interrupted.
inline constexpr std::uint32_t kRequestCpuSeconds = 30;
/// Requests of one process that wait for a sequence; more are refused with Code::busy.
inline constexpr std::size_t kInferenceQueueMax = 512;
/// What an inspected model may say of itself, as JSON.
inline constexpr std::size_t kModelMetadataBytesMax = 1_MiB;

/// What the engine says of a model. Of a stranger's file: texts are bounded, not believed.
struct ModelInfo {
  std::string architecture;  ///< "llama", "bert"
  std::string name;          ///< general.name, or empty
  std::string quantization;  ///< "F16", "Q4_K_M", as Ollama names file types
  std::uint64_t parameters = 0;
  std::uint64_t context_tokens = 0;  ///< the model was trained with
  std::uint64_t embedding_length = 0;
  std::uint64_t vocabulary = 0;
  bool completes = false;  ///< generates text
  bool embeds = false;     ///< an embedding model: pooling is defined
  bool chats = false;      ///< has a chat template
  bool calls_tools = false, thinks = false, infills = false, ranks = false;
  std::string chat_template;
  std::string metadata;  ///< JSON object of the file's keys; long arrays as null
};

struct EngineOptions {
  std::uint32_t context_tokens = 0;  ///< of one sequence; 0: 4096 or what the model has, if less
  std::uint32_t sequences = 4;       ///< 1 … kSequencesMax
  std::uint32_t batch_tokens = 512;
  std::uint32_t threads = 1;           ///< recipes: more only where processors are free
  std::int32_t gpu_layers = -1;        ///< -1: all, where there is a GPU
  std::uint64_t memory_bytes_max = 0;  ///< of the process; 0: from the file's size
  std::uint32_t request_cpu_seconds = kRequestCpuSeconds;  ///< at least 1
};

/// A request as the engine takes it. `job.prompt` is not looked at: `prompt` is the bytes.
struct InferenceRequest {
  job::InferenceJob job;
  Bytes prompt;
  /// Who asks, opaque. Computed state (KV) is used again only between requests of one caller;
  /// empty: never.
  std::string caller;
};

/// Timings and counts, measured by the engine.
struct InferenceProgress {
  std::string stage;  ///< "load", "prompt", "eval", "cached" (spec/inference.md §3)
  std::uint64_t done = 0, total = 0;
};
struct InferenceEnd {
  receipt::Completion completion;
  receipt::Claimed claimed;
  std::string message;  ///< for people, when the completion is `invalid` or `failed`
};
using InferenceEvent = std::variant<job::OutputPiece, InferenceProgress, InferenceEnd>;

/// One request on its way. Destroying it cancels it and frees its place.
class Inference {
 public:
  virtual ~Inference() = default;
  /// The next event; after InferenceEnd nothing follows. A lost process is InferenceEnd {failed,
  /// "worker_lost"}. Errors: Code::internal.
  [[nodiscard]] virtual Task<Result<InferenceEvent>> next() = 0;
  /// Stops decoding at the next token; `next` then delivers what was written and InferenceEnd with
  /// `completion`. Idempotent.
  virtual void stop(receipt::Completion completion) = 0;
};

/// A model that is loaded. Destroying it ends its process.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  [[nodiscard]] virtual const ModelInfo& info() const noexcept = 0;
  [[nodiscard]] virtual const EngineOptions& options() const noexcept = 0;  ///< as granted
  [[nodiscard]] virtual std::uint64_t memory_bytes() const noexcept = 0;  ///< weights, KV, buffers
  [[nodiscard]] virtual std::uint64_t gpu_bytes() const noexcept = 0;     ///< of them, on devices
  [[nodiscard]] virtual std::size_t busy() const noexcept = 0;            ///< requests on their way
  [[nodiscard]] virtual bool ended() const noexcept = 0;                  ///< process gone
  [[nodiscard]] virtual const std::vector<std::string>& isolation() const noexcept = 0;
  /// Errors: Code::busy above kInferenceQueueMax, Code::unavailable when the process is gone.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Inference>>> start(
      InferenceRequest request) = 0;
};

/// Starts processes of the kind `inference`.
class InferenceWorker {
 public:
  struct Options {
    std::string worker_path;  ///< phase-worker
    bool isolated = true;     ///< false: no layer; for tests and platforms without them
    /// Which accelerators, as their driver counts them ("0,1"); empty: all it recommends, which no
    /// driver in software is. Builds without accelerators have none.
    std::string devices = {};
  };
  using Progress = std::function<void(double)>;  ///< 0 … 1; on the executor, must not block

  /// Errors: Code::not_found without the worker program, Code::io, timed_out, internal.
  [[nodiscard]] static Result<std::unique_ptr<InferenceWorker>> start(
      asio::any_io_executor executor, Options options);
  virtual ~InferenceWorker() = default;

  /// Layers in force around every model, ascending; exactly {"none"} without.
  [[nodiscard]] virtual const std::vector<std::string>& isolation() const noexcept = 0;
  /// Layers that are not there and why, for people; or empty.
  [[nodiscard]] virtual const std::string& missing_isolation() const noexcept = 0;

  /// Loads a model from a descriptor open for reading. Errors: Code::malformed for a file the
  /// engine refuses or dies of (message for people), Code::too_large beyond memory, Code::cancelled
  /// when the coroutine is, Code::unavailable.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<LoadedModel>>> load(
      sandbox::FileDescriptor model, EngineOptions options, Progress progress) = 0;
  /// Reads what a file says of itself without its weights, in a process of its own.
  [[nodiscard]] virtual Task<Result<ModelInfo>> inspect(sandbox::FileDescriptor model) = 0;
};

}  // namespace phase::worker
