// no_network.h — the network of a node that has none.
#pragma once

#include "protocol/requester/requester.h"

namespace phase::mesh {

/// Nobody elsewhere: a node that stays off the network.
class NoNetwork final : public requester::Network {
 public:
  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted,
                                                                     Deadline) override;
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey, std::string,
                                                               Deadline) override;
};

}  // namespace phase::mesh
