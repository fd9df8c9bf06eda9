// wasm_work.h — the inside of a worker process of kind `wasm`: one child compiles one module, or
// runs one job, and ends. Talks to the parent as message.h says. Linked by apps/phase_worker.
#pragma once

#include <optional>

#include "worker/sandbox/zygote.h"
#include "worker/wasm/engine.h"

namespace phase::worker {

/// Address space of a child, reservations for linear memory and guards included.
inline constexpr std::uint64_t kAddressSpaceBytes = 64ULL << 30;
/// Private memory of a run besides linear memory, tables and code: the engine, stacks, buffers.
inline constexpr std::uint64_t kRunOverheadBytes = 96ULL << 20;
/// Private memory for each element of a table.
inline constexpr std::uint64_t kTableElementBytes = 16;

class WasmWork final : public sandbox::Work {
 public:
  Result<Bytes> prepare() override;
  sandbox::Limits limits(sandbox::Role role) const override;
  int run(sandbox::Role role, int socket) override;

 private:
  [[nodiscard]] Engine& engine(job::Profile profile);

  std::optional<Engine> fast_, deterministic_;
};

}  // namespace phase::worker
