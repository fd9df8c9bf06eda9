#include "worker/inference/inference_work.h"

#include <cstdlib>
#include <exception>

#include <poll.h>
#include <unistd.h>

#include "llama.h"
#include "log.h"
#include "worker/inference/engine.h"
#include "worker/sandbox/control.h"

namespace phase::worker {
namespace {

using namespace inference;

constexpr int kExitParentUnclear = 76;  // EX_PROTOCOL
// Private memory of a process that was given no limit: what the engine may copy of the weights, and
// state and buffers beside them.
constexpr std::uint64_t kMemoryOverheadBytes = 4096_MiB;

// Of the process: an engine that aborts says why, and to whom is not its to know.
Outbox*& outbox_of_process() {
  static Outbox* outbox = nullptr;
  return outbox;
}

// The engine found something it cannot go on from. While a model is loading the parent hears it.
void say_abort(const char* message) {
  if (Outbox* outbox = outbox_of_process()) {
    outbox->say(Refused{Refusal::malformed, message});
    outbox->flush();
  }
  ::_exit(sandbox::control::kExitAborted);
}

void end_uncaught() {
  ::_exit(sandbox::control::kExitAborted);
}

// Back ends beside the processor's that this program was built with, as receipts name them.
constexpr std::string_view kDeviceEngine =
#if defined(GGML_USE_CUDA)
    "+cuda";
#elif defined(GGML_USE_HIP)
    "+hip";
#elif defined(GGML_USE_VULKAN)
    "+vulkan";
#elif defined(GGML_USE_METAL)
    "+metal";
#else
    "";
#endif

bool runs_here() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

Refusal refusal_of(Code code) {
  if (code == Code::too_large) return Refusal::too_large;
  return code == Code::unsupported ? Refusal::unsupported : Refusal::malformed;
}

void say_info(const ModelInfo& info, Outbox& outbox) {
  const Bytes encoded = encode(info);
  for (ByteView rest = encoded; !rest.empty();) {
    const ByteView piece = rest.first(std::min(rest.size(), kRecordDataMax));
    outbox.say(InfoPiece{piece});
    rest = rest.subspan(piece.size());
  }
}

// Takes what is there; waits for something when there is nothing to do. False: the parent is gone.
Result<bool> listen(Engine& engine, Outbox& outbox, int socket, std::span<std::uint8_t> buffer) {
  for (;;) {
    pollfd wanted{socket, POLLIN, 0};
    const bool busy = engine.busy();
    if (!busy) outbox.flush();
    const int ready = ::poll(&wanted, 1, busy ? 0 : -1);
    if (ready == 0) return true;
    if (ready < 0) continue;  // a signal
    PHASE_TRY(const sandbox::Received received, sandbox::receive_message(socket, buffer));
    if (received.kind != sandbox::Received::Kind::message) return false;
    PHASE_TRY(const FromParent message, decode_from_parent(ByteView(buffer).first(received.bytes)));
    PHASE_TRY_VOID(engine.take(message));
  }
}

Result<void> serve(Model model, Outbox& outbox, int socket, std::span<std::uint8_t> buffer) {
  Engine engine(std::move(model), outbox);
  while (outbox.open()) {
    PHASE_TRY(const bool there, listen(engine, outbox, socket, buffer));
    if (!there) return {};
    engine.step();
  }
  return {};
}

Result<void> run_model(const Load& load, sandbox::FileDescriptor file, int socket,
                       std::span<std::uint8_t> buffer) {
  Outbox outbox(socket);
  outbox_of_process() = &outbox;
  const auto refuse = [&outbox](const Error& error) -> Result<void> {
    outbox.say(Refused{refusal_of(error.code), error.message});
    outbox.flush();
    return {};
  };
  const std::uint64_t begun = monotonic_ns();
  if (load.inspect) {
    const auto info = inspect_model(std::move(file), load.model_bytes);
    if (!info) return refuse(info.error());
    say_info(*info, outbox);
    outbox.say(Loaded{0, 0, monotonic_ns() - begun, load.options});
    outbox.flush();
    return {};
  }
  std::uint32_t told_percent = 0;
  auto model = load_model(std::move(file), load.model_bytes, load.options, [&](float progress) {
    const auto percent = static_cast<std::uint32_t>(progress * 100);
    if (percent <= told_percent) return;
    told_percent = percent;
    outbox.say(Loading{percent * 10'000});
    outbox.flush();
  });
  if (!model) return refuse(model.error());
  say_info(model->info, outbox);
  outbox.say(Loaded{model->memory_bytes, model->gpu_bytes, monotonic_ns() - begun, model->options});
  outbox.flush();
  outbox_of_process() = nullptr;
  return serve(*std::move(model), outbox, socket, buffer);
}

}  // namespace

Result<Bytes> InferenceWork::prepare() {
  if (!runs_here()) {
    return fail(Code::unsupported, "this program needs a processor with AVX2 and FMA");
  }
  ::setenv("GGML_NO_BACKTRACE", "1", 1);
  common_log_set_verbosity_thold(-1);
  EngineLog::listen();
  // Reads what it wants to know of the machine while it may. Drivers do not survive a fork: where
  // there are some, each child begins for itself.
  if (!has_devices()) llama_backend_init();
  std::set_terminate(end_uncaught);
  ggml_set_abort_callback(say_abort);
  return to_bytes("llama.cpp-" + std::string(llama_version()) + std::string(kDeviceEngine));
}

bool InferenceWork::has_devices() const {
  return !kDeviceEngine.empty();
}

// What a driver wants of the system it must want now: once the layers are there, nothing can be
// opened any more.
Result<void> InferenceWork::open_devices() {
  for (const char* name :
       {"GGML_VK_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}) {
    if (!devices_.empty()) ::setenv(name, devices_.c_str(), 1);
  }
  ::setenv("MESA_SHADER_CACHE_DISABLE", "1", 1);  // there will be no file to keep it in
  ::setenv("CUDA_CACHE_DISABLE", "1", 1);
  llama_backend_init();
  for (std::size_t i = 0; i < ggml_backend_dev_count(); i++) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU) continue;
    if (ggml_backend_dev_init(device, nullptr) == nullptr) {  // kept open as long as we live
      return fail(Code::unavailable, "a device of the engine cannot be opened");
    }
  }
  return {};
}

sandbox::Limits InferenceWork::limits(sandbox::Role /*role*/) const {
  sandbox::Limits limits;
  limits.cpu_seconds = UINT64_MAX;  // as long as it is wanted
  return limits;
}

int InferenceWork::run(sandbox::Role /*role*/, int socket) {
  if (has_devices()) llama_backend_init();  // does nothing where the devices are open
  Bytes buffer(sandbox::kMessageBytesMax);
  auto received = sandbox::receive_message(socket, buffer);
  if (!received) return code_exit_status(received.error().code);
  if (received->kind == sandbox::Received::Kind::closed) return 0;  // never needed
  const auto message = decode_from_parent(ByteView(buffer).first(received->bytes));
  if (!message || received->descriptors.size() != 1) return kExitParentUnclear;
  const auto* load = std::get_if<Load>(&*message);
  if (load == nullptr) return kExitParentUnclear;
  const std::uint64_t memory = load->options.memory_bytes_max != 0
                                   ? load->options.memory_bytes_max
                                   : 2 * load->model_bytes + kMemoryOverheadBytes;
  if (sandbox::kMemoryLimitsApply) {
    if (const auto limited = sandbox::limit_data(memory); !limited) return kExitParentUnclear;
  }
  const auto done = run_model(*load, std::move(received->descriptors[0]), socket, buffer);
  return done ? 0 : code_exit_status(done.error().code);
}

}  // namespace phase::worker
