#include "worker/sandbox/zygote.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "worker/sandbox/control.h"
#include "worker/sandbox/message.h"

namespace phase::sandbox {
namespace {

// Between two children that end while the zygote closes. One that lives on dies with it.
constexpr int kLastChildTimeoutMs = 200;

// Everything a zygote holds between two requests.
class Zygote {
 public:
  Zygote(int control, Isolation isolation, Work& work)
      : control_(control), isolation_(isolation), work_(work) {}

  [[nodiscard]] Result<void> set_up();
  [[nodiscard]] Result<void> serve();
  void wait_for_children();

 private:
  [[nodiscard]] Result<void> lock_down(control::Hello& hello);
  [[nodiscard]] Result<void> lock_child(Role role);
  [[nodiscard]] Result<void> fork_child(Role role);
  [[nodiscard]] Result<void> bury_children();
  [[noreturn]] void become_child(Role role, int socket, pid_t zygote);
  [[nodiscard]] Result<void> say(const control::FromZygote& message,
                                 std::span<const int> descriptors = {});

  int control_;
  Isolation isolation_;
  Work& work_;
  FileDescriptor signals_;
  sigset_t signals_before_{};
  std::map<Role, Filter> filters_;  // of children; empty: the system has none
  bool landlock_later_ = false;     // children enter it
  std::unordered_map<pid_t, std::uint64_t> children_;
  std::uint64_t id_next_ = 1;
  bool closing_ = false;
};

Result<void> Zygote::say(const control::FromZygote& message, std::span<const int> descriptors) {
  PHASE_TRY_VOID(send_message(control_, control::encode(message), {}, descriptors));
  return {};
}

Result<void> Zygote::set_up() {
  // Children find their socket under this number, in place of the zygote's.
  PHASE_CHECK(control_ == control::kSocketNumber);
  PHASE_TRY_VOID(close_descriptors(control_ + 1));
  clear_environment();
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  if (::sigprocmask(SIG_BLOCK, &children, &signals_before_) != 0) {
    return fail_errno(errno, "blocking SIGCHLD failed");
  }
  signals_ = FileDescriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return fail_errno(errno, "making a signal descriptor failed");

  control::Hello hello;
  PHASE_TRY(hello.about, work_.prepare());
  if (isolation_ == Isolation::none) {
    hello.layers.emplace_back(kIsolationNone);
  } else {
    PHASE_TRY_VOID(lock_down(hello));
  }
  return say(hello);
}

// Outer layers now, for all children; theirs are prepared. A layer the system lacks is reported,
// never an error: the operator decides by what the receipts say.
Result<void> Zygote::lock_down(control::Hello& hello) {
  const auto note = [&hello](const std::string& why) {
    if (!hello.missing.empty()) hello.missing += "; ";
    hello.missing += why;
  };
  for (const Role role : {Role::compile, Role::execute, Role::infer, Role::accelerate}) {
    PHASE_TRY(Filter filter, Filter::make(role));
    filters_.emplace(role, std::move(filter));
  }
  PHASE_TRY(const Filter filter, Filter::make(Role::zygote));
  const bool later = work_.has_devices();

  const Namespaces namespaces = enter_namespaces();
  if (!namespaces.missing.empty()) note(namespaces.missing);
  if (namespaces.user) hello.layers.emplace_back(kLayerUserNamespace);
  if (namespaces.network) hello.layers.emplace_back(kLayerNetworkNamespace);
  PHASE_TRY_VOID(forbid_privileges());
  if (const auto landlock = later ? has_landlock() : apply_landlock(); landlock) {
    landlock_later_ = later;
    hello.layers.emplace_back(kLayerLandlock);
  } else {
    note("landlock: " + landlock.error().message);
  }
  if (const auto seccomp = later ? has_seccomp() : filter.install(); seccomp) {
    hello.layers.emplace_back(kLayerSeccomp);
  } else {
    note("seccomp: " + seccomp.error().message);
    filters_.clear();
  }
  hello.layers.emplace_back(kLayerLimits);  // applied in each child, which ends if it cannot
  std::ranges::sort(hello.layers);
  return {};
}

Result<void> Zygote::serve() {
  std::array<pollfd, 2> wanted{pollfd{control_, POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0}};
  std::array<std::uint8_t, kMessageBytesMax> buffer;
  for (;;) {
    if (::poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) {
      return fail_errno(errno, "waiting for requests failed");
    }
    if (wanted[1].revents != 0) PHASE_TRY_VOID(bury_children());
    if (wanted[0].revents == 0) continue;
    PHASE_TRY(const Received received, receive_message(control_, buffer));
    if (received.kind == Received::Kind::closed) return {};
    PHASE_TRY(const Role role, control::decode_fork(std::span(buffer).first(received.bytes)));
    PHASE_TRY_VOID(fork_child(role));
  }
}

Result<void> Zygote::fork_child(Role role) {
  if (children_.size() >= kChildrenMax) return say(control::Refused{"too many children"});
  auto sockets = make_socket_pair();
  if (!sockets) return say(control::Refused{sockets.error().message});
  const pid_t zygote = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become_child(role, sockets->theirs.get(), zygote);
  if (pid < 0) return say(control::Refused{std::string("fork: ") + std::strerror(errno)});
  const std::uint64_t id = id_next_++;
  children_.emplace(pid, id);
  // Not buried yet, so the pid cannot have been reused.
  const FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle.valid()) {
    return say(control::Refused{std::string("pidfd_open: ") + std::strerror(errno)});
  }
  const std::array<int, 2> descriptors{sockets->ours.get(), handle.get()};
  return say(control::Forked{id}, descriptors);
}

Result<void> Zygote::bury_children() {
  signalfd_siginfo ignored;
  while (::read(signals_.get(), &ignored, sizeof ignored) > 0) {
  }
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return {};
    const auto child = children_.find(pid);
    if (child == children_.end()) continue;
    control::Exited exited{child->second, 0, 0};
    if (WIFSIGNALED(status)) exited.signal = WTERMSIG(status);
    if (WIFEXITED(status)) exited.code = WEXITSTATUS(status);
    children_.erase(child);
    if (!closing_) PHASE_TRY_VOID(say(exited));
  }
}

