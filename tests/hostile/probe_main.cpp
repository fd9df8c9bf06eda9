// A worker program whose children do, on command, what native code of a stranger would try. It
// stands on the same zygote and layers as phase-worker; only the work differs. Answers each command
// with an errno, 0 for success.
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/sandbox/control.h"
#include "worker/sandbox/message.h"
#include "worker/sandbox/zygote.h"

namespace {

using namespace phase;           // NOLINT: a program of its own
using namespace phase::sandbox;  // NOLINT

int outcome(long rc) {
  return rc < 0 ? errno : 0;
}

int fork_once() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  if (pid < 0) return errno;
  ::waitpid(pid, nullptr, 0);
  return 0;
}

int connect_to(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const int number = ::socket(AF_INET, SOCK_STREAM, 0);
  if (number < 0) return errno;
  return outcome(::connect(number, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

int attach(pid_t pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) return errno;
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);  // it is not stopped; ending does the same
  return 0;
}

int execute() {
  char* none[] = {nullptr};
  ::execve("/nonexistent", none, none);
  return errno == ENOENT ? 0 : errno;
}

int attempt(const std::string& what, const std::string& path, int number) {
  if (what == "open") return outcome(::open(path.c_str(), O_RDONLY));
  if (what == "write") return outcome(::open(path.c_str(), O_WRONLY | O_CREAT, 0600));
  if (what == "unlink") return outcome(::unlink(path.c_str()));
  if (what == "list") return outcome(::open(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (what == "stat") {
    struct stat status;
    return outcome(::stat(path.c_str(), &status));
  }
  if (what == "socket") return outcome(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (what == "connect") return connect_to(number);
  if (what == "ptrace") return attach(number);
  if (what == "kill") return outcome(::kill(number, 0));
  if (what == "prlimit") {
    rlimit limit;
    return outcome(::prlimit(number, RLIMIT_NOFILE, nullptr, &limit));
  }
  if (what == "fork") return fork_once();
  if (what == "exec") return execute();
  if (what == "inherited") return outcome(::read(number, nullptr, 0));
  if (what == "variable") return ::getenv(path.c_str()) == nullptr ? ENOENT : 0;
  if (what == "memory") {
    void* at = ::mmap(nullptr, std::size_t{1} << number, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : 0;
  }
  return ENOSYS;
}

class ProbeWork final : public Work {
 public:
  /// With devices: children add all layers themselves, those of Role::accelerate after
  /// `open_devices`.
  explicit ProbeWork(bool devices) : devices_(devices) {}
  bool has_devices() const override { return devices_; }
  Result<void> open_devices() override {
    opened_ = ::open("/dev/zero", O_RDONLY | O_CLOEXEC) >= 0;  // as a driver opens its device
    return {};
  }
  Result<Bytes> prepare() override { return Bytes{}; }
  Limits limits(Role) const override { return {.data_bytes = 64_MiB}; }
  int run(Role, int socket) override {
    Bytes buffer(kMessageBytesMax);
    for (;;) {
      const auto received = receive_message(socket, buffer);
      if (!received || received->kind != Received::Kind::message) return 0;
      std::istringstream words(std::string(as_text(ByteView(buffer).first(received->bytes))));
      std::string what, path;
      int number = 0;
      words >> what >> path >> number;
      const int result = what == "device" ? (opened_ ? 0 : ENODEV) : attempt(what, path, number);
      const std::string answer = std::to_string(result);
      if (!send_message(socket, as_bytes(answer))) return 0;
    }
  }

 private:
  bool devices_;
  bool opened_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const auto isolation = isolation_from(argc >= 2 ? argv[1] : "");
  if (!isolation) return 64;
  ProbeWork work(argc == 3 && std::string_view(argv[2]) == "devices");
  return run_zygote(control::kSocketNumber, *isolation, work) ? 0 : 1;
}
