// engine.h — wasmtime, as far as a worker needs it: compile a module, run a compiled one. Lives in
// worker processes only (links phase::rust_wasm). Not thread-safe.
//
// Features: the WebAssembly 2.0 core specification, with fixed-width SIMD under profile `fast`
// only, without externref; one memory, one table. Threads, relaxed SIMD, GC, exceptions, tail
// calls, multiple memories and 64-bit memories are refused.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "wasi/wasi.h"
#include "worker/wasm/message.h"

namespace phase::worker {

/// Stack of a guest's calls; beyond it: trap "stack_overflow".
inline constexpr std::size_t kWasmStackBytes = 1_MiB;

/// What a run comes to under det-1 depends on `profile` alone: the others change speed only, which
/// tests/differential shows.
struct EngineSettings {
  job::Profile profile = job::Profile::fast;
  bool parallel = false;  ///< compile with several threads: only for a process that then ends
  bool optimise = true;
  bool copy_on_write = false;  ///< memory begins as an image of the module's data
};

class Engine {
 public:
  /// Errors: Code::internal.
  [[nodiscard]] static Result<Engine> make(const EngineSettings& settings);
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  /// "wasmtime-48".
  [[nodiscard]] static std::string runtime_name();
  /// Compiles a small fixed module and runs it, so that code and state that every run needs are in
  /// memory before the first fork. Returns a hash that differs whenever compiled modules of two
  /// engines cannot be exchanged.
  [[nodiscard]] Result<Sha256> warm_up();
  /// Runs that module again, in a fresh child before it has anything to do: the pages that a run
  /// writes are then the child's own already. Errors: Code::internal, also when `warm_up` was not
  /// called.
  [[nodiscard]] Result<void> rehearse();

  /// The module in machine code, with what `run` must know of it in front.
  /// Errors as a Refused message; Code::internal never leaves here.
  [[nodiscard]] tl::expected<Bytes, Refused> compile(ByteView module);

  /// Runs a module that an equal engine compiled, a job of this engine's profile. `compiled` must
  /// be authentic: it is executed.
  /// Returns when the guest is done; only `world` can end it early.
  [[nodiscard]] RunReport run(ByteView compiled, const job::WasmJob& job, wasi::World& world);

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace phase::worker
