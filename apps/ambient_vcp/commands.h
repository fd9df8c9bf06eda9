// commands.h — one function for each verb: its exit status, or why not.
#pragma once

#include <optional>

#include "base/random.h"
#include "base/system_clock.h"
#include "command_line.h"
#include "http_client/http_client.h"
#include "identity/identity.h"
#include "node/local_node.h"
#include "vcp/telemetry/meter.h"

namespace phase::ambient_vcp {

inline constexpr const char* kAgent = "ambient-vcp/" PHASE_VERSION;

[[nodiscard]] Result<int> node_command(const CommandLine& line);
[[nodiscard]] Result<int> coordinator_command(const CommandLine& line);
[[nodiscard]] Result<int> gateway_command(const CommandLine& line);
[[nodiscard]] Result<int> backup_command(const CommandLine& line);
[[nodiscard]] Result<int> restore_command(const CommandLine& line);
[[nodiscard]] Result<int> ledger_check_command(const CommandLine& line);
[[nodiscard]] Result<int> health_command(const CommandLine& line);
[[nodiscard]] Result<int> info_command(const CommandLine& line);

/// <data>/ambient-vcp, <data> being /var/lib for root, else XDG_DATA_HOME or ~/.local/share.
/// Errors: Code::invalid_argument without a home.
[[nodiscard]] Result<std::filesystem::path> data_folder();
/// --data-dir, else <data>/ambient-vcp/nodes/<id>, <data> being /var/lib for root, else
/// XDG_DATA_HOME or ~/.local/share. Errors: Code::invalid_argument without a home.
[[nodiscard]] Result<std::filesystem::path> node_folder(const NodeFlags& flags);
/// --data-dir, else <data>/ambient-vcp/clusters/<cluster id>; absolute; not made.
[[nodiscard]] Result<std::filesystem::path> coordinator_folder(const CoordinatorFlags& flags);
/// Errors: those of parse_url, with what to do.
[[nodiscard]] Result<http_client::Url> coordinator_url(const std::string& text);
/// One or more, with commas between: those of several coordinators on one database.
[[nodiscard]] Result<std::vector<http_client::Url>> coordinator_urls(const std::string& text);

/// The file's authorities; null without a file: the system's. Errors: those of Trust::of_file.
[[nodiscard]] Result<std::shared_ptr<const http_client::Trust>> coordinator_trust(
    const std::filesystem::path& file);

/// A node's own things. Lives as long as what uses them.
struct NodeWorld {
  /// Makes folder and keys when missing. Errors: those of make_folder and load_or_create_key.
  [[nodiscard]] static Result<std::unique_ptr<NodeWorld>> make(asio::any_io_executor executor,
                                                               const NodeFlags& flags);
  NodeWorld(asio::any_io_executor executor, vcp::Meter::Roots roots)
      : clock(std::move(executor)), meter(clock, std::move(roots)) {}

  SystemClock clock;
  SystemRandom random;
  vcp::Meter meter;
  std::filesystem::path folder;
  std::optional<identity::KeyPair> key;
  worker::CacheKey cache_key{};
};
/// Worker, resources and ceilings; whom it serves is the agent's.
[[nodiscard]] node::LocalOptions local_options(const NodeFlags& flags, const NodeWorld& world);

}  // namespace phase::ambient_vcp
