#include "worker/sandbox/launcher.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace phase::sandbox {
namespace {

// A started worker program: its process and our end of its control socket.
struct Process {
  pid_t pid = 0;
  FileDescriptor socket;
};

struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { ::posix_spawn_file_actions_init(&value); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

struct Attributes {
  posix_spawnattr_t value;
  Attributes() { ::posix_spawnattr_init(&value); }
  ~Attributes() { ::posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

// An empty signal mask and default actions: whatever the daemon blocks or ignores is not the
// worker's. A process group of its own: a Ctrl-C at the terminal reaches the daemon, which then
// decides.
void set_attributes(Attributes& attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes.value, &none);
  ::posix_spawnattr_setsigdefault(&attributes.value, &all);
  ::posix_spawnattr_setpgroup(&attributes.value, 0);
  ::posix_spawnattr_setflags(
      &attributes.value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

Result<Process> spawn(const Launcher::Options& options) {
  PHASE_TRY(SocketPair sockets, make_socket_pair());
  // It loses close-on-exec by being copied to its final number; a copy onto itself would not, and
  // the numbers of the standard streams are taken first. Hence the move.
  if (sockets.theirs.get() <= control::kSocketNumber) {
    sockets.theirs.reset(
        ::fcntl(sockets.theirs.get(), F_DUPFD_CLOEXEC, control::kSocketNumber + 1));
    if (!sockets.theirs.valid()) return fail_errno(errno, "moving a descriptor failed");
  }
  FileActions actions;
  ::posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions.value, STDIN_FILENO, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions.value, sockets.theirs.get(), control::kSocketNumber);
  ::posix_spawn_file_actions_addclosefrom_np(&actions.value, control::kSocketNumber + 1);
  Attributes attributes;
  set_attributes(attributes);

  std::vector<std::string> words = options.arguments;
  words.insert(words.begin(), options.path);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  Process process;
  const int error = ::posix_spawn(&process.pid, options.path.c_str(), &actions.value,
                                  &attributes.value, arguments.data(), environment);
  if (error != 0)
    return fail_errno(error, "starting the worker program " + options.path + " failed");
  process.socket = std::move(sockets.ours);
  return process;
}

// Waits for the first message of a zygote, blocking.
Result<control::Hello> wait_hello(int socket) {
  pollfd wanted{socket, POLLIN, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kHelloTimeout);
  int ready = -1;
  do {
    ready = ::poll(&wanted, 1, static_cast<int>(limit.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return fail(Code::timed_out, "the worker program was not ready in time");
  std::vector<std::uint8_t> buffer(kMessageBytesMax);
  PHASE_TRY(const Received received, receive_message(socket, buffer));
  if (received.kind != Received::Kind::message) {
    return fail(Code::internal, "the worker program ended before it was ready");
  }
  PHASE_TRY(const control::FromZygote message,
            control::decode(ByteView(buffer).first(received.bytes)));
  const auto* hello = std::get_if<control::Hello>(&message);
  if (hello == nullptr) return fail(Code::internal, "the worker program did not say hello");
  return *hello;
}

// Buries a zygote whose control socket is closed: it ends by itself once its children have, or is
// killed.
void bury(pid_t pid) {
  const FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kCloseTimeout);
  if (!process.valid() || ::poll(&ended, 1, static_cast<int>(limit.count())) != 1) {
    ::kill(pid, SIGKILL);
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// A fork that was asked for and not yet answered; answers come in the order of the requests.
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : event(executor) {}
  asio::steady_timer event;
  bool answered = false;
  Result<std::shared_ptr<Child>> child = fail(Code::unavailable, "the worker program was lost");
};

}  // namespace

struct Launcher::State : std::enable_shared_from_this<Launcher::State> {
  State(asio::any_io_executor executor_, Options options_)
      : executor(executor_), options(std::move(options_)), socket(executor), pause(executor) {}

  void adopt(Process process);
  void lose();
  void answer(Result<std::shared_ptr<Child>> child);
  Result<void> take(const control::FromZygote& message, std::vector<FileDescriptor> descriptors);
  Result<void> drain();
  Task<void> supervise();
  Task<Result<void>> restart();

  asio::any_io_executor executor;
  Options options;
  control::Hello hello;
  bool closed = false;
  pid_t pid = 0;  // 0: none
  asio::posix::stream_descriptor socket;
  asio::steady_timer pause;
  std::deque<std::shared_ptr<Pending>> pending;
  std::map<std::uint64_t, std::weak_ptr<Child>> children;
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(kMessageBytesMax);
};

void Launcher::State::adopt(Process process) {
  pid = process.pid;
  socket = asio::posix::stream_descriptor(executor, process.socket.release());
  boost::system::error_code ignored;
  socket.native_non_blocking(true, ignored);
}

void Launcher::State::answer(Result<std::shared_ptr<Child>> child) {
  if (pending.empty()) return;
  const auto first = pending.front();
  pending.pop_front();
  first->answered = true;
  first->child = std::move(child);
  first->event.cancel();
}

// The zygote is gone: so are its children (they die with it), and what was asked of it.
void Launcher::State::lose() {
  for (const auto& [id, weak] : children) {
    if (const auto child = weak.lock()) child->kill();
  }
  boost::system::error_code ignored;
  socket.close(ignored);
  if (pid != 0) bury(std::exchange(pid, 0));
  while (!pending.empty()) answer(fail(Code::unavailable, "the worker program was lost"));
  for (const auto& [id, weak] : std::exchange(children, {})) {
    if (const auto child = weak.lock()) child->set_exit(std::nullopt);
  }
}

Result<void> Launcher::State::take(const control::FromZygote& message,
                                   std::vector<FileDescriptor> descriptors) {
  if (const auto* forked = std::get_if<control::Forked>(&message)) {
    if (descriptors.size() != 2) return fail(Code::protocol, "a fork came without descriptors");
    auto child = std::make_shared<Child>(executor, forked->id, std::move(descriptors[0]),
                                         std::move(descriptors[1]));
    children[forked->id] = child;
    answer(std::move(child));
  } else if (const auto* refused = std::get_if<control::Refused>(&message)) {
    answer(fail(Code::unavailable, "no worker process: " + refused->why));
  } else if (const auto* exited = std::get_if<control::Exited>(&message)) {
    if (exited->code == control::kExitUnlocked) {
      spdlog::error("worker: a child could not lock itself down and did nothing");
    }
    const auto found = children.find(exited->id);
    if (found == children.end()) return {};
    if (const auto child = found->second.lock()) child->set_exit(*exited);
    children.erase(found);
  } else {
    return fail(Code::protocol, "a second hello");
  }
  return {};
}

// Takes every message that is there. Errors when the zygote is lost.
Result<void> Launcher::State::drain() {
  for (;;) {
    PHASE_TRY(Received received, receive_message(socket.native_handle(), buffer));
    if (received.kind == Received::Kind::would_block) return {};
    if (received.kind == Received::Kind::closed) {
      return fail(Code::connection_closed, "the worker program ended");
    }
    PHASE_TRY(const control::FromZygote message,
              control::decode(ByteView(buffer).first(received.bytes)));
    PHASE_TRY_VOID(take(message, std::move(received.descriptors)));
  }
}

Task<Result<void>> Launcher::State::restart() {
  PHASE_CO_TRY(Process process, spawn(options));
  adopt(std::move(process));
  pause.expires_after(kHelloTimeout);
  // Not ready in time: killed, which ends the wait below.
  pause.async_wait([self = shared_from_this(), started = pid](const boost::system::error_code& e) {
    if (!e && self->pid == started) ::kill(started, SIGKILL);
  });
  boost::system::error_code error;
  co_await socket.async_wait(asio::posix::descriptor_base::wait_read,
                             asio::redirect_error(asio::use_awaitable, error));
  pause.cancel();
  if (error || closed) co_return fail(Code::cancelled, "closing down");
  PHASE_CO_TRY(const control::Hello again, wait_hello(socket.native_handle()));
  // Another program behind the same path would make other promises than those passed on already.
  if (again.about != hello.about || again.layers != hello.layers) {
    co_return fail(Code::internal, "the worker program changed; restart the daemon");
  }
  co_return Result<void>{};
}

Task<void> Launcher::State::supervise() {
  Duration wait = kRestartPauseMin;
  while (!closed) {
    boost::system::error_code error;
    co_await socket.async_wait(asio::posix::descriptor_base::wait_read,
                               asio::redirect_error(asio::use_awaitable, error));
    if (closed) break;
    if (const auto drained = drain(); drained) {
      wait = kRestartPauseMin;
      continue;
    } else {
      spdlog::warn("worker: {}; starting it again", drained.error().message);
    }
    lose();
    for (bool running = false; !running && !closed;) {
      pause.expires_after(wait);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (closed) break;
      wait = std::min(wait * 2, kRestartPauseMax);
      const auto restarted = co_await restart();
      running = restarted.has_value();
      if (!running && !closed) {
        spdlog::error("worker: {}", restarted.error().message);
        lose();
      }
    }
  }
}

Launcher::Launcher(std::shared_ptr<State> state) : state_(std::move(state)) {}

Launcher::~Launcher() {
  state_->closed = true;
  state_->pause.cancel();
  state_->lose();
}

Result<std::unique_ptr<Launcher>> Launcher::start(asio::any_io_executor executor, Options options) {
  auto state = std::make_shared<State>(executor, std::move(options));
  PHASE_TRY(Process process, spawn(state->options));
  auto hello = wait_hello(process.socket.get());
  if (!hello) {
    process.socket.reset();
    bury(process.pid);
    return fail(std::move(hello).error());
  }
  state->hello = *std::move(hello);
  state->adopt(std::move(process));
  asio::co_spawn(
      executor, [state]() -> Task<void> { co_await state->supervise(); }, asio::detached);
  return std::unique_ptr<Launcher>(new Launcher(std::move(state)));
}

const control::Hello& Launcher::hello() const noexcept {
  return state_->hello;
}

int Launcher::zygote_pid() const noexcept {
  return state_->pid;
}

Task<Result<std::shared_ptr<Child>>> Launcher::fork(Role role) {
  const auto state = state_;
  if (state->pid == 0) co_return fail(Code::unavailable, "the worker program is being restarted");
  PHASE_CO_TRY(const bool sent,
               send_message(state->socket.native_handle(), control::encode_fork(role)));
  if (!sent) co_return fail(Code::unavailable, "the worker program does not keep up");
  const auto pending = std::make_shared<Pending>(state->executor);
  state->pending.push_back(pending);
  pending->event.expires_after(kForkTimeout);
  boost::system::error_code ignored;
  co_await pending->event.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  // Answered later, it is dropped then, and the child killed with it.
  if (!pending->answered) co_return fail(Code::timed_out, "forking a worker process took too long");
  co_return std::move(pending->child);
}

}  // namespace phase::sandbox
