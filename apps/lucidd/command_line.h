// command_line.h — lucidd's flags as they were written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace phase::lucidd {

enum class Verb : std::uint8_t {
  serve,
  version,
  policy_check,
  policy_show,
  status,
  pause,
  resume,
  pull,
  names,
  pin,
  unpin,
  unshare
};

struct CommandLine {
  Verb verb = Verb::serve;
  std::string mode = "worker";
  std::string worker = "auto";
  std::optional<std::string> upstream;
  bool no_local_worker = false;
  std::optional<std::filesystem::path> model_dir, ollama_models;
  std::int32_t gpu_layers = -1;
  std::string gpu_devices;
  std::uint32_t context_tokens = 0, sequences = 8, threads = 1;
  std::string keep_alive = "5m";
  std::uint64_t memory_mib = 0;
  std::optional<std::filesystem::path> policy_file, identity_path, data_dir, worker_path;
  std::uint16_t libp2p_port = 0;
  std::vector<std::string> bootstrap_peers, bootstrap_dns;
  bool dns_fallback = false;
  bool no_network = false, no_mdns = false, loopback_only = false;
  bool mesh = false;
  std::vector<std::string> mesh_models;
  bool require_verified = false;
  bool hedge = false;
  std::uint64_t first_token_seconds = 120, silence_seconds = 30;
  std::optional<std::size_t> queue_max;
  std::optional<std::string> host;
  std::optional<std::uint16_t> port;
  std::vector<std::string> origins;
  std::vector<std::string> hosts;  ///< further names a Host header may have
  std::optional<std::filesystem::path> api_keys, tls_certificate, tls_key;
  std::string llama_server;  ///< of earlier versions; refused
  std::string dns_server;    ///< "1.2.3.4" or "1.2.3.4:53"
  std::filesystem::path sys_root = "/sys";
  std::string isolation = "full", log_format = "text", log_level;
  std::uint64_t drain_seconds = 30;
  // Of the verbs that talk to a running daemon.
  bool json = false;
  std::string model;
  std::string name, digest, publisher;  ///< of names, pin, unpin, unshare
};

/// The command line, or the status to exit with (help was printed, or usage told).
[[nodiscard]] std::variant<CommandLine, int> parse_command_line(int argc, char** argv);

}  // namespace phase::lucidd
