// model_pool.h — which models are in memory: loads on demand, within a budget, and lets go of what
// nobody used for longest.
//
// A model that answers somebody is never let go. Belongs to one executor.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "lucid/answer.h"
#include "lucid/catalog.h"
#include "worker/inference/inference_worker.h"

namespace phase::lucid {

/// A model stays so long after its last answer unless the client says otherwise (as Ollama).
inline constexpr Duration kKeepAliveDefault = 300s;

class ModelPool {
 public:
  struct Options {
    std::uint64_t memory_bytes_max = 0;  ///< of all loaded models; 0: three quarters of the machine
    std::size_t models_max = 0;          ///< loaded at once; 0: as many as fit
    worker::EngineOptions engine;        ///< where a request does not say
    Duration keep_alive = kKeepAliveDefault;
  };
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    Catalog& catalog;
    worker::InferenceWorker* worker;  ///< null: echo only
    spdlog::logger& log;
  };
  ModelPool(World world, Options options);
  ~ModelPool();

  struct Slot;  ///< this folder's own
  /// A loaded model in use. Destroying it lets the keep-alive begin.
  class Lease {
   public:
    Lease(std::shared_ptr<Slot> slot, KeepAlive keep_alive);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    [[nodiscard]] worker::LoadedModel& model() noexcept;

   private:
    std::shared_ptr<Slot> slot_;
    KeepAlive keep_alive_;
  };
  using LeasePtr = std::shared_ptr<Lease>;

  /// What a request needs of the engine beyond the pool's own options; 0 and absent: as they are.
  struct Wish {
    std::uint32_t context_tokens = 0;
    std::optional<std::uint32_t> batch_tokens, threads;
    std::optional<std::int32_t> gpu_layers;
    /// Who asks holds a lease of this model already: it stands in no line, where it would wait for
    /// itself.
    bool holds_lease = false;
  };
  using Progress = std::function<void(double)>;
  /// The model, loaded if it was not. Waits while others leave no room, at most kAsksWaitingMax at
  /// once. First come, first served: whoever needs a model to end its work (for its room, or to
  /// load it anew with other options) waits for those before it only, and later ones wait for it.
  /// Errors: Code::busy (too many wait), too_large (never fits), malformed, unavailable.
  [[nodiscard]] Task<Result<LeasePtr>> acquire(LocalModelPtr model, Wish wish, KeepAlive keep_alive,
                                               Progress progress);
  /// Lets go of a model as soon as nobody uses it.
  void unload(const ArtifactId& id);
  [[nodiscard]] std::vector<RunningModel> running() const;
  /// Requests being answered or waiting for a model.
  [[nodiscard]] std::size_t busy() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with leases and timers
};

/// Three quarters of the machine's memory.
[[nodiscard]] std::uint64_t memory_budget();

}  // namespace phase::lucid
