// `phase run` without a daemon: `plasmd execute-job --events` as a child, its result checked here
// like any other.
#include <cstdlib>
#include <utility>

#include <boost/json.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"
#include "sdk/cpp/wire.h"
#include "signals.h"

namespace phase::cli {
namespace {

namespace json = boost::json;

/// One line of the child: a result with the largest output.
constexpr std::uint64_t kLineBytesMax = 1024_MiB;
constexpr std::size_t kReadBytes = 64_KiB;

/// plasmd beside this program, else in PATH (empty: execvp looks).
std::string find_plasmd() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = self.parent_path() / "plasmd";
  return !error && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : std::string{"plasmd"};
}

std::vector<std::string> child_command(const RunCommand& command) {
  const sdk::JobOptions& o = command.options;
  std::vector<std::string> out{find_plasmd(),
                               "execute-job",
                               "--events",
                               "--entry",
                               o.entry,
                               "--fuel",
                               std::to_string(o.limits.fuel),
                               "--memory-bytes",
                               std::to_string(o.limits.memory_bytes),
                               "--table-elements",
                               std::to_string(o.limits.table_elements),
                               "--output-bytes",
                               std::to_string(o.limits.output_bytes),
                               "--timeout-ms",
                               std::to_string(o.timeout_ms)};
  if (o.requirements.cpu_cores) {
    out.insert(out.end(), {"--cpu", std::to_string(*o.requirements.cpu_cores)});
  }
  for (const auto& [name, value] : o.env) {
    out.insert(out.end(), {"--env", name + "=" + value});
  }
  if (o.is_private) {
    out.emplace_back("--private");
  }
  out.emplace_back("--");
  out.push_back(command.module.string());
  out.insert(out.end(), o.args.begin(), o.args.end());
  return out;
}

/// What a one-shot node cannot do.
Result<void> check_possible(const sdk::JobOptions& options) {
  const auto needs_daemon = [](std::string_view flag) {
    return fail(Code::unavailable, std::string{flag} + " needs a running daemon",
                "start one with: plasmd start");
  };
  if (options.checkpoint_bytes != 0) {
    return needs_daemon("--checkpoint");
  }
  if (options.level != manifest::Level::signature) {
    return needs_daemon("--level");
  }
  if (options.profile != job::Profile::fast) {
    return needs_daemon("--profile");
  }
  const auto& r = options.requirements;
  if (r.arch || r.runtime || r.region) {
    return needs_daemon("--arch, --runtime and --region");
  }
  return {};
}

/// A child with pipes at its stdin and stdout, in a process group of its own: signals reach it
/// through us only.
class Child {
 public:
  Child() = default;
  ~Child() {
    close_stdin();
    if (from_ >= 0) {
      ::close(from_);
    }
    if (pid_ > 0) {
      static_cast<void>(wait());
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] Result<void> start(const std::vector<std::string>& command) {
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) {
      return fail_errno(errno, "cannot make a pipe");
    }
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) {
      argv.push_back(const_cast<char*>(word.c_str()));  // execvp's signature; it changes nothing
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::signal(SIGPIPE, SIG_DFL);
      unblock_signals();
      ::execvp(argv[0], argv.data());
      ::_exit(errno == ENOENT ? 127 : 126);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
    return pid_ < 0 ? Result<void>{fail_errno(errno, "cannot start plasmd")} : Result<void>{};
  }
  void interrupt() const { ::kill(pid_, SIGINT); }
  void close_stdin() {
    if (to_ >= 0) {
      ::close(std::exchange(to_, -1));
    }
  }
  [[nodiscard]] int to() const noexcept { return to_; }
  [[nodiscard]] int from() const noexcept { return from_; }
  /// The child's exit code; 128 + signal when it was killed.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
};

/// Lines of a descriptor.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  /// Empty at the end.
  [[nodiscard]] Result<std::string> next() {
    std::size_t searched = 0;
    while (true) {
      const std::size_t end = buffer_.find('\n', searched);
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      searched = buffer_.size();
      if (searched > kLineBytesMax) {
        return fail(Code::too_large,
                    "plasmd wrote a line of more than " + std::to_string(kLineBytesMax) + " bytes");
      }
      buffer_.resize(searched + kReadBytes);
      const ssize_t count = ::read(descriptor_, buffer_.data() + searched, kReadBytes);
      buffer_.resize(searched + static_cast<std::size_t>(std::max<ssize_t>(0, count)));
      if (count == 0 || (count < 0 && errno != EINTR)) {
        return std::string{};
      }
    }
  }

