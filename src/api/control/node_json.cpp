#include "api/control/node_json.h"

#include <boost/json.hpp>

namespace phase::control {
namespace {

namespace json = boost::json;

constexpr std::size_t kTextMax = 512;
constexpr std::size_t kPeerTextMax = 1024;

json::array texts(const std::vector<std::string>& list) {
  json::array out;
  for (const std::string& entry : list) {
    out.emplace_back(printable(entry, kTextMax));
  }
  return out;
}

json::value microseconds(const std::optional<Duration>& duration) {
  if (!duration) {
    return nullptr;
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(*duration).count();
}

std::string peer_text(const identity::PublicKey& key) {
  return identity::PeerId::from(key).text();
}

}  // namespace

std::string status_json(const NodeStatus& status, std::size_t jobs_active) {
  return json::serialize(json::object{
      {"version", PHASE_VERSION},
      {"peer_id", peer_text(status.key)},
      {"public_key", status.key.hex()},
      {"agent", status.agent},
      {"arch", status.arch},
      {"runtime", status.runtime},
      {"uptime_ms", std::chrono::duration_cast<std::chrono::milliseconds>(status.uptime).count()},
      {"listen_addresses", texts(status.listen_addresses)},
      {"peers", status.peers_connected},
      {"jobs", json::object{{"running", status.jobs_running},
                            {"queued", status.jobs_queued},
                            {"max", status.jobs_max},
                            {"submitted", jobs_active}}},
      {"isolation", texts(status.isolation)},
      {"open", status.open},
      {"network", status.network}});
}

std::string peers_json(const std::vector<PeerEntry>& peers) {
  json::array out;
  for (const PeerEntry& peer : peers) {
    out.push_back(json::object{{"peer_id", peer_text(peer.key)},
                               {"addresses", texts(peer.addresses)},
                               {"direct", peer.direct},
                               {"rtt_us", microseconds(peer.round_trip)}});
  }
  return json::serialize(json::object{{"peers", std::move(out)}});
}

std::string providers_json(const std::vector<requester::Candidate>& providers) {
  json::array out;
  for (const requester::Candidate& provider : providers) {
    const offer::Capabilities& can = provider.capabilities;
    out.push_back(json::object{
        {"peer_id", peer_text(provider.key)},
        {"public_key", provider.key.hex()},
        {"agent", printable(can.agent, kTextMax)},
        {"arch", printable(can.arch, kTextMax)},
        {"runtime", printable(can.runtime, kTextMax)},
        {"region", can.region ? json::value(json::string(printable(*can.region, kTextMax)))
                              : json::value(nullptr)},
        {"cpu_cores", can.cpu_cores},
        {"memory_bytes", can.memory_bytes},
        {"kinds", texts(can.kinds)},
        {"jobs_running", can.jobs_running},
        {"jobs_max", can.jobs_max},
        {"open", can.open},
        {"isolation", texts(can.isolation)},
        {"expires", can.expires.unix_ms},
        {"rtt_us", microseconds(provider.round_trip)}});
  }
  return json::serialize(json::object{{"providers", std::move(out)}});
}

std::string ping_json(const PingAnswer& answer) {
  return json::serialize(json::object{{"peer_id", peer_text(answer.key)},
                                      {"rtt_us", microseconds(answer.round_trip)}});
}

std::string module_json(const StagedModule& staged) {
  const job::ArtifactRef& ref = staged.ref;
  json::object out{
      {"sha256", ref.sha256.hex()}, {"artifact_id", ref.id.hex()}, {"length", ref.length}};
  if (!staged.shared_with.empty()) {
    out["shared_with"] = staged.shared_with;
  }
  return json::serialize(out);
}

Result<std::string> parse_ping(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 2;
  const json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* peer =
      object != nullptr && object->size() == 1 ? object->if_contains("peer") : nullptr;
  if (peer == nullptr || !peer->is_string() || peer->as_string().size() > kPeerTextMax) {
    return fail(Code::invalid_argument, R"(expected {"peer": peer id or multiaddr})");
  }
  return std::string{peer->as_string().data(), peer->as_string().size()};
}

}  // namespace phase::control
