// model.h — a model file inside the locked-down process: what it says of itself, and the engine's
// model and context made from it. Linked into phase-worker only.
#pragma once

#include <functional>
#include <memory>

#include "worker/inference/message.h"

struct llama_model;
struct llama_context;
struct llama_vocab;
struct common_chat_templates;

namespace phase::worker::inference {

struct Freed {
  void operator()(llama_model* model) const;
  void operator()(llama_context* context) const;
  void operator()(common_chat_templates* templates) const;
};

/// Keeps what the engine logs as errors, which is all it says about a file it refuses. One per
/// process, from `listen` on.
class EngineLog {
 public:
  static void listen();
  /// The last errors, newest last, and forgets them.
  [[nodiscard]] static std::string take();
};

/// A model that is loaded, and its one context.
struct Model {
  std::unique_ptr<llama_model, Freed> model;
  std::unique_ptr<llama_context, Freed> context;
  /// The model's own chat template; null when it has none or a malformed one.
  std::unique_ptr<common_chat_templates, Freed> templates;
  const llama_vocab* vocab = nullptr;
  ModelInfo info;
  EngineOptions options;  ///< as granted
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpu_bytes = 0;  ///< of them, on devices
};

using LoadProgress = std::function<void(float)>;

/// What the file says of itself. `file` is open for reading; its bytes are a stranger's.
/// Errors: Code::malformed, Code::unsupported.
[[nodiscard]] Result<ModelInfo> inspect_model(sandbox::FileDescriptor file, std::uint64_t bytes);

/// Loads weights and makes the context. Weights are mapped, not copied, where the engine can use
/// them as they stand. Errors: Code::malformed, Code::too_large when memory does not suffice,
/// Code::unsupported.
[[nodiscard]] Result<Model> load_model(sandbox::FileDescriptor file, std::uint64_t bytes,
                                       const EngineOptions& options, const LoadProgress& progress);

}  // namespace phase::worker::inference
