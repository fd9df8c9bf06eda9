// own_network.h — the way from a node's requester to its own provider: in memory, by the same
// stream that others use.
#pragma once

#include <functional>

#include "base/event.h"
#include "protocol/provider/provider.h"
#include "protocol/requester/requester.h"

namespace phase::mesh {

/// Finds and opens this node only. Own jobs wait for a place as long as it takes, so that the
/// provider never answers `busy` to its owner. Belongs to one executor.
class OwnNetwork final : public requester::Network {
 public:
  using Says = std::function<offer::Capabilities()>;
  /// `provider` outlives this. `places`: jobs of the owner under way at once.
  OwnNetwork(asio::any_io_executor executor, provider::Provider& provider,
             const identity::PublicKey& self, std::size_t places, Says capabilities)
      : executor_(executor),
        provider_(provider),
        self_(self),
        turn_(executor, places),
        capabilities_(std::move(capabilities)) {}

  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted wanted,
                                                                     Deadline deadline) override;
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey to,
                                                               std::string protocol,
                                                               Deadline deadline) override;

 private:
  [[nodiscard]] Task<void> serve(std::unique_ptr<ByteStream> stream);

  asio::any_io_executor executor_;
  provider::Provider& provider_;
  identity::PublicKey self_;
  Turnstile turn_;
  Says capabilities_;
};

}  // namespace phase::mesh
