// modules.h — the modules a node keeps on its disk by artifact id: those its people submit or add,
// and those it fetched. Given to whom the policy lets in, over /phase/artifact/2.0.0.
//
// Belongs to one executor; the disk is used in a thread of its own.
#pragma once

#include <filesystem>
#include <memory>

#include <spdlog/logger.h>

#include "api/control/module_keeper.h"
#include "base/clock.h"
#include "identity/identity.h"
#include "mesh/mesh.h"
#include "policy/policy.h"

namespace phase::node {

/// Keys of the DHT for modules; a DHT server takes 64 of one peer, of all kinds.
inline constexpr std::size_t kModulesAnnouncedMax = 48;
/// Modules on their way to the disk; above it `keep` is Code::busy.
inline constexpr std::size_t kKeepsAtOnceMax = 16;
/// A module that the disk gave back damaged is fetched again, so often.
inline constexpr int kModuleTriesMax = 2;

struct ModuleLimits {
  std::uint64_t bytes_max = 1'024_MiB;  ///< on the disk, all together; least recently used go first
  bool received = false;                ///< those that others send with their jobs, too
};

class Modules final : public control::ModuleKeeper {
 public:
  struct World {
    Clock& clock;
    const identity::PublicKey self;
    const policy::Policy& policy;
    std::string_view shared_with;  ///< "nobody", "allowlist", "anybody"
    mesh::Mesh* mesh;              ///< null: stays off the network
    asio::any_io_executor executor;
    spdlog::logger& log;
  };
  /// What lies in `folder` that nobody knows of is removed. Errors: Code::io.
  [[nodiscard]] static Result<std::unique_ptr<Modules>> open(World world,
                                                             const std::filesystem::path& folder,
                                                             ModuleLimits limits);
  /// Before the mesh goes.
  ~Modules() override;

  [[nodiscard]] Task<Result<void>> keep(std::shared_ptr<const Bytes> module,
                                        job::ArtifactRef ref) override;
  [[nodiscard]] Task<Result<control::KeptModule>> get(ArtifactId id, const Progress& progress,
                                                      requester::CancelToken& cancel) override;
  [[nodiscard]] std::string_view shared_with() const override;

 private:
  struct State;
  explicit Modules(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with what is under way; it stops when it is closed
};

}  // namespace phase::node
