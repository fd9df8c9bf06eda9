#include "worker/inference/cpu_guard.h"

#include <algorithm>
#include <ctime>

#include <sys/resource.h>

namespace phase::worker::inference {

CpuGuard::CpuGuard(std::uint64_t seconds) noexcept {
  timespec used{};
  rlimit limit{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  if (::getrlimit(RLIMIT_CPU, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, static_cast<rlim_t>(used.tv_sec) + 1 + seconds);
  ::setrlimit(RLIMIT_CPU, &limit);
}

CpuGuard::~CpuGuard() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CPU, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_CPU, &limit);
}

}  // namespace phase::worker::inference
