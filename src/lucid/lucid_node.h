// lucid_node.h — what lucidd runs, so that it can be started in a test: models, provider, mesh,
// service.
//
// Builds the object graph over an executor and takes it down in order. Belongs to that executor.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "base/random.h"
#include "identity/identity.h"
#include "lucid/catalog.h"
#include "lucid/gate.h"
#include "lucid/model_pool.h"
#include "lucid/node_view.h"
#include "lucid/service.h"
#include "lucid/upstream_http.h"
#include "mesh/mesh.h"

namespace phase::lucid {

/// Power and heat are read this often, as is the policy file.
inline constexpr Duration kStateInterval = 30s;
inline constexpr Duration kPolicyInterval = 1s;
/// Who has a model of that name is asked for at most this long.
inline constexpr Duration kResolveMax = 10s;

class LucidNode final : public NodeView {
 public:
  struct Options {
    std::filesystem::path data_dir;
    std::filesystem::path policy_file;  ///< made with defaults when missing
    std::filesystem::path sys_root = "/sys";
    Catalog::Options catalog;
    ModelPool::Options pool;
    Service::Options service;  ///< without `resolve` and `may_leave`: by `mesh_models`
    std::string worker_path;   ///< phase-worker; empty: echo only
    bool isolated = true;
    std::optional<UpstreamUrl> upstream;  ///< a llama-server that runs the models instead
    std::string devices;                  ///< InferenceWorker::Options::devices
    bool serves = true;                   ///< false: runs nothing itself (relay)
    std::optional<phase::mesh::Mesh::Options> mesh;  ///< absent: stays off the network
    /// Models whose prompts may leave this machine, as globs; empty: none does.
    std::vector<std::string> mesh_models;
    std::string agent;  ///< "lucidd/0.1.0"
  };
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// Everything up, or an error and nothing left behind.
  [[nodiscard]] static Task<Result<std::unique_ptr<LucidNode>>> start(World world, Options options);
  ~LucidNode() override;

  [[nodiscard]] Lucid& service() noexcept;
  [[nodiscard]] Gate& gate() noexcept;
  /// The mesh, or null.
  [[nodiscard]] phase::mesh::Mesh* mesh() noexcept;
  [[nodiscard]] std::vector<std::string> listen_addresses() const;
  /// What this node says of itself now.
  [[nodiscard]] offer::Capabilities capabilities() const;
  /// Reads the policy file again, now; a bad one is told and left aside.
  void reload_policy();
  /// Takes no new jobs, lets running ones end until `deadline`, then ends them.
  [[nodiscard]] Task<void> drain(Deadline deadline);

  [[nodiscard]] NodeStatus status() const override;
  [[nodiscard]] const OperatorPolicy& rules() const override;
  [[nodiscard]] std::string rules_file() const override;
  void pause(bool paused) override;
  [[nodiscard]] std::vector<WorkEntry> work() const override;
  [[nodiscard]] Task<std::vector<PeerView>> peers() override;

 private:
  struct State;
  explicit LucidNode(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with its timers; they stop when it is closed
};

}  // namespace phase::lucid
