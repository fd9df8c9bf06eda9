// peer.h — finding and talking to peers: libp2p (QUIC, TCP or WebSocket/Noise/Yamux, Kademlia,
// mDNS, identify, ping) behind values and byte streams. Carries bytes and knows no job. The only
// user of rust/net.
//
// The network library runs its own threads and calls nobody. Everything here belongs to the
// executor that was given to `start`; callbacks run on it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "identity/identity.h"

namespace phase::peer {

struct Options {
  /// Multiaddrs. Default: QUIC and TCP on port 4001, IPv4 and IPv6. Empty: does not listen.
  std::vector<std::string> listen = {"/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001",
                                     "/ip6/::/udp/4001/quic-v1", "/ip6/::/tcp/4001"};
  /// Multiaddrs with /p2p/<peer id>; dns, dns4, dns6 and dnsaddr are resolved.
  std::vector<std::string> bootstrap = {};
  bool mdns = true;         ///< failing to start is a warning
  bool upnp = false;        ///< failing is a warning
  bool dht_client = false;  ///< default: server when listening
  /// One of many in this process: runs on the threads of the others, and knows few peers of the
  /// DHT.
  bool small = false;
  std::string agent = "phase";
  std::size_t connections_max = 256;
  std::size_t streams_per_peer_max = 64;
  std::size_t streams_max = 1024;
  Duration idle_timeout = 60s;
};

struct PeerInfo {
  identity::PeerId id;
  std::vector<std::string> addresses;
  bool connected = false;
  std::optional<Duration> round_trip;  ///< last ping
};

class Peer {
 public:
  /// Called for each inbound stream of a handled protocol, on the executor.
  using StreamHandler = std::function<void(std::unique_ptr<ByteStream>, identity::PublicKey)>;

  /// Starts listening. Errors: Code::already_exists when an address is taken (message names it,
  /// hint: --listen), Code::malformed for a bad multiaddr, Code::io.
  [[nodiscard]] static Task<Result<std::unique_ptr<Peer>>> start(asio::any_io_executor executor,
                                                                 const identity::KeyPair& key,
                                                                 Options options);
  virtual ~Peer() = default;  ///< closes all connections; waits for the library's threads

  /// Accepts inbound streams of `protocol`. Must be called before peers open them; at most 8
  /// protocols.
  virtual void handle(std::string protocol, StreamHandler handler) = 0;
  /// Connects (by known addresses, else by a DHT look-up) and opens a stream; direct connections
  /// are preferred. Errors: Code::unavailable, timed_out, unsupported (the peer does not speak the
  /// protocol).
  [[nodiscard]] virtual Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer,
                                                                       std::string protocol,
                                                                       Deadline deadline) = 0;
  /// Dials a multiaddr. Returns who answered.
  [[nodiscard]] virtual Task<Result<identity::PublicKey>> dial(std::string multiaddr,
                                                               Deadline deadline) = 0;
  /// Announces this node under `key` and repeats it until destroyed.
  [[nodiscard]] virtual Task<Result<void>> provide(std::string key) = 0;
  /// Peers announced under `key`; at most 64. Not believed, only asked.
  [[nodiscard]] virtual Task<Result<std::vector<identity::PublicKey>>> find_providers(
      std::string key, Deadline deadline) = 0;
  [[nodiscard]] virtual Task<Result<Duration>> ping(identity::PublicKey peer,
                                                    Deadline deadline) = 0;
  [[nodiscard]] virtual std::vector<PeerInfo> peers()
      const = 0;  ///< known peers (connected, mDNS, routing)
  [[nodiscard]] virtual std::vector<std::string> listen_addresses() const = 0;  ///< with /p2p/<id>
  [[nodiscard]] virtual std::vector<std::string> warnings()
      const = 0;  ///< mDNS or UPnP that failed
};

}  // namespace phase::peer
