// network_internal.h — rust/net/include/phase_net.h as values that clean up after themselves.
// Private to src/peer.
//
// A `Network` runs threads of its own and calls nobody back: whoever owns it polls `event_fd` and
// takes events. Nothing blocks but the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "identity/identity.h"
#include "peer/peer.h"

struct phase_net;
struct phase_net_error;

namespace phase::peer {

/// A descriptor that is closed at the end.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// What a finished command brought: by command, one of these.
struct Outcome {
  Descriptor stream;
  std::uint64_t stream_id = 0;  ///< for `end_stream`
  std::vector<identity::PublicKey> peers;
  Duration round_trip{};
};

struct NetworkEvent {
  enum class Kind { completed, inbound, ready, routing, warning };
  Kind kind = Kind::warning;
  std::uint64_t request = 0;
  Result<Outcome> outcome;
  std::string text;  ///< of a warning, or the protocol of an inbound stream
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

  /// Said before the socket of a stream is closed: what was written still goes out, or, with
  /// `reset`, all is dropped. Closing without it is a reset too.
  void end_stream(std::uint64_t stream_id, bool reset);

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
