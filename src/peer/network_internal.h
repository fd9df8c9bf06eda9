// network_internal.h — rust/net/include/phase_net.h as values that clean up after themselves.
// Private to src/peer.
//
// A `Network` runs threads of its own and calls nobody back: whoever owns it polls `event_fd` and
// takes events. Nothing blocks but the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "identity/identity.h"
#include "peer/peer.h"

struct phase_net;
struct phase_net_error;
struct phase_net_stream;

namespace phase::peer {

/// What a try to read or to write came to.
struct Attempt {
  enum class Kind {
    moved,        ///< `count` bytes, at least one
    would_block,  ///< an event follows when trying again is worth it
    ended,        ///< the peer has sent everything
    reset,        ///< by either side, or the connection is gone
  };
  Kind kind = Kind::reset;
  std::size_t count = 0;
};

/// A stream of the network; it may outlive it, and is reset then. Nothing here waits.
class NetworkStream {
 public:
  NetworkStream() = default;
  /// Takes the stream over.
  NetworkStream(const phase_net_stream* stream, std::uint64_t id) : stream_(stream), id_(id) {}

  /// The number its events carry.
  [[nodiscard]] std::uint64_t id() const { return id_; }
  /// Neither may be asked for nothing. Not after `end`.
  [[nodiscard]] Attempt read(std::span<std::uint8_t> out);
  [[nodiscard]] Attempt write(ByteView bytes);
  /// Ends what is sent, after what was written.
  void shut_down();
  /// What was written still goes out, or, with `reset`, as without a call of this, all is dropped.
  void end(bool reset);

 private:
  struct Delete {
    void operator()(const phase_net_stream* stream) const noexcept;
  };
  std::unique_ptr<const phase_net_stream, Delete> stream_;
  std::uint64_t id_ = 0;
};

/// What a finished command brought: by command, one of these.
struct Outcome {
  NetworkStream stream;
  std::vector<identity::PublicKey> peers;
  Duration round_trip{};
};

struct NetworkEvent {
  enum class Kind { completed, inbound, ready, routing, warning, readable, writable };
  Kind kind = Kind::warning;
  std::uint64_t request = 0;
  Result<Outcome> outcome;
  std::string text;             ///< of a warning, or the protocol of an inbound stream
  std::uint64_t stream_id = 0;  ///< of the stream that is readable or writable
};

class Network {
 public:
  /// Errors: Code::malformed, already_exists (hint --listen), io; see Peer::start.
  [[nodiscard]] static Result<Network> start(const identity::KeyPair& key, const Options& options);

  [[nodiscard]] Result<void> handle(const std::string& protocol);
  // Each starts something that ends in one event `completed` with `request`; an error means that it
  // did not start. Timeouts count from now.
  [[nodiscard]] Result<void> open(std::uint64_t request, const identity::PublicKey& peer,
                                  const std::string& protocol, Duration timeout);
  [[nodiscard]] Result<void> dial(std::uint64_t request, const std::string& address,
                                  Duration timeout);
  [[nodiscard]] Result<void> provide(std::uint64_t request, const std::string& key,
                                     Duration timeout);
  [[nodiscard]] Result<void> find(std::uint64_t request, const std::string& key, Duration timeout);
  [[nodiscard]] Result<void> ping(std::uint64_t request, const identity::PublicKey& peer,
                                  Duration timeout);

  /// Readable while events wait. Belongs to the network.
  [[nodiscard]] int event_fd() const;
  [[nodiscard]] std::optional<NetworkEvent> next_event();

  [[nodiscard]] std::vector<PeerInfo> peers() const;
  [[nodiscard]] std::vector<std::string> listen_addresses() const;
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct Delete {
    void operator()(phase_net* net) const noexcept;
  };
  explicit Network(phase_net* net) : net_(net) {}
  std::unique_ptr<phase_net, Delete> net_;
};

/// Errors: Code::malformed unless a multiaddr that ends in /p2p/<peer id of an Ed25519 key>.
[[nodiscard]] Result<identity::PublicKey> peer_of_address(const std::string& multiaddr);

}  // namespace phase::peer
