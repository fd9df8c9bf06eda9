#include "worker/inference/inference_worker.h"

#include "worker/inference/loaded_model_internal.h"

namespace phase::worker {
namespace {

using inference::Process;
using inference::Request;

class RunningInference final : public Inference {
 public:
  RunningInference(std::shared_ptr<Process> process, std::shared_ptr<Request> request)
      : process_(std::move(process)), request_(std::move(request)) {}
  ~RunningInference() override { process_->drop(request_); }

  Task<Result<InferenceEvent>> next() override { return process_->next(request_); }
  void stop(receipt::Completion completion) override {
    process_->stop(request_, std::move(completion));
  }

 private:
  std::shared_ptr<Process> process_;
  std::shared_ptr<Request> request_;
};

class ModelInProcess final : public LoadedModel {
 public:
  explicit ModelInProcess(std::shared_ptr<Process> process) : process_(std::move(process)) {}
  ~ModelInProcess() override { process_->close(); }

  const ModelInfo& info() const noexcept override { return process_->readiness().info; }
  const EngineOptions& options() const noexcept override {
    return process_->readiness().loaded.options;
  }
  std::uint64_t memory_bytes() const noexcept override {
    return process_->readiness().loaded.memory_bytes;
  }
  std::uint64_t gpu_bytes() const noexcept override {
    return process_->readiness().loaded.gpu_bytes;
  }
  std::size_t busy() const noexcept override { return process_->busy(); }
  bool ended() const noexcept override { return process_->ended(); }
  const std::vector<std::string>& isolation() const noexcept override {
    return process_->isolation();
  }
  Task<Result<std::unique_ptr<Inference>>> start(InferenceRequest request) override {
    const auto process = process_;
    PHASE_CO_TRY(auto begun, co_await process->begin(std::move(request)));
    std::unique_ptr<Inference> running =
        std::make_unique<RunningInference>(process, std::move(begun));
    co_return running;
  }

 private:
  std::shared_ptr<Process> process_;
};

class LaunchingWorker final : public InferenceWorker {
 public:
  LaunchingWorker(asio::any_io_executor executor, std::unique_ptr<sandbox::Launcher> launcher)
      : executor_(std::move(executor)), launcher_(std::move(launcher)) {}

  const std::vector<std::string>& isolation() const noexcept override {
    return launcher_->hello().layers;
  }
  const std::string& missing_isolation() const noexcept override {
    return launcher_->hello().missing;
  }

  Task<Result<std::unique_ptr<LoadedModel>>> load(sandbox::FileDescriptor model,
                                                  EngineOptions options,
                                                  Progress progress) override {
    PHASE_CO_TRY(auto process, co_await open(std::move(model), options, false, progress));
    process->serve();
    std::unique_ptr<LoadedModel> loaded = std::make_unique<ModelInProcess>(std::move(process));
    co_return loaded;
  }

  Task<Result<ModelInfo>> inspect(sandbox::FileDescriptor model) override {
    const EngineOptions nothing;
    PHASE_CO_TRY(const auto process, co_await open(std::move(model), nothing, true, nullptr));
    ModelInfo info = process->readiness().info;
    co_return info;
  }

 private:
  Task<Result<std::shared_ptr<Process>>> open(sandbox::FileDescriptor model, EngineOptions options,
                                              bool inspect, Progress progress) {
    const auto& hello = launcher_->hello();
    const std::string runtime(printable(as_text(hello.about), kRuntimeBytesMax));
    const bool devices = !inspect && options.gpu_layers != 0 && runtime.find('+') != runtime.npos;
    const auto role = devices ? sandbox::Role::accelerate : sandbox::Role::infer;
    PHASE_CO_TRY(auto child, co_await launcher_->fork(role));
    const auto process =
        std::make_shared<Process>(executor_, std::move(child), hello.layers, runtime);
    const auto loaded =
        co_await process->load(std::move(model), options, inspect, std::move(progress));
    if (!loaded) co_return fail(loaded.error());
    co_return process;
  }

  static constexpr std::size_t kRuntimeBytesMax = 64;
  asio::any_io_executor executor_;
  std::unique_ptr<sandbox::Launcher> launcher_;
};

}  // namespace

Result<std::unique_ptr<InferenceWorker>> InferenceWorker::start(asio::any_io_executor executor,
                                                                Options options) {
  const auto isolation = options.isolated ? sandbox::Isolation::full : sandbox::Isolation::none;
  std::vector<std::string> words = {"--kind", "inference", "--isolation",
                                    std::string(sandbox::isolation_name(isolation))};
  if (!options.devices.empty()) words.insert(words.end(), {"--devices", options.devices});
  PHASE_TRY(auto launcher,
            sandbox::Launcher::start(executor, {options.worker_path, std::move(words)}));
  return std::make_unique<LaunchingWorker>(std::move(executor), std::move(launcher));
}

}  // namespace phase::worker
