// Goal: native code inside a locked-down worker reaches nothing: no file, key, cache, network,
// other process. Method: a worker program that tries, on command, after lock-down; the same
// commands without isolation succeed, so that a failure is the work of the layers.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/sandbox/launcher.h"

namespace phase::sandbox {
namespace {

class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("phase-probe-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "cache");
    std::ofstream(folder_ / "identity.key") << "secret";
    std::ofstream(folder_ / "cache" / "entry") << "code";
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(listener_.get(), 8), 0);
    ASSERT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    // Left open across exec on purpose, as a careless library would.
    inherited_.reset(::open((folder_ / "identity.key").c_str(), O_RDONLY));
    ::setenv("PHASE_PROBE_SECRET", "1", 1);
    victim_ = ::fork();
    if (victim_ == 0) {
      ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0,
              0);  // or Yama refuses without any help of ours
      for (;;) ::pause();
    }
  }
  void TearDown() override {
    // A child that traces the victim would keep it from being buried.
    child_.reset();
    launcher_.reset();
    ::kill(victim_, SIGKILL);
    ::waitpid(victim_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }

  void start(Isolation isolation, bool devices = false) {
    child_.reset();
    std::vector<std::string> words{std::string(isolation_name(isolation))};
    if (devices) words.emplace_back("devices");
    auto launcher = Launcher::start(context_.get_executor(),
                                    {PHASE_BINARY_DIR "/tests/hostile/sandbox_probe", words});
    ASSERT_TRUE(launcher) << launcher.error().text();
    launcher_ = *std::move(launcher);
    fork();
  }
  void fork(Role role = Role::execute) {
    auto child = wait(launcher_->fork(role));
    ASSERT_TRUE(child) << child.error().text();
    child_ = *std::move(child);
  }
  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (future.wait_for(0s) != std::future_status::ready) context_.run_one();
    return future.get();
  }
  static Task<std::string> ask(Child& child, std::string command) {
    Bytes buffer(kMessageBytesMax);
    const auto sent = co_await child.send(as_bytes(command));
    if (!sent) co_return "cannot be asked";
    const auto got = co_await child.receive(buffer);
    if (!got || *got == 0) co_return "was killed";
    co_return std::string(as_text(ByteView(buffer).first(*got)));
  }
  // True when the child's end is seen, with nothing said before.
  static Task<bool> ends(Child& child) {
    Bytes buffer(kMessageBytesMax);
    const auto got = co_await child.receive(buffer);
    co_return got.has_value() && *got == 0;
  }
  std::string ask(const std::string& command) { return wait(ask(*child_, command)); }

  // Command, path or "-", number.
  std::vector<std::string> commands() const {
    const std::string folder = folder_.string();
    const auto with = [](int number) { return " - " + std::to_string(number); };
    return {"open " + folder + "/identity.key",
            "open /etc/passwd",
            "open /proc/self/maps",
            "write " + folder + "/cache/entry",
            "write " + folder + "/new",
            "stat " + folder + "/identity.key",
            "list " + folder,
            "socket",
            "connect" + with(port_),
            "ptrace" + with(victim_),
            "kill" + with(victim_),
            "prlimit" + with(victim_),
            "fork",
            "exec",
            "memory" + with(28),
            "unlink " + folder + "/cache/entry"};
  }

  /// All commands, in children of these roles.
  void try_all(const std::vector<Role>& roles) {
    for (const Role role : roles) {
      fork(role);
      for (const std::string& command : commands()) {
        if (command.starts_with("memory") && !kMemoryLimitsApply) continue;
        EXPECT_NE(ask(command), "0") << command << " as role " << static_cast<int>(role);
      }
    }
    EXPECT_TRUE(std::filesystem::exists(folder_ / "cache" / "entry"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
  }
  [[nodiscard]] bool has_seccomp() const {
    const auto& layers = launcher_->hello().layers;
    return std::ranges::find(layers, kLayerSeccomp) != layers.end();
  }

  std::filesystem::path folder_;
  FileDescriptor listener_, inherited_;
  int port_ = 0;
  pid_t victim_ = 0;
  asio::io_context context_;
  std::unique_ptr<Launcher> launcher_;
  std::shared_ptr<Child> child_;
};

TEST_F(ProbeTest, NothingIsReachable) {
  start(Isolation::full);
  if (!launcher_->hello().missing.empty()) {
    // Some layers are enough for most commands; the list of those in force stands in every receipt.
    std::printf("layers missing here: %s\n", launcher_->hello().missing.c_str());
  }
  if (!has_seccomp()) GTEST_SKIP() << "no seccomp here: " << launcher_->hello().missing;
  try_all({Role::execute, Role::compile, Role::infer});
}

// Where children open devices they add the layers themselves: they hold no less.
TEST_F(ProbeTest, NothingIsReachableBehindLayersThatComeLate) {
  start(Isolation::full, true);
  if (!has_seccomp()) GTEST_SKIP() << "no seccomp here: " << launcher_->hello().missing;
  const std::vector<std::string> late = launcher_->hello().layers;
  try_all({Role::infer, Role::accelerate});
  EXPECT_EQ(ask("device"), "0") << "it was opened before";
  fork(Role::infer);
  EXPECT_NE(ask("device"), "0") << "who needs none opens none";
  start(Isolation::full);
  EXPECT_EQ(launcher_->hello().layers, late);
}

TEST_F(ProbeTest, NothingIsInherited) {
  for (const Isolation isolation : {Isolation::full, Isolation::none}) {
    start(isolation);
    EXPECT_EQ(ask("variable PHASE_PROBE_SECRET"), std::to_string(ENOENT));
    for (int number = control::kSocketNumber + 1; number < 64; number++) {
      EXPECT_EQ(ask("inherited - " + std::to_string(number)), std::to_string(EBADF)) << number;
    }
  }
}

TEST_F(ProbeTest, WithoutIsolationTheSameSucceeds) {
  start(Isolation::none);
  EXPECT_EQ(launcher_->hello().layers, std::vector<std::string>{std::string(kIsolationNone)});
  for (const std::string& command : commands()) EXPECT_EQ(ask(command), "0") << command;
}

// A child that is killed is told apart from one that ends, and its last words arrive.
TEST_F(ProbeTest, KillingIsSeen) {
  start(Isolation::full);
  child_->kill();
  EXPECT_TRUE(wait(ends(*child_)));
  const auto status = wait(child_->wait_exit(10s));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, SIGKILL);
}

// Goal: a lost zygote is started again, and its children do not outlive it.
TEST_F(ProbeTest, ALostZygoteIsStartedAgain) {
  start(Isolation::full);
  const int before = launcher_->zygote_pid();
  ASSERT_EQ(::kill(before, SIGKILL), 0);
  EXPECT_TRUE(wait(ends(*child_)));
  constexpr int kAttemptsMax = 400;
  bool again = false;
  for (int i = 0; i < kAttemptsMax && !again; i++) {
    auto child = wait(launcher_->fork(Role::execute));
    again = child.has_value();
    if (!again) {
      EXPECT_EQ(child.error().code, Code::unavailable) << child.error().text();
      context_.restart();
      context_.run_for(std::chrono::milliseconds(50));
    }
  }
  EXPECT_TRUE(again);
  EXPECT_NE(launcher_->zygote_pid(), before);
}

}  // namespace
}  // namespace phase::sandbox
