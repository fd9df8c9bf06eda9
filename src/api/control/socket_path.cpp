#include "api/control/socket_path.h"

#include <cstdlib>
#include <string>

#include <unistd.h>

namespace phase::control {
namespace {

/// An environment variable that is set and not empty.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

}  // namespace

std::filesystem::path default_data_folder() {
  if (::geteuid() == 0) {
    return "/var/lib/plasm";
  }
  if (const std::string data = environment("XDG_DATA_HOME"); !data.empty()) {
    return std::filesystem::path{data} / "plasm";
  }
  return std::filesystem::path{environment("HOME")} / ".local" / "share" / "plasm";
}

std::filesystem::path default_socket_path() {
  if (const std::string socket = environment("PHASE_CONTROL_SOCKET"); !socket.empty()) {
    return socket;
  }
  if (const std::string runtime = environment("XDG_RUNTIME_DIR"); !runtime.empty()) {
    return std::filesystem::path{runtime} / "phase" / "plasmd.sock";
  }
  return default_data_folder() / "plasmd.sock";
}

}  // namespace phase::control
