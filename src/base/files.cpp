#include "base/files.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

namespace phase {

namespace fs = std::filesystem;

Result<FileDescriptor> open_file(const fs::path& path, int flags, unsigned mode) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file.valid()) return fail_errno(errno, "opening " + path.string() + " failed");
  return file;
}

tl::unexpected<Error> fail_write(int error_number, std::string_view what) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return fail_errno(error_number, "writing " + std::string(what) + " failed",
                    full ? "make room on that disk (or raise the quota), then try again" : "");
}

Result<void> write_at(int file, ByteView bytes, std::uint64_t offset, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_write(errno, what);
    offset += static_cast<std::uint64_t>(wrote);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<void> read_at(int file, std::span<std::uint8_t> out, std::uint64_t offset,
                     std::string_view what) {
  while (!out.empty()) {
    const ssize_t got = ::pread(file, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "reading " + std::string(what) + " failed");
    if (got == 0) return fail(Code::io, std::string(what) + " ends before its length");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<void> sync_folder(const fs::path& folder) {
  PHASE_TRY(const FileDescriptor opened, open_file(folder, O_RDONLY | O_DIRECTORY));
  if (::fsync(opened.get()) != 0) return fail_write(errno, folder.string());
  return {};
}

Result<void> write_file(const fs::path& path, std::string_view text) {
  const fs::path beside = path.string() + ".new";
  {
    PHASE_TRY(const FileDescriptor file, open_file(beside, O_WRONLY | O_CREAT | O_TRUNC));
    PHASE_TRY_VOID(write_at(file.get(), as_bytes(text), 0, beside.string()));
    if (::fsync(file.get()) != 0) return fail_write(errno, beside.string());
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return fail_errno(errno, "replacing " + path.string() + " failed");
  }
  return sync_folder(path.parent_path());
}

namespace {

/// Some bytes; 0 at the end.
Result<std::size_t> read_some(int file, std::span<char> out, const fs::path& path) {
  while (true) {
    const ssize_t got = ::read(file, out.data(), out.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail_errno(errno, "reading " + path.string() + " failed");
  }
}

}  // namespace

Result<std::string> read_file(const fs::path& path, std::size_t bytes_max) {
  PHASE_TRY(const FileDescriptor file, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) {
    return fail_errno(errno, "reading the state of " + path.string() + " failed");
  }
  if (!S_ISREG(found.st_mode)) return fail(Code::not_found, path.string() + " is no regular file");
  if (static_cast<std::uint64_t>(found.st_size) > bytes_max) {
    return fail(Code::too_large,
                path.string() + " has more than " + std::to_string(bytes_max) + " bytes");
  }
  // A file of /proc says 0 bytes whatever it has: read to its end, in pieces.
  constexpr std::size_t kPieceBytes = 4096;
  const bool unknown = found.st_size == 0;
  std::string out(unknown ? kPieceBytes : static_cast<std::size_t>(found.st_size), '\0');
  std::size_t at = 0;
  while (at < out.size()) {
    PHASE_TRY(const std::size_t got, read_some(file.get(), std::span(out).subspan(at), path));
    if (got == 0) break;
    at += got;
    if (!unknown) continue;
    if (at > bytes_max) {
      return fail(Code::too_large,
                  path.string() + " has more than " + std::to_string(bytes_max) + " bytes");
    }
    out.resize(at + kPieceBytes);
  }
  out.resize(at);
  return out;
}

}  // namespace phase
