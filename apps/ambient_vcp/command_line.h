// command_line.h — what the user typed, read and checked in form; nothing is done yet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace phase::ambient_vcp {

enum class Verb : std::uint8_t {
  node,
  coordinator,
  health,
  info,
  gateway,
  ledger_check,
  backup,
  restore
};

/// Flags of `node`; `health` and `info` share the places.
struct NodeFlags {
  std::string id;
  std::string region = "us-west";
  std::string type = "compute";
  std::optional<std::string> coordinator_url;  ///< --coordinator-url, else VCP_API_URL
  std::filesystem::path coordinator_ca;        ///< PEM; --coordinator-ca, else VCP_COORDINATOR_CA
  std::optional<std::string> join_token;       ///< --join-token, else VCP_JOIN_TOKEN
  std::filesystem::path data_dir;              ///< empty: by the node's id
  bool observability = false;
  std::uint16_t observability_port = 9090;
  std::uint64_t jobs = 0;            ///< at once; 0: one per core
  std::uint64_t memory_mb = 512;     ///< of one job
  std::uint64_t max_seconds = 3600;  ///< of one job
  std::uint64_t bandwidth_mbps = 0;  ///< claimed; the coordinator measures
  std::uint64_t drain_seconds = 30;
  std::filesystem::path worker_path;
  std::filesystem::path sys_root = "/sys", proc_root = "/proc";
};

struct CoordinatorFlags {
  std::string cluster_id = "default";
  std::string strategy = "weighted";
  std::string listen;  ///< "127.0.0.1:3000"; PORT of the environment changes the port
  std::vector<std::string>
      mesh_listen;  ///< multiaddrs; empty: tcp and quic one port above the API's
  std::vector<std::string> mesh_announce;  ///< multiaddrs told to nodes instead of where it listens
  std::filesystem::path data_dir;          ///< empty: by the cluster's id
  std::string database;                    ///< URL; empty: SQLite in the data folder
  std::filesystem::path fleet_secret_file;  ///< empty: VCP_FLEET_SECRET
  std::string advertise;           ///< host:port at which other coordinators reach this one's API
  std::vector<std::string> hosts;  ///< names a Host header may have
  std::filesystem::path tls_certificate, tls_key;
  bool metrics_open = false, no_registration = false;
  std::uint64_t heartbeat_ms = 5'000;
  std::uint64_t drain_seconds = 30;
  bool peers = false;  ///< providers of the mesh are looked for
  std::vector<std::string> peer_bootstrap;
  std::size_t peers_max = 64;
  std::uint64_t tasks_kept = 100'000;  ///< that are final
  std::uint64_t modules_kept_days = 30;
  std::filesystem::path worker_path;
};

struct GatewayFlags {
  std::string listen = "0.0.0.0:7000";
  std::filesystem::path sessions_file;
  std::string sessions_url;              ///< instead of the file
  std::string api_key;                   ///< for it; --api-key, else VCP_API_KEY
  std::string announce;                  ///< told to it: where clients reach this gateway
  std::filesystem::path coordinator_ca;  ///< for it, PEM
  std::filesystem::path tls_certificate, tls_key;
  bool allow_private = false;
  std::uint64_t connect_seconds = 5, idle_seconds = 600, handshake_seconds = 10;
  std::uint64_t drain_seconds = 30;
};

struct CommandLine {
  std::vector<std::string> arguments;  ///< as typed, the program's name first
  Verb verb = Verb::health;
  NodeFlags node;
  CoordinatorFlags coordinator;
  GatewayFlags gateway;
  std::filesystem::path backup;       ///< the folder of `backup` and `restore`
  std::filesystem::path ledger_file;  ///< of `ledger check`; "-": standard input
  std::string log_level;              ///< --log-level, else RUST_LOG, else info
  std::string log_format = "text";
};

/// Exit status of a wrong command line.
inline constexpr int kExitUsage = 2;

/// The command line, or the status to exit with: 0 after --help or --version (printed on stdout),
/// kExitUsage after an error (printed on stderr).
[[nodiscard]] std::variant<CommandLine, int> parse_command_line(int argc, const char* const* argv);

}  // namespace phase::ambient_vcp
