// node_view.h — what a node tells its owner of itself, and the switch the owner has: for the page
// at /ui and `lucidd status`.
//
// Belongs to the node's executor; nothing here blocks it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/identity.h"
#include "lucid/operator_policy.h"
#include "lucid/work_log.h"

namespace phase::lucid {

/// Peers told of at once; connected ones come first.
inline constexpr std::size_t kPeersToldMax = 256;
/// Providers are looked for this long before those known by then are told.
inline constexpr Duration kPeersLookMax = 2s;

struct NodeStatus {
  identity::PeerId id;
  std::string agent = {};   ///< "lucidd/0.1.0"
  std::string worker = {};  ///< "llama-cpp", "echo" or "none"
  bool isolated = false;    ///< its engines run locked down
  bool network = false;     ///< false: it stays off the network
  std::vector<std::string> listen_addresses = {};
  std::size_t peers_connected = 0;
  /// Globs of models whose prompts may leave; empty: none.
  std::vector<std::string> mesh_models = {};
  bool takes_others = false;  ///< the policy lets somebody else send jobs
  bool manual_pause = false;
  std::optional<std::string> paused = {};  ///< why others are not served now
  MachineState machine = {};
  std::size_t jobs_of_others = 0, own_asks = 0;  ///< now
};

struct PeerView {
  identity::PeerId id;
  bool connected = false;
  std::optional<Duration> round_trip = {};
  std::vector<std::string> addresses = {};
  /// From its signed node document; absent: it offers no inference, as far as is known.
  struct Offer {
    std::string agent, arch, runtime;
    std::vector<std::string> models;  ///< names as it writes them
    std::uint64_t jobs_running = 0, jobs_max = 0;
    bool open = false;  ///< takes jobs from anybody
  };
  std::optional<Offer> offer = {};
};

class NodeView {
 public:
  virtual ~NodeView() = default;
  [[nodiscard]] virtual NodeStatus status() const = 0;
  [[nodiscard]] virtual const OperatorPolicy& rules() const = 0;
  /// Where the rules are written.
  [[nodiscard]] virtual std::string rules_file() const = 0;
  /// Serving others: until the node ends, the file changes, or it is set again.
  virtual void pause(bool paused) = 0;
  /// What ran for whom lately, newest first.
  [[nodiscard]] virtual std::vector<WorkEntry> work() const = 0;
  /// Those known now; without a network: none.
  [[nodiscard]] virtual Task<std::vector<PeerView>> peers() = 0;
};

}  // namespace phase::lucid
