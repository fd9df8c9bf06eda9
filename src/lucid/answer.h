// answer.h — what the HTTP faces of lucidd ask of the node: inference with a receipt, and models.
//
// The faces (src/api/ollama, src/api/openai) translate; whoever implements this decides where a
// request runs, signs, verifies and keeps. Prompts and notes are spec/inference.md. Everything
// belongs to one executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/receipt/receipt.h"

namespace phase::lucid {

/// Requests of the owner's programs that wait for a model; more are refused with Code::busy.
inline constexpr std::size_t kAsksWaitingMax = 512;

/// How long a model stays loaded after its last answer. Absent: the node's setting (5 minutes).
/// Negative: for ever. Zero: it is unloaded at once.
using KeepAlive = std::optional<Duration>;

struct Ask {
  std::string model;  ///< as the client wrote it
  std::uint8_t prompt_kind = 1;
  Bytes prompt;
  job::Sampling sampling;
  bool seeded = false;               ///< false: `sampling.seed` is chosen at random
  std::uint64_t tokens_max = 0;      ///< 0: until the model ends, under the operator's ceiling
  std::uint64_t context_tokens = 0;  ///< 0: the node's setting
  std::vector<std::string> stop;
  KeepAlive keep_alive;
  bool local_only = false;
  bool require_verified = false;  ///< nothing is heard of an answer before it is verified
  bool hedge = false;             ///< elsewhere: a second provider is asked when the first is late
  std::string conversation;       ///< affinity and prefix reuse; may be empty
  /// Engine options of this request that need the model loaded with them (num_batch, num_gpu, …).
  std::optional<std::uint32_t> batch_tokens, threads;
  std::optional<std::int32_t> gpu_layers;
};

enum class Verdict : std::uint8_t { pending, verified, refused };

/// Who does it. Heard before the first byte of an answer, and again when another takes over.
struct Route {
  std::string routed_via;  ///< "local" or "peer:<last 8 of the PeerId>"
  std::string served_by;   ///< PeerId of the provider
  std::string job_id;      ///< handle under which GET /api/receipts/<job> answers
};
struct Progress {
  std::string stage;
  std::uint64_t done = 0, total = 0;
};
/// What was heard of the answer is void: it begins again elsewhere.
struct Restart {};
/// An attempt whose output is not the answer: its provider was lost or silent, declined, gave up,
/// was refused, or came second.
struct Earlier {
  std::string job_id;     ///< GET /api/receipts/<job> answers where a receipt came
  std::string served_by;  ///< PeerId
  std::string result;  ///< pending, lost, declined, refused (receipt); or how the receipt says it
                       ///< ended: failed, cancelled, exited, …
};
struct Finished {
  receipt::Completion completion;
  Verdict verdict = Verdict::pending;
  std::string failed_check;           ///< when refused
  std::string message;                ///< for people, when the completion is `invalid` or `failed`
  Duration total{};                   ///< from ask to here
  std::vector<Earlier> earlier = {};  ///< in the order they were asked
};
using AnswerEvent = std::variant<Route, job::OutputPiece, Progress, Restart, Finished>;

/// One ask on its way. Destroying it cancels the work wherever it runs.
class Answer {
 public:
  virtual ~Answer() = default;
  /// Errors before the first piece: Code::not_found (no such model), busy (with a hint when to come
  /// again), unavailable, invalid_argument, too_large; after it also connection_closed. After
  /// Finished or an error nothing follows.
  [[nodiscard]] virtual Task<Result<AnswerEvent>> next() = 0;
};

struct ModelDetails {
  std::string format = "gguf", family, parameter_size, quantization_level, parent_model;
  std::vector<std::string> families;
  std::uint64_t context_length = 0, embedding_length = 0;
};
struct Model {
  std::string name;    ///< "tiny:latest"
  std::string digest;  ///< 64 hex digits: SHA-256 of the weights
  std::uint64_t size = 0;
  std::uint64_t modified_unix_ns = 0;
  ModelDetails details;
  std::vector<std::string> capabilities;  ///< completion, tools, insert, thinking, embedding
};
struct RunningModel {
  Model model;
  std::uint64_t memory_bytes = 0, gpu_bytes = 0, context_length = 0;
  std::optional<std::uint64_t> expires_unix_ns;  ///< absent: never
};
/// What `/api/create` laid over the weights of a model.
struct ModelRecipe {
  std::string from, template_text, system, license;
  std::string parameters;  ///< JSON object of options, or empty
  std::string messages;    ///< JSON list, or empty
};
struct ModelView {
  Model model;
  ModelRecipe recipe;
  std::string chat_template;
  std::string metadata;  ///< JSON object of the file's keys
  std::uint64_t parameters = 0;
};
/// One line of a pull, push or create.
struct TransferLine {
  std::string status, digest;
  std::optional<std::uint64_t> total, completed;
};
class Transfer {
 public:
  virtual ~Transfer() = default;
  /// The next line; nothing at the end. Destroying it stops the transfer, which can be resumed.
  [[nodiscard]] virtual Task<Result<std::optional<TransferLine>>> next() = 0;
};

class Models {
 public:
  virtual ~Models() = default;
  [[nodiscard]] virtual Task<Result<std::vector<Model>>> list() = 0;
  [[nodiscard]] virtual std::vector<RunningModel> running() = 0;
  /// Errors: Code::not_found.
  [[nodiscard]] virtual Task<Result<ModelView>> show(std::string name) = 0;
  [[nodiscard]] virtual Task<Result<void>> copy(std::string from, std::string to) = 0;
  [[nodiscard]] virtual Task<Result<void>> remove(std::string name) = 0;
  /// `files`: name in the recipe → digest of an uploaded blob.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Transfer>>> create(
      std::string name, ModelRecipe recipe,
      std::vector<std::pair<std::string, std::string>> files) = 0;
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Transfer>>> pull(std::string name) = 0;
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Transfer>>> push(std::string name) = 0;
  /// `digest`: "sha256:<64 hex>".
  [[nodiscard]] virtual bool has_blob(const std::string& digest) = 0;
  /// A file that takes an upload; `commit` checks the digest (Code::verification_failed) and keeps
  /// it, true when it was not there before. Destroyed without: nothing is left.
  class Upload {
   public:
    virtual ~Upload() = default;
    [[nodiscard]] virtual Task<Result<void>> write(ByteView bytes) = 0;
    [[nodiscard]] virtual Task<Result<bool>> commit() = 0;
  };
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Upload>>> upload(std::string digest) = 0;
};

/// The node, as its faces see it.
class Lucid {
 public:
  virtual ~Lucid() = default;
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Answer>>> ask(Ask ask) = 0;
  /// Loads a model, or unloads it (keep_alive 0), without asking it anything.
  [[nodiscard]] virtual Task<Result<void>> load(std::string model, KeepAlive keep_alive) = 0;
  [[nodiscard]] virtual Models& models() = 0;
  /// The COSE receipt of a job, and what it takes to check it (manifest, output). Errors:
  /// Code::not_found.
  struct Kept {
    Bytes receipt, manifest, prompt;
    std::vector<job::OutputPiece> output;
  };
  [[nodiscard]] virtual Task<Result<Kept>> receipt(std::string job_id) = 0;
};

}  // namespace phase::lucid
