// Goal: each layer, with only it applied, makes the calls it is there for fail; without it they
// succeed. Method: a table of (layer, call). Every case runs twice in a forked process, once bare
// and once behind the layer.
#include "worker/sandbox/layers.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "worker/sandbox/descriptor.h"

namespace phase::sandbox {
namespace {

// What a case needs from the outside, made before the fork.
struct World {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("phase-layers-test-" + std::to_string(::getpid())))
          .string();
  std::string file = folder + "/file";
  std::string foreign = folder + "/foreign";  // of another user, readable by its owner only
  FileDescriptor open_file, listener;
  sockaddr_in address{};

  World() {
    std::filesystem::create_directories(folder);
    std::ofstream(file) << "text";
    std::ofstream(foreign) << "secret";
    open_file.reset(::open(file.c_str(), O_RDWR));
    listener.reset(::socket(AF_INET, SOCK_STREAM, 0));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    const bool listening =
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) == 0 &&
        ::listen(listener.get(), 8) == 0 &&
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0;
    EXPECT_TRUE(listening);
  }
  ~World() { std::filesystem::remove_all(folder); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
};

// A call as a child makes it: 0, or the errno of its failure.
using Call = std::function<int(const World&)>;
int outcome(long rc) {
  return rc < 0 ? errno : 0;
}

int open_file(const World& world) {
  return outcome(::open(world.file.c_str(), O_RDONLY));
}
int create_file(const World& world) {
  return outcome(::open((world.folder + "/new").c_str(), O_CREAT | O_WRONLY, 0600));
}
int list_folder(const World& world) {
  return outcome(::open(world.folder.c_str(), O_RDONLY | O_DIRECTORY));
}
int connect_loopback(const World& world) {
  const int number = ::socket(AF_INET, SOCK_STREAM, 0);
  if (number < 0) return errno;
  return outcome(
      ::connect(number, reinterpret_cast<const sockaddr*>(&world.address), sizeof world.address));
}
int open_foreign(const World& world) {
  return outcome(::open(world.foreign.c_str(), O_RDONLY));
}
int make_socket(const World&) {
  return outcome(::socket(AF_UNIX, SOCK_STREAM, 0));
}
int fork_once(const World&) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  if (pid < 0) return errno;
  ::waitpid(pid, nullptr, 0);
  return 0;
}
int execute(const World&) {
  // A failing execve is not told from a forbidden one by success, but by its errno.
  char* none[] = {nullptr};
  ::execve("/nonexistent", none, none);
  return errno == ENOENT ? 0 : errno;
}
int trace_me(const World&) {
  return outcome(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
}
int signal_parent(const World&) {
  return outcome(::kill(::getppid(), 0));
}
int limit_parent(const World&) {
  rlimit limit;
  return outcome(::prlimit(::getppid(), RLIMIT_CPU, nullptr, &limit));
}
int read_parent(const World&) {
  char byte = 0;
  iovec here{&byte, 1}, there{&byte, 1};
  return outcome(::process_vm_readv(::getppid(), &here, 1, &there, 1, 0));
}
int enter_namespace(const World&) {
  return outcome(::unshare(CLONE_NEWUSER));
}
int make_memory_file(const World&) {
  return outcome(::memfd_create("x", 0));
}
int mount_something(const World& world) {
  const int result = outcome(::mount("none", world.folder.c_str(), "tmpfs", 0, nullptr));
  if (result == 0) ::umount2(world.folder.c_str(), MNT_DETACH);
  return result;
}
int open_many(const World&) {
  for (int i = 0; i < 64; i++) {
    if (::dup(STDIN_FILENO) < 0) return errno;
  }
  return 0;
}
int grow_file(const World& world) {
  ::signal(SIGXFSZ, SIG_IGN);
  return outcome(::write(world.open_file.get(), "longer text", 11));
}
int take_memory(const World&) {
  void* at = ::mmap(nullptr, 64_MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? errno : 0;
}
int read_inherited(const World& world) {
  char byte = 0;
  return outcome(::pread(world.open_file.get(), &byte, 1, 0));
}
int be_dumpable(const World&) {
  return ::prctl(PR_GET_DUMPABLE) == 1 ? 0 : EPERM;
}
int gain_privileges(const World&) {
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EPERM;
}
int read_variable(const World&) {
  return ::getenv("PHASE_LAYERS_TEST") != nullptr ? 0 : ENOENT;
}

// Layers, as a child applies one.
using Layer = std::function<Result<void>()>;
Result<void> seccomp(Role role) {
  PHASE_TRY(const Filter filter, Filter::make(role));
  // The kernel asks for this, or for a capability; it forbids none of the calls below.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "no_new_privs");
  return filter.install();
}
Result<void> seccomp_execute() {
  return seccomp(Role::execute);
}
Result<void> seccomp_compile() {
  return seccomp(Role::compile);
}
Result<void> seccomp_infer() {
  return seccomp(Role::infer);
}
Result<void> seccomp_accelerate() {
  return seccomp(Role::accelerate);
}
Result<void> seccomp_zygote() {
  return seccomp(Role::zygote);
}
Result<void> landlock() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "no_new_privs");
  return apply_landlock();
}
Result<void> namespaces() {
  const Namespaces entered = enter_namespaces();
  if (entered.user && entered.network) return {};
  return fail(Code::unsupported, entered.missing);
}
Result<void> limits() {
  return apply_limits({.data_bytes = 32_MiB, .descriptors = 16});
}
Result<void> limits_of_memory() {
  if (!kMemoryLimitsApply) return fail(Code::unsupported, "AddressSanitizer takes terabytes");
  return limits();
}
Result<void> descriptors() {
  return close_descriptors(3);
}
Result<void> environment() {
  clear_environment();
  return {};
}

