// layers.h — the walls around a worker process, one function each, so that each can be applied,
// tested and missed alone.
//
// Every function acts on the calling process, for good: nothing here can be undone, and children
// inherit it. Call them while there is one thread. None of them throws; an error leaves the process
// less confined than asked, so callers must not go on to touch untrusted bytes.
//
//   layer               keeps out
//   close_descriptors   whatever the parent had open
//   clear_environment   the parent's secrets in variables
//   forbid_privileges   set-user-id programs (no_new_privs), memory dumps, all capabilities
//   enter_namespaces    network interfaces, System V IPC; capabilities of the real user namespace
//   apply_landlock      every path in the file system, TCP, signals and abstract sockets outside
//   apply_limits        memory, file sizes, descriptors, processor time above a bound
//   apply_seccomp       every system call that running compiled code does not need
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

struct sock_filter;

namespace phase::sandbox {

/// Names as they stand in receipts (spec/receipt.md key 9).
inline constexpr std::string_view kLayerSeccomp = "seccomp";
inline constexpr std::string_view kLayerLandlock = "landlock";
inline constexpr std::string_view kLayerUserNamespace = "user_namespace";
inline constexpr std::string_view kLayerNetworkNamespace = "network_namespace";
inline constexpr std::string_view kLayerLimits = "rlimits";
inline constexpr std::string_view kIsolationNone = "none";

/// What a process is for, hence which system calls it needs.
enum class Role : std::uint8_t {
  zygote = 0,      ///< forks the others; runs nothing of a stranger
  compile = 1,     ///< may start threads
  execute = 2,     ///< the least
  infer = 3,       ///< may start threads, and read and map a file it was handed
  accelerate = 4,  ///< as infer, and speaks with the devices it opened before
};

/// Closes every descriptor from `first` on.
[[nodiscard]] Result<void> close_descriptors(int first);

/// Removes every environment variable.
void clear_environment() noexcept;

/// no_new_privs, not dumpable (so no ptrace and no /proc/<pid>/mem from outside), no capabilities.
[[nodiscard]] Result<void> forbid_privileges();

struct Namespaces {
  bool user = false, network = false, ipc = false, uts = false;
  std::string missing;  ///< why one is not there; empty when all are
};
/// Enters new ones as far as the system lets this user.
[[nodiscard]] Namespaces enter_namespaces();

/// Denies every file system access and, where the kernel can, TCP and reaching outside by signal or
/// abstract socket, to the calling thread. Errors: Code::unsupported when the kernel has no
/// Landlock, Code::io.
[[nodiscard]] Result<void> apply_landlock();
/// Whether the kernel has it; changes nothing.
[[nodiscard]] Result<void> has_landlock();

/// Hard limits of a process; each becomes both its soft and hard limit.
struct Limits {
  std::uint64_t address_space_bytes = 0;    ///< reservations included; 0: left as it is
  std::optional<std::uint64_t> data_bytes;  ///< private writable memory
  std::uint64_t descriptors = 16;           ///< numbers below this may be open
  std::uint64_t cpu_seconds = 3600;         ///< SIGXCPU, then SIGKILL
};
/// False in builds with AddressSanitizer, whose shadow is larger than any limit: memory is then not
/// limited.
#if defined(__SANITIZE_ADDRESS__)
#define PHASE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PHASE_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef PHASE_ADDRESS_SANITIZER
inline constexpr bool kMemoryLimitsApply = false;
#else
inline constexpr bool kMemoryLimitsApply = true;
#endif
/// Besides the given ones: no core dump, no file may grow, no locked memory, no message queue.
[[nodiscard]] Result<void> apply_limits(const Limits& limits);
/// Lowers the data limit alone, when a process learns what it is to run.
[[nodiscard]] Result<void> limit_data(std::uint64_t bytes);

/// Whether the kernel has seccomp filters; changes nothing.
[[nodiscard]] Result<void> has_seccomp();

/// A seccomp filter ready to be installed: building one is slow, installing it is not.
class Filter {
 public:
  /// Everything not on the role's list fails with EPERM; a foreign architecture kills. Errors:
  /// Code::internal.
  [[nodiscard]] static Result<Filter> make(Role role);
  /// Holds every thread of the process. Requires no_new_privs. Errors: Code::unsupported, Code::io.
  [[nodiscard]] Result<void> install() const;

 private:
  std::vector<std::uint64_t> program_;  // sock_filter, 8 bytes each
};

}  // namespace phase::sandbox
