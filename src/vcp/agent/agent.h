// agent.h — a node of a fleet: one outgoing connection to its coordinator, jobs from nobody else.
//
// A provider (node/local_node.h), a libp2p peer that listens nowhere, and a fleet session that is
// begun again whenever it breaks. Jobs that run are not touched by a broken connection. Belongs to
// one executor.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "http_client/http_client.h"
#include "node/local_node.h"
#include "vcp/session/session.h"
#include "vcp/telemetry/meter.h"

namespace phase::vcp {

/// Waits of an agent. Between attempts: doubling from first to max, each half to one and a half of
/// it by chance, so that a fleet does not come back in step.
struct AgentLimits {
  Duration retry_first = 500ms;
  Duration retry_max = 30s;
  Duration steady = 60s;  ///< a session that lasted so long: the next wait is the first again
  Duration dial_max = 10s;
  Duration open_max = 10s;
};

struct AgentOptions {
  NodeName name;
  std::string region = "us-west", type = "compute";
  /// Of the coordinator; of each of several on one database: asked in turn, whoever answers.
  std::vector<http_client::Url> coordinators;
  std::shared_ptr<const http_client::Trust> trust;  ///< of https; null: the system's authorities
  std::optional<std::string> join_token;
  std::filesystem::path data_dir;  ///< exists; the node's key is the caller's
  node::LocalOptions local;        ///< whom it serves is filled in here
  std::uint64_t bandwidth_claimed_kbps = 0;
  std::optional<std::uint16_t> observability_port;  ///< 0: any
  AgentLimits limits;
};

/// What `GET /node/status` tells.
struct AgentStatus {
  std::string region, type;
  Duration uptime{0};
  UtcTime now;
  bool joined = false, draining = false;
  std::size_t jobs_running = 0, jobs_queued = 0;
  Telemetry telemetry;
};

class Agent {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    Meter& meter;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Opens its records and the status address; nothing is dialled yet. Errors: those of
  /// store::Store::open; Code::already_exists for a port in use.
  [[nodiscard]] static Result<std::unique_ptr<Agent>> make(World world, AgentOptions options);
  ~Agent();  ///< takes down at once what `drain` did not

  /// Takes part until drained. Errors: where only a person can help — Code::rejected (refused,
  /// removed), unauthorized (another coordinator than before), and those of LocalNode::start.
  [[nodiscard]] Task<Result<void>> run();
  /// Tells the coordinator, takes no new jobs, lets running ones end until `deadline`, then leaves:
  /// `run` returns. Call once.
  [[nodiscard]] Task<void> drain(Deadline deadline);

  [[nodiscard]] AgentStatus status() const;
  [[nodiscard]] std::uint16_t observability_port() const noexcept;  ///< 0: none

 private:
  struct State;
  explicit Agent(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines of run()
};

/// The JSON of `GET /node/status`.
[[nodiscard]] std::string status_json(const AgentStatus& status);

}  // namespace phase::vcp
