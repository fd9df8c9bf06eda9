#include "mesh/own_network.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/memory_stream.h"

namespace phase::mesh {

Task<Result<std::vector<requester::Candidate>>> OwnNetwork::find(requester::Wanted, Deadline) {
  std::vector<requester::Candidate> only;
  only.push_back({self_, capabilities_(), Duration{}});
  co_return only;
}

Task<Result<std::unique_ptr<ByteStream>>> OwnNetwork::open(identity::PublicKey to,
                                                           std::string protocol, Deadline) {
  if (to != self_ || protocol != offer::kJobProtocol) {
    co_return fail(Code::unavailable, "only this node's job stream is reached in memory");
  }
  const bool entered = co_await turn_.enter();
  if (!entered) {
    co_return fail(Code::cancelled, "cancelled while waiting for a place");
  }
  auto ends = make_memory_stream(executor_);
  asio::co_spawn(executor_, serve(std::move(ends.second)), asio::detached);
  co_return std::move(ends.first);
}

Task<void> OwnNetwork::serve(std::unique_ptr<ByteStream> stream) {
  co_await provider_.serve(std::move(stream), self_);
  turn_.leave();
}

}  // namespace phase::mesh
