#include "settings.h"

#include <cstdlib>
#include <fstream>

#include <sys/stat.h>

#include "api/control/socket_path.h"
#include "daemon/daemon.h"
#include "policy/policy.h"

namespace phase::plasmd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTokenBytesMax = 1'024;

std::vector<std::string> default_listen() {
  std::vector<std::string> out{"/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001"};
  std::error_code error;
  if (fs::exists("/proc/net/if_inet6", error)) {
    out.insert(out.end(), {"/ip6/::/udp/4001/quic-v1", "/ip6/::/tcp/4001"});
  }
  return out;
}

/// A bearer token from a file that only its owner can read.
Result<std::string> read_token(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return fail_errno(errno, "control_tcp.token_file " + path.string());
  }
  if ((info.st_mode & 077U) != 0) {
    return fail(Code::permission_denied, path.string() + " can be read by others",
                "chmod 600 " + path.string());
  }
  std::ifstream file(path);
  std::string token(kTokenBytesMax, '\0');
  file.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<std::size_t>(file.gcount()));
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  return token;
}

Result<void> decide_places(Settings& out, Environment environment) {
  const Config& config = out.config;
  out.data_dir =
      config.data_dir.empty() ? control::default_data_folder() : fs::path(config.data_dir);
  if (config.identity_path.empty()) {
    auto path = user_config_path(environment, "phase", "identity.key");
    if (!path) {
      return fail(Code::invalid_argument, "no place for the identity: " + path.error().message,
                  "--identity-path FILE");
    }
    out.identity_path = *std::move(path);
  } else {
    out.identity_path = config.identity_path;
  }
  if (!config.control_socket.empty()) {
    out.control_socket = config.control_socket;
  } else if (!config.data_dir.empty() && environment("XDG_RUNTIME_DIR").empty()) {
    out.control_socket = out.data_dir / "plasmd.sock";
  } else {
    out.control_socket = control::default_socket_path();
  }
  out.worker_path = config.worker_path.empty() ? daemon::sibling_program("phase-worker")
                                               : fs::path(config.worker_path);
  return {};
}

}  // namespace

Result<Settings> load_settings(const CommandLine& line, Environment environment) {
  Settings out;
  PHASE_TRY(out.file, find_config(line.config, environment));
  if (!out.file.empty()) {
    PHASE_TRY(const std::string text, read_config_file(out.file));
    PHASE_TRY_VOID(read_config_text(out.config, text, out.file));
  }
  PHASE_TRY_VOID(read_environment(out.config, environment));
  for (const auto& [key, value] : line.settings) {
    PHASE_TRY_VOID(set_key(out.config, *key, value, key->flag));
  }
  PHASE_TRY_VOID(decide_places(out, environment));
  for (const auto& text : out.config.allow) {
    PHASE_TRY(const auto key, policy::parse_requester(text));
    out.allow.push_back(key);
  }
  out.listen = out.config.listen_addrs.empty() ? default_listen() : out.config.listen_addrs;
  if (out.config.control_tcp_port != 0) {
    if (out.config.control_tcp_token_file.empty()) {
      return fail(Code::invalid_argument, "control_tcp.port needs control_tcp.token_file");
    }
    PHASE_TRY(out.tcp_token, read_token(out.config.control_tcp_token_file));
  }
  return out;
}

std::string_view process_environment(std::string_view name) {
  const char* const value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::string_view{} : std::string_view(value);
}

}  // namespace phase::plasmd
