// Landlock by its system calls: no library, and the constants of newer kernels that older headers
// lack. Source: Documentation/userspace-api/landlock.rst of Linux 6.12.
#include <cerrno>

#include <sys/syscall.h>
#include <unistd.h>

#include "worker/sandbox/descriptor.h"
#include "worker/sandbox/layers.h"

namespace phase::sandbox {
namespace {

struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;  // since ABI 4
  std::uint64_t scoped;              // since ABI 6
};
constexpr std::uint32_t kCreateRulesetVersion = 1;
constexpr std::uint64_t kNetAll = 0b11;    // bind and connect TCP
constexpr std::uint64_t kScopeAll = 0b11;  // abstract Unix sockets, signals

// How many file system rights each ABI knows: 13, then refer, truncate and ioctl on devices.
std::uint64_t fs_rights(long abi) {
  const int count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  return (1ULL << count) - 1;
}

Result<long> landlock_abi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
  if (abi >= 1) return abi;
  return fail(Code::unsupported, "this kernel has no Landlock, or it is switched off");
}

}  // namespace

Result<void> has_landlock() {
  PHASE_TRY_VOID(landlock_abi());
  return {};
}

Result<void> apply_landlock() {
  PHASE_TRY(const long abi, landlock_abi());
  const RulesetAttributes attributes{fs_rights(abi), abi >= 4 ? kNetAll : 0,
                                     abi >= 6 ? kScopeAll : 0};
  // Older kernels want the size they know.
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  // No rule is added: everything handled is denied.
  const FileDescriptor ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset.valid()) return fail_errno(errno, "creating a Landlock ruleset failed");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return fail_errno(errno, "entering the Landlock ruleset failed");
  }
  return {};
}

}  // namespace phase::sandbox
