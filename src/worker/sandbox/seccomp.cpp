// Which system calls each role may make. libseccomp writes the program; installing it is one prctl.
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/sandbox/descriptor.h"
#include "worker/sandbox/layers.h"

namespace phase::sandbox {
namespace {

// Running compiled code: memory, time, the one socket, the engine's signal handlers, the end.
constexpr std::array kExecute = {
    "read",        "write",         "recvmsg",      "sendmsg",         "close",
    "mmap",        "munmap",        "mprotect",     "mremap",          "madvise",
    "brk",         "futex",         "rt_sigaction", "rt_sigprocmask",  "rt_sigreturn",
    "sigaltstack", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "poll",        "ppoll",         "getrandom",    "getrusage",       "getpid",
    "gettid",      "sched_yield",   "exit",         "exit_group",      "restart_syscall",
};
// Besides: the compiler's threads.
constexpr std::array kCompile = {
    "set_robust_list", "rseq", "sched_getaffinity", "sched_setaffinity", "set_tid_address",
};
// Besides: a model as one open file, and how much memory there is.
constexpr std::array kInfer = {"lseek", "pread64", "fadvise64", "sysinfo"};
// Besides: drivers, which speak with their open devices by ioctl.
constexpr std::array kAccelerate = {"ioctl", "sched_getparam", "sched_getscheduler", "getcpu"};
// Besides: making and burying children, and locking them down.
constexpr std::array kZygote = {
    "socketpair", "pidfd_open", "wait4", "getppid", "dup2", "dup3", "close_range",
};

struct Release {
  void operator()(scmp_filter_ctx context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

// A name this kernel's or library's tables do not have is left out: it cannot be called either.
bool allow(const Context& context, const char* name) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return true;
  const int rc = seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, number, 0);
  return rc == 0 || rc == -EDOM;
}

/// The library's own macros for this are no C++.
scmp_arg_cmp first_argument(scmp_compare how, scmp_datum_t a, scmp_datum_t b = 0) {
  return {0, how, a, b};
}

bool allow_prctl(const Context& context, int option) {
  return seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                          first_argument(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option))) == 0;
}

bool add_rules(const Context& context, Role role) {
  bool good = true;
  for (const char* name : kExecute) good = good && allow(context, name);
  // Limits of the process itself only; with another pid it would reach into its siblings.
  good = good && seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                  first_argument(SCMP_CMP_EQ, 0)) == 0;
  // Without an answer, glibc would not fall back from clone3, whose flags a filter cannot see.
  good = good && seccomp_rule_add(context.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  if (role == Role::execute) return good;

  // Threads share everything with their process; nothing else passes this mask.
  constexpr scmp_datum_t kThread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
  good = good && seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  first_argument(SCMP_CMP_MASKED_EQ, kThread, kThread)) == 0;
  good = good && allow_prctl(context, PR_SET_NAME);
  for (const char* name : kCompile) good = good && allow(context, name);
  if (role == Role::compile) return good;
  // A child is held by its zygote's filter, too, so the zygote may do what any child may.
  for (const char* name : kInfer) good = good && allow(context, name);
  // What fdopen asks; nothing else about a descriptor can be asked or changed.
  good = good && seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                  scmp_arg_cmp{1, SCMP_CMP_EQ, F_GETFL, 0}) == 0;
  if (role == Role::infer) return good;
  if (role == Role::accelerate) {
    for (const char* name : kAccelerate) good = good && allow(context, name);
    return good;
  }

  // fork(): no namespace, no sharing of memory.
  constexpr scmp_datum_t kNotFork = CLONE_VM | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS |
                                    CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                                    CLONE_PARENT | CLONE_THREAD;
  good = good && seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  first_argument(SCMP_CMP_MASKED_EQ, kNotFork, 0)) == 0;
  good = good && allow_prctl(context, PR_SET_PDEATHSIG);
  good = good && allow_prctl(context, PR_SET_SECCOMP);
  for (const char* name : kZygote) good = good && allow(context, name);
  return good;
}

}  // namespace

Result<Filter> Filter::make(Role role) {
  const Context context(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (context == nullptr || !add_rules(context, role)) {
    return fail(Code::internal, "building a seccomp filter failed");
  }
  // A binary search instead of a list: the common calls would otherwise pay for the rare ones.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  const FileDescriptor file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file.valid() || seccomp_export_bpf(context.get(), file.get()) != 0) {
    return fail(Code::internal, "exporting a seccomp filter failed");
  }
  const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
  Filter filter;
  static_assert(sizeof(sock_filter) == sizeof(std::uint64_t));
  filter.program_.resize(static_cast<std::size_t>(bytes) / sizeof(sock_filter));
  if (bytes <= 0 || filter.program_.size() > BPF_MAXINSNS ||
      ::pread(file.get(), filter.program_.data(), static_cast<std::size_t>(bytes), 0) != bytes) {
    return fail(Code::internal, "reading a seccomp filter back failed");
  }
  return filter;
}

Result<void> Filter::install() const {
  std::vector<sock_filter> instructions(program_.size());
  std::memcpy(instructions.data(), program_.data(), program_.size() * sizeof(sock_filter));
  const sock_fprog program{static_cast<unsigned short>(instructions.size()), instructions.data()};
  // By the zygote's filter the call with a flag is not allowed; then there is one thread.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0) {
    return {};
  }
  if (errno == EINVAL) return fail(Code::unsupported, "this kernel has no seccomp filters");
  return fail_errno(errno, "installing the seccomp filter failed");
}

Result<void> has_seccomp() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return {};
  return fail(Code::unsupported, "this kernel has no seccomp filters");
}

}  // namespace phase::sandbox
