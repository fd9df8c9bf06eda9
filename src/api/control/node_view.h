// node_view.h — what the control API tells about the node, and asks of it. Implemented by the
// daemon.
//
// Called on the control server's executor; nothing here blocks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/identity.h"
#include "protocol/requester/requester.h"

namespace phase::control {

/// `GET /v1/status`. Jobs as a provider are added to those of the job book by the server.
struct NodeStatus {
  identity::PublicKey key;
  std::string agent;    ///< "plasmd/0.1.0"
  std::string arch;     ///< "x86_64"
  std::string runtime;  ///< "wasmtime-48"
  Duration uptime{};
  std::vector<std::string> listen_addresses;  ///< with /p2p/<id>
  std::size_t peers_connected = 0;
  std::size_t jobs_running = 0, jobs_queued = 0,
              jobs_max = 0;            ///< as a provider, own local jobs included
  std::vector<std::string> isolation;  ///< layers its workers run under
  bool open = false;                   ///< takes jobs from anybody
  bool network = false;                ///< false: local jobs only
};

struct PeerEntry {
  identity::PublicKey key;
  std::vector<std::string> addresses;
  bool direct = false;  ///< connected without a relay
  std::optional<Duration> round_trip;
};

struct PingAnswer {
  identity::PublicKey key;
  Duration round_trip{};
};

class NodeView {
 public:
  virtual ~NodeView() = default;
  [[nodiscard]] virtual NodeStatus status() const = 0;
  [[nodiscard]] virtual std::vector<PeerEntry> peers() const = 0;
  /// Providers by DHT and mDNS, each from its signed node document. Errors: Code::unavailable
  /// without a network.
  [[nodiscard]] virtual Task<Result<std::vector<requester::Candidate>>> providers(
      std::string kind, std::string arch, Deadline deadline) = 0;
  /// `peer`: a peer id or a multiaddr. Errors: Code::malformed, not_found, timed_out, unavailable.
  [[nodiscard]] virtual Task<Result<PingAnswer>> ping(std::string peer, Deadline deadline) = 0;
};

}  // namespace phase::control
