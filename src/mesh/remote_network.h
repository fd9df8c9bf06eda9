// remote_network.h — providers elsewhere: found by DHT records, mDNS and connections, believed by
// their signed node documents only (spec/discovery.md).
//
// Belongs to one executor. Everything it keeps is bounded by RemoteLimits.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "identity/identity.h"
#include "peer/peer.h"
#include "protocol/requester/requester.h"

namespace phase::mesh {

/// The DHT key under which a provider of `kind` on `arch` announces itself; `shard` 0 …
/// kCapabilityShards − 1.
inline constexpr std::uint8_t kCapabilityShards = 8;
[[nodiscard]] std::string capability_key(std::string_view kind, std::string_view arch,
                                         std::uint8_t shard);
/// The DHT key under which a provider that has a model announces itself.
[[nodiscard]] std::string model_key(const Sha256& model);
/// The DHT key under which a holder of a wasm module announces itself.
[[nodiscard]] std::string module_key(const ArtifactId& module);
/// The shard of one provider: the last byte of its key mod kCapabilityShards.
[[nodiscard]] std::uint8_t capability_shard(const identity::PublicKey& key);

struct RemoteLimits {
  std::size_t documents_max = 1'024;  ///< kept, at most until they expire
  std::size_t candidates_max = 128;   ///< peers asked in one search
  bool asks_connected = true;         ///< also peers that are connected or known, not announced
  std::size_t asked_at_once = 16;     ///< peers asked for their document at once
  std::size_t searches_max = 16;      ///< for different things wanted at once
  Duration ask_max = 3s;              ///< opening the stream and reading the document
  Duration ping_max = 500ms;
  Duration search_max = 10s;  ///< one search, whatever its callers wait
  /// After the first provider was found, others are waited for this long.
  Duration settle = 100ms;
  /// What a search found is used by others for this long before a new search starts.
  Duration fresh = 10s;
  /// A peer that could not be reached or whose document was refused is left alone for this long.
  Duration shun = 5s;
  /// While nobody was found: the pause before the next search, doubled each time.
  Duration again = 200ms;
};

class RemoteNetwork final : public requester::Network {
 public:
  struct World {
    Clock& clock;
    peer::Peer& peer;
    identity::PublicKey self;
    asio::any_io_executor executor;
  };
  explicit RemoteNetwork(World world, RemoteLimits limits = {});
  ~RemoteNetwork() override;

  /// Those with a free place first, then nearest first. Answers from memory while that is fresh,
  /// else soon after the first one was found; looks again until `deadline` while there is none.
  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted wanted,
                                                                     Deadline deadline) override;
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey provider,
                                                               std::string protocol,
                                                               Deadline deadline) override;
  /// All that one new search finds until it ends or `deadline`. For people who ask what there is.
  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> list(requester::Wanted wanted,
                                                                     Deadline deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the searches it runs; they stop when it is closed
};

}  // namespace phase::mesh
