// cpu_guard.h — bounds the processor time of what a stranger's template or grammar makes the engine
// do. Nothing in it can be interrupted, so the kernel ends the process (SIGXCPU) when it is too
// much.
#pragma once

#include <cstdint>

namespace phase::worker::inference {

class CpuGuard {
 public:
  /// From now on the process may use so much, in whole seconds, rounded up.
  explicit CpuGuard(std::uint64_t seconds) noexcept;
  ~CpuGuard();
  CpuGuard(const CpuGuard&) = delete;
  CpuGuard& operator=(const CpuGuard&) = delete;
};

}  // namespace phase::worker::inference
