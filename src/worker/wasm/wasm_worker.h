// wasm_worker.h — runs wasm jobs, each in a locked-down process of its own. Implements
// provider::Worker.
//
// One zygote (phase-worker --kind wasm), warmed up; a few children forked ahead of need; each
// compiles one module or runs one job and ends. This side links no engine and parses nothing a
// module produced beyond worker/wasm/message.h. Belongs to one executor. Nothing blocks it, except
// `start` once, and some milliseconds for a small cache entry.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/provider/worker.h"
#include "worker/sandbox/zygote.h"
#include "worker/wasm/module_store.h"

namespace phase::worker {

/// What compiling a stranger's module may cost.
struct CompileLimits {
  Duration wall = 20s;
  std::uint64_t memory_bytes = 2048_MiB;   ///< private memory of the compiling process
  std::uint64_t compiled_bytes = 256_MiB;  ///< size of the result
  std::size_t threads = 2;
  std::size_t running_max = 1;   ///< at once; more wait
  std::size_t waiting_max = 16;  ///< beyond: Code::busy
};

class WasmWorker final : public provider::Worker {
 public:
  struct Options {
    std::string worker_path;   ///< the program phase-worker
    std::string cache_folder;  ///< compiled modules; made when missing
    CacheKey
        cache_key{};  ///< 32 random bytes of this node, kept secret; a new key empties the cache
    std::size_t executions_max = 4;
    std::size_t idle_children = 2;  ///< forked ahead of need
    sandbox::Isolation isolation = sandbox::Isolation::full;
    std::uint64_t cache_disk_bytes_max = 1024_MiB;
    std::uint64_t cache_memory_bytes_max = 128_MiB;
    CompileLimits compile;
  };
  /// Starts the worker program and waits until it is ready. Errors: Code::invalid_argument for
  /// options that do not fit together, Code::not_found for the program, and what launching and
  /// opening the cache give.
  [[nodiscard]] static Result<std::unique_ptr<WasmWorker>> start(asio::any_io_executor executor,
                                                                 Options options);
  /// Ends the worker program and every run. Executions must be gone.
  ~WasmWorker() override;

  [[nodiscard]] Result<void> takes(const job::Job& job) const override;
  [[nodiscard]] bool holds_module(const job::Job& job) const override;
  [[nodiscard]] Task<Result<void>> prepare(const job::Job& job, ByteView module) override;
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override;
  /// The same: a process serves one run, so who asks makes no difference.
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(const job::WasmJob& job);

  /// For capabilities and receipts, for example "wasmtime-48".
  [[nodiscard]] const std::string& runtime() const noexcept;
  /// Layers in force around every run, ascending; exactly {"none"} without.
  [[nodiscard]] const std::vector<std::string>& isolation() const noexcept;
  /// What the operator should know: layers this system does not have, and why.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept;
  [[nodiscard]] std::size_t executions_running() const noexcept;

  /// The cache, for tests and measurements.
  [[nodiscard]] ModuleStore& modules() noexcept;
  /// Process id of the zygote, for tests and diagnosis.
  [[nodiscard]] int zygote_pid() const noexcept;

 private:
  struct State;
  explicit WasmWorker(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with coroutines that refill and compile
};

}  // namespace phase::worker
