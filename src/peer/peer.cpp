#include "peer/peer.h"

#include <chrono>

#include "peer/core_internal.h"
#include "peer/keeping_internal.h"
#include "peer/limits.h"

namespace phase::peer {
namespace {

/// Deadlines are points on CLOCK_MONOTONIC, as base/system_clock.h counts it.
Duration left_until(Deadline deadline) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return deadline.at - Instant{std::chrono::duration_cast<Duration>(now).count()};
}

tl::unexpected<Error> too_late(const std::string& what) {
  return fail(Code::timed_out, what + ": the time was over before it began");
}

class LibraryPeer final : public Peer {
 public:
  explicit LibraryPeer(std::shared_ptr<Core> core) : core_(std::move(core)), announcer_(core_) {
    core_->on_routing([this] { announcer_.refresh(); });
  }
  ~LibraryPeer() override { core_->stop(); }

  void keep(std::string multiaddr, const identity::PublicKey& peer) {
    keepers_.push_back(std::make_unique<BootstrapKeeper>(core_, std::move(multiaddr), peer,
                                                         [this] { announcer_.refresh(); }));
  }

  void handle(std::string protocol, StreamHandler handler) override {
    core_->handle(std::move(protocol), std::move(handler));
  }

  Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer, std::string protocol,
                                                 Deadline deadline) override {
    const auto core = core_;
    const Duration left = left_until(deadline);
    if (left <= Duration::zero()) co_return too_late("opening a stream");
    co_return co_await core->open(peer, std::move(protocol), left);
  }

  Task<Result<identity::PublicKey>> dial(std::string multiaddr, Deadline deadline) override {
    const auto core = core_;
    const Duration left = left_until(deadline);
    if (left <= Duration::zero()) co_return too_late("dialing " + multiaddr);
    co_return co_await core->dial(std::move(multiaddr), left);
  }

  Task<Result<void>> provide(std::string key) override {
    return announcer_.provide(std::move(key));
  }

  Task<Result<std::vector<identity::PublicKey>>> find_providers(std::string key,
                                                                Deadline deadline) override {
    const auto core = core_;
    const Duration left = left_until(deadline);
    if (left <= Duration::zero()) co_return too_late("finding providers");
    co_return co_await core->find(std::move(key), left);
  }

  Task<Result<Duration>> ping(identity::PublicKey peer, Deadline deadline) override {
    const auto core = core_;
    const Duration left = left_until(deadline);
    if (left <= Duration::zero()) co_return too_late("a ping");
    co_return co_await core->ping(peer, left);
  }

  [[nodiscard]] std::vector<PeerInfo> peers() const override { return core_->network()->peers(); }
  [[nodiscard]] std::vector<std::string> listen_addresses() const override {
    return core_->network()->listen_addresses();
  }
  [[nodiscard]] std::vector<std::string> warnings() const override {
    return core_->network()->warnings();
  }

 private:
  std::shared_ptr<Core> core_;  // shared with its coroutines; stopped here
  Announcer announcer_;
  std::vector<std::unique_ptr<BootstrapKeeper>> keepers_;
};

}  // namespace

Task<Result<std::unique_ptr<Peer>>> Peer::start(asio::any_io_executor executor,
                                                const identity::KeyPair& key, Options options) {
  if (options.bootstrap.size() > kBootstrapMax) {
    co_return fail(Code::invalid_argument,
                   "more than " + std::to_string(kBootstrapMax) + " bootstrap addresses");
  }
  std::vector<std::pair<std::string, identity::PublicKey>> bootstrap;
  for (const std::string& address : options.bootstrap) {
    PHASE_CO_TRY(const identity::PublicKey peer, peer_of_address(address));
    if (peer != key.public_key()) bootstrap.emplace_back(address, peer);
  }
  PHASE_CO_TRY(Network network, Network::start(key, options));
  auto core = std::make_shared<Core>(std::move(executor), std::move(network));
  auto peer = std::make_unique<LibraryPeer>(core);
  PHASE_CO_TRY_VOID(core->run());
  PHASE_CO_TRY_VOID(co_await core->ready());
  for (const auto& [address, who] : bootstrap) peer->keep(address, who);
  co_return std::unique_ptr<Peer>(std::move(peer));
}

}  // namespace phase::peer
