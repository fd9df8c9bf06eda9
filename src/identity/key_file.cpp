#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity/key_internal.h"

namespace phase::identity {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kKeyMode = 0600;

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

/// 32 bytes that are wiped at the end of their scope.
struct SeedBuffer {
  std::array<std::uint8_t, crypto_sign_SEEDBYTES + 1> bytes{};  // one more, to notice a longer file
  SeedBuffer() = default;
  SeedBuffer(const SeedBuffer&) = delete;
  SeedBuffer& operator=(const SeedBuffer&) = delete;
  ~SeedBuffer() { sodium_memzero(bytes.data(), bytes.size()); }
};

fs::path folder_of(const fs::path& path) {
  const fs::path folder = path.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

Result<void> sync_folder(const fs::path& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) return fail_errno(errno, "cannot open the folder " + folder.string());
  if (::fsync(fd.get()) != 0) {
    return fail_errno(errno, "cannot sync the folder " + folder.string());
  }
  return {};
}

/// Makes what is missing of `folder`, 0700, each level synced into the one above. What exists keeps
/// its mode.
Result<void> make_folders(const fs::path& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail_errno(ENOTDIR, "cannot keep a key in " + folder.string());
  }
  if (errno != ENOENT) return fail_errno(errno, "cannot look at the folder " + folder.string());
  PHASE_TRY_VOID(make_folders(folder_of(folder)));
  if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    return fail_errno(errno, "cannot make the folder " + folder.string());
  }
  return sync_folder(folder_of(folder));
}

Result<void> write_all(int fd, ByteView bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno(n < 0 ? errno : EIO, "cannot write " + path.string());
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

/// Writes the seed under `temporary`, a name nobody else uses, and syncs it.
Result<void> write_seed(const fs::path& temporary, ByteView seed) {
  const Descriptor fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kKeyMode));
  if (!fd.ok()) return fail_errno(errno, "cannot make " + temporary.string());
  if (::fchmod(fd.get(), kKeyMode) != 0) {
    return fail_errno(errno, "cannot set the mode of " + temporary.string());
  }
  PHASE_TRY_VOID(write_all(fd.get(), seed, temporary));
  if (::fsync(fd.get()) != 0) return fail_errno(errno, "cannot sync " + temporary.string());
  return {};
}

/// Removes a temporary name at the end of its scope.
class Removal {
 public:
  explicit Removal(const fs::path& path) : path_(path) {}
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;
  ~Removal() { ::unlink(path_.c_str()); }

 private:
  const fs::path& path_;
};

/// Puts `key` at `path` unless somebody was faster. False when somebody was.
Result<bool> publish(const fs::path& path, const KeyPair& key, Random& random) {
  const std::string suffix = to_hex(random.array<8>());
  const fs::path temporary = path.string() + ".new-" + suffix;
  bool first = false;
  {
    const Removal removal(temporary);
    PHASE_TRY_VOID(write_seed(temporary, key.seed()));
    first = ::link(temporary.c_str(), path.c_str()) == 0;
    if (!first && errno != EEXIST) {
      return fail_errno(errno, "cannot link the key to " + path.string());
    }
  }
  PHASE_TRY_VOID(sync_folder(folder_of(path)));
  return first;
}

}  // namespace

Result<KeyPair> load_key(const fs::path& path) {
  // Non-blocking: a named pipe at this path must not hang us. It means nothing for a file.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok()) return fail_errno(errno, "cannot open the key file " + path.string());
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) {
    return fail_errno(errno, "cannot look at the key file " + path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(Code::malformed, "the key file " + path.string() + " is not a regular file");
  }
  if ((info.st_mode & 077U) != 0) {
    return fail(Code::permission_denied,
                "the key file " + path.string() + " is open to group or others",
                "chmod 600 " + path.string());
  }
  SeedBuffer seed;
  std::size_t have = 0;
  while (have < seed.bytes.size()) {
    const ssize_t n = ::read(fd.get(), seed.bytes.data() + have, seed.bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "cannot read the key file " + path.string());
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  if (have != crypto_sign_SEEDBYTES) {
    return fail(Code::malformed, "the key file " + path.string() + " must hold exactly 32 bytes");
  }
  return KeyPair::from_seed(ByteView(seed.bytes).first(have));
}

Result<KeyPair> load_or_create_key(const fs::path& path, Random& random) {
  Result<KeyPair> found = load_key(path);
  if (found || found.error().code != Code::not_found) return found;
  PHASE_TRY_VOID(make_folders(folder_of(path)));
  KeyPair key = KeyPair::generate(random);
  PHASE_TRY(const bool first, publish(path, key, random));
  if (first) return key;
  return load_key(path);
}

}  // namespace phase::identity
