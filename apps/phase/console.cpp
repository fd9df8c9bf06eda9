#include "console.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace phase::cli {
namespace {

constexpr std::size_t kReadBytes = 64_KiB;

/// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() {
    if (value_ > STDERR_FILENO) {
      ::close(value_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return value_; }

 private:
  int value_;
};

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t bytes_max) {
  const bool from_stdin = path == "-";
  const Descriptor file(from_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string name = from_stdin ? "stdin" : path.string();
  if (file.get() < 0) {
    return fail_errno(errno, "cannot open " + name);
  }
  Bytes out;
  while (true) {
    const std::size_t have = out.size();
    out.resize(have + kReadBytes);
    const ssize_t count = ::read(file.get(), out.data() + have, kReadBytes);
    if (count < 0 && errno != EINTR) {
      return fail_errno(errno, "cannot read " + name);
    }
    out.resize(have + static_cast<std::size_t>(std::max<ssize_t>(0, count)));
    if (count == 0) {
      return out;
    }
    if (out.size() > bytes_max) {
      return fail(Code::too_large, name + " has more than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Result<void> write_file(const std::filesystem::path& path, ByteView bytes, bool private_file) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, private_file ? 0600 : 0644));
  if (file.get() < 0) {
    return fail_errno(errno, "cannot write " + path.string());
  }
  if (private_file && ::fchmod(file.get(), 0600) != 0) {
    return fail_errno(errno, "cannot make " + path.string() + " private");
  }
  return write_all(file.get(), bytes);
}

Result<void> write_all(int descriptor, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EPIPE) {
      return fail(Code::connection_closed, "nobody reads the output any more");
    }
    if (count < 0 && errno != EINTR) {
      return fail_errno(errno, "cannot write");
    }
    bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return {};
}

void print(std::string_view line) {
  // A closed stdout shows in the exit code of commands that stream; here there is nothing left to
  // do about it.
  static_cast<void>(write_all(STDOUT_FILENO, as_bytes(std::string{line} + "\n")));
}

void complain(std::string_view line) {
  static_cast<void>(write_all(STDERR_FILENO, as_bytes("phase: " + std::string{line} + "\n")));
}

Progress::Progress(bool enabled) : enabled_(enabled && ::isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::string_view text) {
  if (enabled_) {
    static_cast<void>(write_all(STDERR_FILENO, as_bytes("\r\x1b[K" + std::string{text})));
    shown_ = true;
  }
}

void Progress::clear() {
  if (shown_) {
    static_cast<void>(write_all(STDERR_FILENO, as_bytes("\r\x1b[K")));
    shown_ = false;
  }
}

Result<void> LivePrinter::output(job::OutputStream stream, ByteView bytes) {
  chain_.append(stream, bytes);
  const bool to_out = stream == job::OutputStream::out;
  return emit(to_out ? out_ : err_, to_out ? STDOUT_FILENO : STDERR_FILENO, bytes);
}

Result<void> LivePrinter::emit(Stream& stream, int descriptor, ByteView bytes) {
  if (stream.seen < stream.printed) {
    const auto again = static_cast<std::size_t>(
        std::min<std::uint64_t>(bytes.size(), stream.printed - stream.seen));
    stream.seen_hash.update(bytes.first(again));
    stream.seen += again;
    bytes = bytes.subspan(again);
    if (stream.seen == stream.printed &&
        stream.seen_hash.finish() != stream.printed_hash.finish()) {
      return fail(
          Code::verification_failed,
          "the job was started again elsewhere and writes other output than what was printed",
          "what was printed is void; run it again");
    }
  }
  if (bytes.empty()) {
    return {};
  }
  stream.printed_hash.update(bytes);
  stream.printed += bytes.size();
  stream.seen += bytes.size();
  if (silent_) {
    return {};
  }
  progress_.clear();
  return write_all(descriptor, bytes);
}

void LivePrinter::restart() {
  chain_ = job::OutputChain{};
  for (Stream* stream : {&out_, &err_}) {
    stream->seen = 0;
    stream->seen_hash = Sha256Stream{};
  }
}

Result<job::OutputSummary> LivePrinter::finish() const {
  if (out_.seen < out_.printed || err_.seen < err_.printed) {
    return fail(Code::verification_failed,
                "the job was started again elsewhere and wrote less than what was printed",
                "what was printed is void; run it again");
  }
  return chain_.summary();
}

}  // namespace phase::cli