 private:
  int descriptor_;
  std::string buffer_;
};

/// Reads events to the result. Absent: the child ended without one.
Result<std::optional<std::string>> read_events(Child& child, RunView& view) {
  LineReader lines(child.from());
  while (true) {
    PHASE_TRY(std::string line, lines.next());
    if (line.empty()) {
      return std::nullopt;
    }
    PHASE_TRY(const json::object object, sdk::parse_object(line));
    const json::value* event = object.if_contains("event");
    if (event == nullptr || !event->is_string()) {
      return fail(Code::protocol, "plasmd wrote a line that is no event");
    }
    if (event->as_string() == "result") {
      return std::optional{std::move(line)};
    }
    sdk::JobEvent out;
    out.name = std::string{event->as_string()};
    if (out.name == "output") {
      PHASE_TRY(job::OutputPiece piece, sdk::read_output(json::value(object)));
      out.stream = piece.stream;
      out.data = std::move(piece.data);
    }
    out.json = std::move(line);
    PHASE_TRY_VOID(view.event(out));
  }
}

tl::unexpected<Error> no_result(int status) {
  if (status == 127) {
    return fail(
        Code::not_found, "no daemon runs and plasmd was not found",
        "install plasmd, put it beside phase or into PATH, or start a daemon with: plasmd start");
  }
  return fail(Code::internal,
              "plasmd ended with status " + std::to_string(status) + " and no result",
              "its messages are above");
}

}  // namespace

Result<int> run_one_shot(RunCommand command, const Bytes& module) {
  PHASE_TRY_VOID(check_possible(command.options));
  PHASE_TRY(StdinChoice choice, choose_stdin(command.stdin_from));
  // The child gets a pipe in any case, so to the manifest stdin is streamed.
  std::optional<Bytes> given = std::move(choice.given);
  command.options.stdin_bytes.reset();
  PHASE_TRY(sdk::SubmittedJob asked, sdk::describe(module, command.options));
  Child child;
  PHASE_TRY_VOID(child.start(child_command(command)));
  SignalWatch signals([&child] { child.interrupt(); });
  RunView view(command);
  view.progress("running here, without a daemon");

  const auto sink = [&child, &asked](ByteView bytes, bool end) {
    asked.streamed.append(bytes);
    const bool written = write_all(child.to(), bytes).has_value();
    if (end || !written) {
      child.close_stdin();
    }
    return written;
  };
  std::unique_ptr<StdinPump> pump;
  std::thread giver;
  if (given) {
    giver = std::thread([&sink, &given] { static_cast<void>(sink(*given, true)); });
  } else {
    pump = std::make_unique<StdinPump>(choice.descriptor, std::move(choice.first), sink, [] {});
  }
  const auto line = read_events(child, view);
  const int status =
      child.wait();  // its end of the pipe is closed now, so that no writer waits any more
  pump.reset();
  if (giver.joinable()) {
    giver.join();
  }
  view.clear();
  PHASE_TRY(const auto result_line, line);
  if (!result_line) {
    return signals.raised() ? Result<int>{kExitCancelled} : Result<int>{no_result(status)};
  }
  PHASE_TRY(const sdk::JobResult result, sdk::check_result(*result_line, asked));
  PHASE_TRY(const int code, view.conclude(result, &asked));
  return signals.raised() ? kExitCancelled : code;
}

}  // namespace phase::cli
