#include "vcp/coordinator/module_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

namespace phase::vcp {
namespace {

constexpr std::string_view kEnding = ".wasm";
/// There once the times of files are those of uses.
constexpr const char* kUsesMark = ".uses";

/// Errors: those of fail_errno.
Result<void> set_time(const std::filesystem::path& path, UtcTime now) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(now.unix_ms / 1'000);
  time.tv_nsec = static_cast<long>(now.unix_ms % 1'000) * 1'000'000;
  const timespec both[] = {time, time};
  if (::utimensat(AT_FDCWD, path.c_str(), both, 0) == 0) return {};
  return fail_errno(errno, "cannot note the use of " + path.string());
}

/// Nothing for a file that is none of ours.
std::optional<Sha256> named_by(const std::filesystem::path& path) {
  const Result<Sha256> out = Sha256::from_hex_text(path.stem().string());
  if (path.extension() != kEnding || !out) return std::nullopt;
  return *out;
}

std::optional<UtcTime> time_of(const std::filesystem::path& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0 || facts.st_mtim.tv_sec < 0) return std::nullopt;
  return UtcTime{static_cast<std::uint64_t>(facts.st_mtim.tv_sec) * 1'000 +
                 static_cast<std::uint64_t>(facts.st_mtim.tv_nsec) / 1'000'000};
}

}  // namespace

std::filesystem::path ModuleFiles::path_of(const Sha256& sha256) const {
  return folder_ / (sha256.hex() + std::string(kEnding));
}

Result<void> ModuleFiles::write(const Sha256& sha256, ByteView module, UtcTime now) {
  const std::filesystem::path path = path_of(sha256);
  const Result<void> noted = set_time(path, now);
  if (noted || noted.error().code != Code::not_found) return noted;
  PHASE_TRY_VOID(write_file(path, as_text(module)));
  return set_time(path, now);
}

Result<Bytes> ModuleFiles::read(const Sha256& sha256, UtcTime now) {
  const std::filesystem::path path = path_of(sha256);
  PHASE_TRY(const std::string text, read_file(path, job::kModuleBytesMax));
  static_cast<void>(set_time(path, now));
  return to_bytes(text);
}

Result<std::vector<Sha256>> ModuleFiles::remove(UtcTime now, Duration unused,
                                                const std::set<Sha256>& needed) {
  std::error_code error;
  const bool marked = std::filesystem::exists(folder_ / kUsesMark, error);
  std::vector<Sha256> out;
  std::filesystem::directory_iterator at(folder_, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const auto name = named_by(at->path());
    if (!name || needed.contains(*name)) continue;
    if (!marked) {
      PHASE_TRY_VOID(set_time(at->path(), now));
      continue;
    }
    const auto used = time_of(at->path());
    if (!used || !is_unused(*used, now, unused)) continue;
    if (::unlink(at->path().c_str()) != 0) {
      return fail_errno(errno, "cannot remove " + at->path().string());
    }
    out.push_back(*name);
  }
  if (error) return fail(Code::io, "cannot read " + folder_.string() + ": " + error.message());
  if (!marked) PHASE_TRY_VOID(write_file(folder_ / kUsesMark, ""));
  return out;
}

Task<Result<void>> MemoryModules::keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                       UtcTime now) {
  modules_.insert_or_assign(sha256, Held{std::move(module), now});
  co_return Result<void>{};
}

Task<Result<std::shared_ptr<const Bytes>>> MemoryModules::get(Sha256 sha256, UtcTime now) {
  const auto found = modules_.find(sha256);
  if (found == modules_.end()) co_return fail(Code::not_found, "no module with this hash");
  found->second.used = now;
  co_return found->second.module;
}

Task<Result<std::size_t>> MemoryModules::sweep(UtcTime now, Duration unused,
                                               std::set<Sha256> needed) {
  co_return std::erase_if(modules_, [&](const auto& held) {
    return !needed.contains(held.first) && is_unused(held.second.used, now, unused);
  });
}

}  // namespace phase::vcp