struct Case {
  std::string layer;
  Layer apply;
  std::string what;
  Call call;
  bool needs_root = false;  // bare, the call succeeds for root only
};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::pair<std::string, Call>> forbidden = {
      {"open", open_file},       {"socket", make_socket},      {"fork", fork_once},
      {"execve", execute},       {"ptrace", trace_me},         {"kill", signal_parent},
      {"prlimit", limit_parent}, {"unshare", enter_namespace}, {"memfd_create", make_memory_file},
      {"create", create_file},
  };
  for (const auto& [what, call] : forbidden) {
    out.push_back({"seccomp execute", seccomp_execute, what, call});
    out.push_back({"seccomp compile", seccomp_compile, what, call});
    out.push_back({"seccomp infer", seccomp_infer, what, call});
    out.push_back({"seccomp accelerate", seccomp_accelerate, what, call});
    // The zygote forks; and that is all.
    if (what != "fork") out.push_back({"seccomp zygote", seccomp_zygote, what, call});
  }
  out.push_back({"seccomp execute", seccomp_execute, "process_vm_readv", read_parent, true});
  out.push_back({"seccomp infer", seccomp_infer, "process_vm_readv", read_parent, true});
  out.push_back({"seccomp execute", seccomp_execute, "mount", mount_something, true});
  out.push_back({"landlock", landlock, "open", open_file});
  out.push_back({"landlock", landlock, "create", create_file});
  out.push_back({"landlock", landlock, "list", list_folder});
  out.push_back({"namespaces", namespaces, "connect to loopback", connect_loopback});
  out.push_back({"namespaces", namespaces, "open another user's file", open_foreign, true});
  out.push_back({"rlimits", limits, "many descriptors", open_many});
  out.push_back({"rlimits", limits, "grow a file", grow_file});
  out.push_back({"rlimits", limits_of_memory, "take memory", take_memory});
  out.push_back({"descriptors", descriptors, "read what was open", read_inherited});
  out.push_back({"environment", environment, "read a variable", read_variable});
  out.push_back({"privileges", forbid_privileges, "be dumpable", be_dumpable});
  out.push_back({"privileges", forbid_privileges, "gain privileges", gain_privileges});
  out.push_back({"privileges", forbid_privileges, "open another user's file", open_foreign, true});
  return out;
}

