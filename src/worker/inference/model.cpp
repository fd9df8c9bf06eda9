#include "worker/inference/model.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "chat.h"
#include "gguf.h"
#include "llama-ext.h"
#include "llama.h"
#include "worker/inference/metadata.h"
#include "worker/sandbox/mapping.h"

namespace phase::worker::inference {
namespace {

constexpr std::uint32_t kContextDefault = 4096;
constexpr std::uint32_t kBatchTokensMax = 8192;
constexpr std::uint32_t kThreadsMax = 64;
// In every one of them the engine keeps state per sequence.
static_assert(kSequencesMax <= 64);

std::string& last_errors() {
  static std::string text;
  return text;
}

void hear(ggml_log_level level, const char* text, void* /*nothing*/) {
  std::string& errors = last_errors();
  if (level != GGML_LOG_LEVEL_ERROR || errors.size() > 2 * kSayingBytesMax) return;
  errors += text;
}

struct GgufFreed {
  void operator()(gguf_context* file) const { gguf_free(file); }
  void operator()(ggml_context* tensors) const { ggml_free(tensors); }
};

Result<ModelInfo> read_keys(int file, std::uint64_t bytes) {
  const sandbox::Mapping mapping(file, bytes);
  if (!mapping.valid()) return fail(Code::malformed, "the model file is empty or cannot be mapped");
  ggml_context* made = nullptr;
  const std::unique_ptr<gguf_context, GgufFreed> keys(
      gguf_init_from_buffer(mapping.view().data(), bytes, {true, &made}));
  const std::unique_ptr<ggml_context, GgufFreed> tensors(made);
  if (!keys) return fail(Code::malformed, "not a GGUF file: " + EngineLog::take());
  std::uint64_t parameters = 0;
  for (ggml_tensor* at = ggml_get_first_tensor(tensors.get()); at != nullptr;
       at = ggml_get_next_tensor(tensors.get(), at)) {
    parameters += static_cast<std::uint64_t>(ggml_nelements(at));
  }
  return info_of(*keys, parameters);
}

bool report(float progress, void* to) {
  (*static_cast<const LoadProgress*>(to))(progress);
  return true;
}

// The engine reads and maps through a stream; the layers leave no way to open or copy one by name.
struct Opened {
  std::FILE* file = nullptr;
  explicit Opened(sandbox::FileDescriptor number) : file(::fdopen(number.get(), "rb")) {
    if (file != nullptr) (void)number.release();
  }
  ~Opened() {
    if (file != nullptr) std::fclose(file);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

Result<std::unique_ptr<llama_model, Freed>> open_model(std::FILE* file, bool vocabulary_only,
                                                       const EngineOptions& options,
                                                       const LoadProgress& progress) {
  llama_model_params params = llama_model_default_params();
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  params.vocab_only = vocabulary_only;
  params.n_gpu_layers = options.gpu_layers;
  params.progress_callback = report;
  params.progress_callback_user_data = const_cast<LoadProgress*>(&progress);
  std::rewind(file);
  std::unique_ptr<llama_model, Freed> model(llama_model_load_from_file_ptr(file, params));
  if (!model) return fail(Code::malformed, "the engine refuses the model: " + EngineLog::take());
  return model;
}

// What only the engine's reading of vocabulary and template tells.
void complete_info(ModelInfo& info, const llama_model& model, common_chat_templates* templates) {
  const llama_vocab* vocab = llama_model_get_vocab(&model);
  info.infills = llama_vocab_fim_pre(vocab) != LLAMA_TOKEN_NULL &&
                 llama_vocab_fim_suf(vocab) != LLAMA_TOKEN_NULL &&
                 llama_vocab_fim_mid(vocab) != LLAMA_TOKEN_NULL;
  if (templates == nullptr) {
    info.chats = false;
    return;
  }
  try {
    const auto can = common_chat_templates_get_caps(templates);
    const auto tools = can.find("supports_tools"), calls = can.find("supports_tool_calls");
    info.calls_tools =
        (tools != can.end() && tools->second) || (calls != can.end() && calls->second);
    info.thinks = common_chat_templates_support_enable_thinking(templates);
  } catch (const std::exception&) {
    info.calls_tools = info.thinks = false;
  }
}

std::unique_ptr<common_chat_templates, Freed> read_template(const ModelInfo& info,
                                                            const llama_model& model) {
  if (!info.chats) return nullptr;
  try {
    auto read = common_chat_templates_init(&model, "");
    return std::unique_ptr<common_chat_templates, Freed>(read.release());
  } catch (const std::exception&) {
    return nullptr;
  }
}

EngineOptions grant(const EngineOptions& wanted, const ModelInfo& info) {
  EngineOptions granted = wanted;
  const auto trained = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(info.context_tokens, UINT32_MAX / kSequencesMax));
  if (granted.context_tokens == 0) {
    granted.context_tokens = trained == 0 ? kContextDefault : std::min(trained, kContextDefault);
  }
  granted.context_tokens = std::min(granted.context_tokens, UINT32_MAX / kSequencesMax);
  // Positions beyond training have no meaning for learned position embeddings, which are a table.
  if (info.embeds && trained != 0)
    granted.context_tokens = std::min(granted.context_tokens, trained);
  granted.sequences = std::clamp<std::uint32_t>(wanted.sequences, 1, kSequencesMax);
  granted.threads = std::clamp<std::uint32_t>(wanted.threads, 1, kThreadsMax);
  granted.request_cpu_seconds = std::max<std::uint32_t>(wanted.request_cpu_seconds, 1);
  // A token of each sequence goes into one step; what is pooled goes in as a whole.
  granted.batch_tokens = std::clamp(wanted.batch_tokens, granted.sequences, kBatchTokensMax);
  if (info.embeds) granted.batch_tokens = std::max(granted.batch_tokens, granted.context_tokens);
  return granted;
}

std::unique_ptr<llama_context, Freed> make_context(llama_model& model, const ModelInfo& info,
                                                   const EngineOptions& options) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = options.context_tokens * options.sequences;
  params.n_batch = options.batch_tokens;
  params.n_ubatch = options.batch_tokens;
  params.n_seq_max = options.sequences;
  params.n_threads = static_cast<std::int32_t>(options.threads);
  params.n_threads_batch = static_cast<std::int32_t>(options.threads);
  params.embeddings = info.embeds;
  if (!info.embeds) params.n_outputs_max = options.sequences;  // else room for a batch of logits
  params.no_perf = true;
  // Each sequence has its own part of the cache: a fixed context, and no work for others' tokens.
  params.kv_unified = false;
  return std::unique_ptr<llama_context, Freed>(llama_init_from_model(&model, params));
}

void measure(Model& model) {
  for (const auto& [where, data] : llama_get_memory_breakdown(model.context.get())) {
    const std::uint64_t bytes = data.model + data.context + data.compute;
    model.memory_bytes += bytes;
    if (ggml_backend_dev_t device = ggml_backend_buft_get_device(where);
        device != nullptr && !ggml_backend_buft_is_host(where) &&
        ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) {
      model.gpu_bytes += bytes;
    }
  }
}

}  // namespace

void Freed::operator()(llama_model* model) const {
  llama_model_free(model);
}
void Freed::operator()(llama_context* context) const {
  llama_free(context);
}
void Freed::operator()(common_chat_templates* templates) const {
  common_chat_templates_free(templates);
}

void EngineLog::listen() {
  llama_log_set(hear, nullptr);
}

std::string EngineLog::take() {
  std::string text = std::exchange(last_errors(), {});
  std::ranges::replace(text, '\n', ' ');
  return text;
}

Result<ModelInfo> inspect_model(sandbox::FileDescriptor file, std::uint64_t bytes) {
  PHASE_TRY(ModelInfo info, read_keys(file.get(), bytes));
  const Opened opened(std::move(file));
  if (opened.file == nullptr) return fail(Code::malformed, "the model file cannot be read");
  const LoadProgress nothing = [](float) {};
  PHASE_TRY(const auto model, open_model(opened.file, true, {}, nothing));
  const auto templates = read_template(info, *model);
  complete_info(info, *model, templates.get());
  return info;
}

Result<Model> load_model(sandbox::FileDescriptor file, std::uint64_t bytes,
                         const EngineOptions& options, const LoadProgress& progress) {
  Model out;
  PHASE_TRY(out.info, read_keys(file.get(), bytes));
  const Opened opened(std::move(file));
  if (opened.file == nullptr) return fail(Code::malformed, "the model file cannot be read");
  PHASE_TRY(out.model, open_model(opened.file, false, options, progress));
  out.vocab = llama_model_get_vocab(out.model.get());
  out.options = grant(options, out.info);
  out.context = make_context(*out.model, out.info, out.options);
  if (!out.context) {
    return fail(Code::too_large,
                "there is no memory for the model's context: " + EngineLog::take());
  }
  out.templates = read_template(out.info, *out.model);
  complete_info(out.info, *out.model, out.templates.get());
  measure(out);
  return out;
}

}  // namespace phase::worker::inference
