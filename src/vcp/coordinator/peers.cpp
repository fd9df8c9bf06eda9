// Providers of the mesh: nodes that nobody registered. All of it is in memory.
#include <algorithm>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

constexpr std::size_t kNameEndBytes = 10;

/// A stranger's word for where it stands, when a fleet could have it.
std::string region_of(const std::string& said) {
  const bool fits =
      !said.empty() && said.size() <= kRegionBytesMax && std::ranges::all_of(said, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
      });
  return fits ? said : std::string(kPeerRegion);
}

}  // namespace

NodeName peer_name(const identity::PublicKey& key) {
  const std::string id = identity::PeerId::from(key).text();
  return "peer-" + id.substr(id.size() - std::min(id.size(), kNameEndBytes));
}

FleetNode* Coordinator::State::find_peer(const identity::PublicKey& key) {
  FleetNode* node = find_node(peer_name(key));
  return node != nullptr && node->peer && node->row.key == key ? node : nullptr;
}

/// Room for one more: whoever is gone longest is forgotten, and with it what was known of it.
bool Coordinator::State::make_room_for_peer() {
  std::size_t count = 0;
  FleetNode* oldest = nullptr;
  for (const auto& [name, node] : nodes) {
    if (!node->peer) continue;
    ++count;
    const bool over = (!node->online || node->row.rejected) && node->runs.empty();
    const bool older =
        oldest == nullptr || node->row.last_seen.unix_ms < oldest->row.last_seen.unix_ms;
    if (over && older) oldest = node.get();
  }
  if (count < options.peers_max) return true;
  if (oldest == nullptr) return false;
  const NodeName name = oldest->row.name;
  scheduler.remove_node(name);
  nodes.erase(name);
  return true;
}

FleetNode* Coordinator::State::add_peer(const identity::PublicKey& key) {
  const NodeName name = peer_name(key);
  if (find_node(name) != nullptr || !make_room_for_peer()) return nullptr;
  HealthLimits limits = options.health;
  limits.failures.open_above = std::min(limits.failures.open_above, kPeerFailuresMax);
  auto made = std::make_unique<FleetNode>(limits);
  made->peer = true;
  made->row.name = name;
  made->row.type = "any";
  made->row.key = key;
  made->row.registered = world.clock.now_utc();
  return nodes.emplace(name, std::move(made)).first->second.get();
}

void Coordinator::State::peer_seen(const PeerOffer& offer) {
  if (closed || leaving || options.peers_max == 0) return;
  if (std::ranges::find(liars, offer.key) != liars.end()) return;
  FleetNode* node = find_peer(offer.key);
  if (node == nullptr) node = add_peer(offer.key);
  if (node == nullptr || node->row.rejected) return;
  const bool came = !std::exchange(node->online, true);
  node->suspect = false;
  node->row.region = region_of(offer.region);
  node->cores = static_cast<std::uint32_t>(std::min(offer.cpu_cores, kPeerCoresMax));
  node->memory_mb = std::min(offer.memory_bytes / (1024 * 1024), kPeerMemoryMbMax);
  node->slots =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(offer.jobs_max, 1, UINT32_MAX));
  node->row.last_seen = world.clock.now_utc();
  if (offer.round_trip) node->health.take_latency(*offer.round_trip, world.clock.now());
  if (came) {
    world.log.info("{} is there: peer {}, region {}", node->row.name,
                   identity::PeerId::from(offer.key).text(), node->row.region);
    note(*node, "joined", "found in the mesh");
  }
  refresh(*node);
  tell_node(*node);
  pump();
}

void Coordinator::State::peer_latency(const identity::PublicKey& key, Duration round_trip) {
  FleetNode* node = find_peer(key);
  if (node == nullptr || !node->online) return;
  node->health.take_latency(round_trip, world.clock.now());
  refresh(*node);
}

void Coordinator::State::peer_gone(const identity::PublicKey& key, const std::string& detail) {
  FleetNode* node = find_peer(key);
  if (node == nullptr || !node->online) return;
  node->online = false;
  node->health.forget_readings();
  node->row.last_seen = world.clock.now_utc();
  note(*node, "gone", detail);
  world.log.info("{} is gone: {}", node->row.name, detail);
  refresh(*node);
  tell_node(*node);
}

std::vector<identity::PublicKey> Coordinator::State::peers_online() const {
  std::vector<identity::PublicKey> out;
  for (const auto& [name, node] : nodes) {
    if (node->peer && node->online && node->row.key) out.push_back(*node->row.key);
  }
  return out;
}

void Coordinator::State::dismiss_peer(FleetNode& node, std::string_view why) {
  if (!node.peer || !node.row.key) return;
  world.log.warn("{} (peer {}) is not asked again: {}", node.row.name,
                 identity::PeerId::from(*node.row.key).text(), why);
  node.row.rejected = true;
  node.online = false;
  note(node, "gone", std::string(why));
  if (std::ranges::find(liars, *node.row.key) == liars.end()) liars.push_back(*node.row.key);
  if (liars.size() > kLiarsKept) liars.pop_front();
  refresh(node);
  tell_node(node);
}

/// Whether nobody with something at stake says so too.
bool Coordinator::State::only_strangers(const LiveTask& task,
                                        const std::vector<RunId>& agreed) const {
  bool stranger = false;
  for (const RunId id : agreed) {
    const LiveRun& run = *task.runs.at(id);
    if (!run.stranger && book.balance(bond_account(run.row.node)) >= options.bond) return false;
    stranger = stranger || run.stranger;
  }
  return stranger;
}

}  // namespace phase::vcp
