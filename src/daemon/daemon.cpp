#include "daemon/daemon.h"

#include <cerrno>

#include <sys/resource.h>
#include <sys/stat.h>

namespace phase::daemon {
namespace {

namespace fs = std::filesystem;

/// Below this many descriptors the network may run out under load.
constexpr rlim_t kDescriptorsWanted = 8'192;

}  // namespace

Result<void> make_folder(const fs::path& path, const char* flag) {
  if (!path.is_absolute()) {
    return fail(Code::invalid_argument, "\"" + path.string() + "\" is not an absolute path",
                std::string("set HOME, or give ") + flag);
  }
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return {};
  }
  fs::create_directories(path.parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(errno, "cannot make the folder " + path.string(),
                      std::string("give another with ") + flag);
  }
  return {};
}

void raise_descriptor_limit(spdlog::logger& log) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return;
  }
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log.warn("the limit of open files could not be raised");
  }
  if (limit.rlim_max < kDescriptorsWanted) {
    log.warn("at most {} open files are allowed; {} are wanted (ulimit -n, LimitNOFILE=)",
             limit.rlim_max, kDescriptorsWanted);
  }
}

std::filesystem::path sibling_program(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = self.parent_path() / name;
  if (std::filesystem::exists(beside, error)) return beside;
  const auto installed = self.parent_path().parent_path() / "libexec" / "phase" / name;
  return std::filesystem::exists(installed, error) ? installed : beside;
}

}  // namespace phase::daemon
