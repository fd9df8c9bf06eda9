#include "mesh/no_network.h"

namespace phase::mesh {

Task<Result<std::vector<requester::Candidate>>> NoNetwork::find(requester::Wanted, Deadline) {
  co_return fail(Code::unavailable, "this node stays off the network",
                 "start plasmd without --no-network, or run the job locally");
}

Task<Result<std::unique_ptr<ByteStream>>> NoNetwork::open(identity::PublicKey, std::string,
                                                          Deadline) {
  co_return fail(Code::unavailable, "this node stays off the network",
                 "start plasmd without --no-network, or run the job locally");
}

}  // namespace phase::mesh