// The parent, which killed them, is closing: they are buried here, or they would be left to whoever
// adopts them.
void Zygote::wait_for_children() {
  closing_ = true;
  pollfd wanted{signals_.get(), POLLIN, 0};
  do {
    if (!bury_children()) return;
  } while (!children_.empty() && ::poll(&wanted, 1, kLastChildTimeoutMs) > 0);
}

// What the zygote did not do for its children. A driver's threads stay outside Landlock, which
// holds one thread; the filter holds them all and leaves them nothing to name a file with.
Result<void> Zygote::lock_child(Role role) {
  if (landlock_later_) PHASE_TRY_VOID(apply_landlock());
  PHASE_TRY_VOID(apply_limits(work_.limits(role)));
  const auto filter = filters_.find(role);
  if (filter != filters_.end()) PHASE_TRY_VOID(filter->second.install());
  return {};
}

void Zygote::become_child(Role role, int socket, pid_t zygote) {
  const auto locked = [&]() -> Result<void> {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || ::getppid() != zygote) {
      return fail(Code::internal, "the zygote is gone");
    }
    if (::sigprocmask(SIG_SETMASK, &signals_before_, nullptr) != 0 ||
        ::dup3(socket, control::kSocketNumber, O_CLOEXEC) < 0) {
      return fail_errno(errno, "setting up a child failed");
    }
    PHASE_TRY_VOID(close_descriptors(control::kSocketNumber + 1));
    if (role == Role::accelerate) PHASE_TRY_VOID(work_.open_devices());
    if (isolation_ == Isolation::none) return {};
    // What a stranger's code prints is not for the operator's terminal.
    if (::dup2(STDIN_FILENO, STDERR_FILENO) < 0) {
      return fail_errno(errno, "setting up a child failed");
    }
    return lock_child(role);
  }();
  if (!locked) ::_exit(control::kExitUnlocked);
  ::_exit(work_.run(role, control::kSocketNumber));
}

}  // namespace

std::string_view isolation_name(Isolation isolation) noexcept {
  return isolation == Isolation::full ? "full" : "none";
}

Result<Isolation> isolation_from(std::string_view name) {
  for (const Isolation isolation : {Isolation::full, Isolation::none}) {
    if (name == isolation_name(isolation)) return isolation;
  }
  return fail(Code::invalid_argument, "isolation is full or none");
}

Result<void> run_zygote(int control, Isolation isolation, Work& work) {
  Zygote zygote(control, isolation, work);
  auto done = zygote.set_up();
  if (done) done = zygote.serve();
  zygote.wait_for_children();
  // The parent may close while something is being said to it.
  if (!done && done.error().code == Code::connection_closed) return {};
  return done;
}

}  // namespace phase::sandbox
