#include <cstdio>
#include <iostream>

#include <fcntl.h>
#include <unistd.h>

#include "commands.h"

namespace phase::plasmd {
namespace {

namespace fs = std::filesystem;

Result<void> write_new(const fs::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    if (errno == EEXIST) {
      return fail(Code::already_exists, "Config already exists at: " + path.string(),
                  "edit it, or give another place with --path");
    }
    return fail_errno(errno, "cannot write " + path.string());
  }
  const ssize_t written = ::write(file, text.data(), text.size());
  const int write_error = errno;
  if (::close(file) != 0 || written != static_cast<ssize_t>(text.size())) {
    ::unlink(path.c_str());
    return fail_errno(written < 0 ? write_error : EIO, "cannot write " + path.string());
  }
  return {};
}

}  // namespace

Result<int> init_command(const CommandLine& line, Environment environment) {
  fs::path path = line.init_path;
  if (path.empty()) {
    PHASE_TRY(path, user_config_path(environment, "plasm", "config.json"));
  }
  if (path.has_parent_path()) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) {
      return fail(Code::io, "cannot make " + path.parent_path().string() + ": " + error.message());
    }
  }
  const std::string text = default_config_text();
  PHASE_TRY_VOID(write_new(path, text));
  std::cout << "Initialized config at: " << path.string() << "\n\nDefault config:\n"
            << text
            << "\nEdit this file to configure:\n"
               "  - listen_addrs: addresses to listen on (empty: QUIC and TCP on port 4001)\n"
               "  - peer_addrs: peers to keep a connection to\n"
               "  - bootstrap_peers: peers through which the DHT is joined\n"
               "  - allow: who may send jobs (nobody, unless listed)\n";
  return 0;
}

}  // namespace phase::plasmd
