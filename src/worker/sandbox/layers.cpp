#include "worker/sandbox/layers.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace phase::sandbox {

Result<void> close_descriptors(int first) {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return {};
  if (errno != ENOSYS) return fail_errno(errno, "closing inherited descriptors failed");
  // Before Linux 5.9: one by one, up to the limit.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return fail_errno(errno, "reading the descriptor limit failed");
  }
  constexpr rlim_t kDescriptorsMax = 1U << 20;
  const auto end = static_cast<int>(std::min(limit.rlim_cur, kDescriptorsMax));
  for (int number = first; number < end; number++) ::close(number);
  return {};
}

void clear_environment() noexcept {
  ::clearenv();
}

Result<void> forbid_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fail_errno(errno, "setting no_new_privs failed");
  }
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return fail_errno(errno, "making the process undumpable failed");
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
          0);  // fails before Linux 4.3: then there are none
  // Without CAP_SETPCAP this fails for each; then there is also nothing to regain from the bounding
  // set, for no_new_privs forbids programs that would.
  constexpr int kCapabilitiesMax = 64;
  for (int capability = 0; capability < kCapabilitiesMax; capability++) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) {
    return fail_errno(errno, "dropping capabilities failed");
  }
  return {};
}

Namespaces enter_namespaces() {
  Namespaces entered;
  const auto enter = [&entered](int flag, std::string_view name) {
    if (::unshare(flag) == 0) return true;
    if (!entered.missing.empty()) entered.missing += "; ";
    entered.missing += std::string(name) + " namespace: " + std::strerror(errno);
    return false;
  };
  // The user namespace first: the others need a capability that it brings.
  entered.user = enter(CLONE_NEWUSER, "user");
  entered.network = enter(CLONE_NEWNET, "network");
  entered.ipc = enter(CLONE_NEWIPC, "ipc");
  entered.uts = enter(CLONE_NEWUTS, "uts");
  return entered;
}

namespace {

Result<void> limit(__rlimit_resource_t resource, std::uint64_t value, std::string_view name) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) {
    return fail_errno(errno, "reading the limit of " + std::string(name) + " failed");
  }
  // A hard limit below ours stays: it cannot be raised and is stricter.
  const rlim_t wanted = std::min<rlim_t>(value, now.rlim_max);
  const rlimit lower{wanted, wanted};
  if (::setrlimit(resource, &lower) != 0) {
    return fail_errno(errno, "limiting " + std::string(name) + " failed");
  }
  return {};
}

}  // namespace

Result<void> apply_limits(const Limits& limits) {
  PHASE_TRY_VOID(limit(RLIMIT_CORE, 0, "core dumps"));
  PHASE_TRY_VOID(limit(RLIMIT_FSIZE, 0, "file sizes"));
  PHASE_TRY_VOID(limit(RLIMIT_MEMLOCK, 0, "locked memory"));
  PHASE_TRY_VOID(limit(RLIMIT_MSGQUEUE, 0, "message queues"));
  PHASE_TRY_VOID(limit(RLIMIT_NOFILE, limits.descriptors, "descriptors"));
  PHASE_TRY_VOID(limit(RLIMIT_CPU, limits.cpu_seconds, "processor time"));
  if (kMemoryLimitsApply && limits.address_space_bytes != 0) {
    PHASE_TRY_VOID(limit(RLIMIT_AS, limits.address_space_bytes, "address space"));
  }
  if (limits.data_bytes) PHASE_TRY_VOID(limit_data(*limits.data_bytes));
  return {};
}

Result<void> limit_data(std::uint64_t bytes) {
  return limit(RLIMIT_DATA, bytes, "data");
}

}  // namespace phase::sandbox
