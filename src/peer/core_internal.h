// core_internal.h — the network's events on one executor: completions to whoever waits, inbound
// streams to their handlers. Private to src/peer.
//
// Shared by the Peer and the coroutines it runs; `stop` ends all of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/event.h"
#include "peer/network_internal.h"
#include "peer/network_stream_internal.h"

namespace phase::peer {

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(asio::any_io_executor executor, Network network);

  /// Begins taking events. Errors: Code::io.
  [[nodiscard]] Result<void> run();
  /// Closes the network and fails whoever waits. Blocks until its threads are gone. Idempotent.
  void stop();
  [[nodiscard]] bool stopped() const { return !network_.has_value(); }

  /// Waits until the listeners have their addresses.
  [[nodiscard]] Task<Result<void>> ready();
  void handle(std::string protocol, Peer::StreamHandler handler);

  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer,
                                                               std::string protocol,
                                                               Duration timeout);
  [[nodiscard]] Task<Result<identity::PublicKey>> dial(std::string multiaddr, Duration timeout);
  [[nodiscard]] Task<Result<void>> provide(std::string key, Duration timeout);
  [[nodiscard]] Task<Result<std::vector<identity::PublicKey>>> find(std::string key,
                                                                    Duration timeout);
  [[nodiscard]] Task<Result<Duration>> ping(identity::PublicKey peer, Duration timeout);

  /// The network, or null after `stop`.
  [[nodiscard]] const Network* network() const { return network_ ? &*network_ : nullptr; }
  /// Called for each gain of the DHT's routing table.
  void on_routing(std::function<void()> action) { routing_ = std::move(action); }
  [[nodiscard]] const asio::any_io_executor& executor() const { return executor_; }

 private:
  struct Waiter;
  using Start = std::function<Result<void>(Network&, std::uint64_t)>;
  /// Starts a command and waits for its completion.
  [[nodiscard]] static Task<Result<Outcome>> command(std::shared_ptr<Core> self, Start start);
  [[nodiscard]] static Task<void> take_events(std::shared_ptr<Core> self);
  void dispatch(NetworkEvent event);
  void accept(NetworkEvent event);

  asio::any_io_executor executor_;
  std::optional<Network> network_;
  StreamTable streams_;
  asio::posix::stream_descriptor signal_;
  std::uint64_t last_request_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<Waiter>> waiters_;
  std::map<std::string, Peer::StreamHandler, std::less<>> handlers_;
  std::function<void()> routing_;
  std::shared_ptr<Waiter> ready_;
};

}  // namespace phase::peer