constexpr int kLayerMissing = 200;

// Runs a call in a process of its own, behind a layer if one is given: 0, an errno, or
// kLayerMissing.
int run(const World& world, const Call& call, const Layer& layer) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (layer && !layer()) ::_exit(kLayerMissing);
    ::_exit(call(world));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Tries every case for which `root_only` is as given; returns the layers this system does not have.
std::string try_cases(const World& world, bool root_only) {
  std::string missing;
  for (const Case& item : cases()) {
    if (item.needs_root != root_only) continue;
    SCOPED_TRACE(item.layer + ": " + item.what);
    EXPECT_EQ(run(world, item.call, nullptr), 0) << "fails without the layer";
    const int behind = run(world, item.call, item.apply);
    if (behind == kLayerMissing) {
      missing += " " + item.layer;
      continue;
    }
    EXPECT_NE(behind, 0) << "succeeds behind the layer";
  }
  return missing;
}

TEST(Layers, EachForbidsWhatItIsThereFor) {
  ::setenv("PHASE_LAYERS_TEST", "1", 1);
  const World world;
  const std::string missing = try_cases(world, false);
  if (!missing.empty()) GTEST_SKIP() << "not on this system:" << missing;
}

TEST(Layers, EachForbidsWhatOnlyRootMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "what only root may do fails here without any layer";
  const World world;
  constexpr uid_t kSomebody = 54321;
  ASSERT_EQ(::chown(world.foreign.c_str(), kSomebody, kSomebody), 0);
  ASSERT_EQ(::chmod(world.foreign.c_str(), 0600), 0);
  const std::string missing = try_cases(world, true);
  if (!missing.empty()) GTEST_SKIP() << "not on this system:" << missing;
}

// The compiler and the engine of models may start threads; a run may not.
TEST(Layers, OnlySomeRolesStartThreads) {
  const auto start_thread = [](const World&) -> int {
    constexpr int kFlags =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    static char stack[16384];
    const auto body = [](void*) -> int {
      ::syscall(SYS_exit, 0);
      return 0;
    };
    return outcome(::clone(body, stack + sizeof stack, kFlags, nullptr));
  };
  World world;
  EXPECT_EQ(run(world, start_thread, nullptr), 0);
  EXPECT_EQ(run(world, start_thread, seccomp_compile), 0);
  EXPECT_EQ(run(world, start_thread, seccomp_infer), 0);
  EXPECT_EQ(run(world, start_thread, seccomp_accelerate), 0);
  EXPECT_EQ(run(world, start_thread, seccomp_execute), EPERM);
}

// A driver's threads are there before the filter is.
TEST(Layers, TheFilterHoldsThreadsThatAreThereAlready) {
  const auto open_in_a_thread = [](const World& world) -> int {
    std::atomic<bool> locked = false;
    std::atomic<int> seen = -1;
    std::thread older([&] {
      while (!locked) std::this_thread::yield();
      seen = open_file(world);
    });
    const Result<void> filter = seccomp_accelerate();
    locked = true;
    older.join();
    return filter ? seen.load() : kLayerMissing;
  };
  const World world;
  const int behind = run(world, open_in_a_thread, nullptr);
  if (behind == kLayerMissing) GTEST_SKIP() << "no seccomp on this system";
  EXPECT_EQ(behind, EPERM);
}

// The engine of models reads the file it was handed, which a run may not.
TEST(Layers, OnlyTheEngineReadsAtOffsets) {
  const World world;
  EXPECT_EQ(run(world, read_inherited, nullptr), 0);
  EXPECT_EQ(run(world, read_inherited, seccomp_infer), 0);
  EXPECT_EQ(run(world, read_inherited, seccomp_execute), EPERM);
}

}  // namespace
}  // namespace phase::sandbox
