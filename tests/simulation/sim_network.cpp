#include "tests/simulation/sim_network.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace phase::simulation {
namespace {

/// After so long without an answer a transport gives a connection up by itself.
constexpr Duration kTransportTimeout = 60s;

}  // namespace

/// The middle of a stream: two inner ends, and what happens between them.
struct SimNetwork::Wire {
  std::unique_ptr<ByteStream> near_end, far_end;
  WireFaults faults;
  std::uint64_t carried = 0;
};

void SimNetwork::add(requester::Candidate candidate, Handler handler, WireFaults faults) {
  const identity::PublicKey key = candidate.key;
  places_.insert_or_assign(key, Place{std::move(candidate), std::move(handler), faults});
}

void SimNetwork::set_faults(const identity::PublicKey& key, WireFaults faults) {
  places_.at(key).faults = faults;
}

Task<Result<std::vector<requester::Candidate>>> SimNetwork::find(requester::Wanted wanted,
                                                                 Deadline /*deadline*/) {
  std::vector<requester::Candidate> found;
  for (const auto& [key, place] : places_) {
    const offer::Capabilities& has = place.candidate.capabilities;
    const bool fits = std::ranges::find(has.kinds, wanted.kind) != has.kinds.end() &&
                      (wanted.arch.empty() || has.arch == wanted.arch);
    if (fits) found.push_back(place.candidate);
  }
  co_return found;
}

Task<void> SimNetwork::relay(std::shared_ptr<Wire> wire, ByteStream* from, ByteStream* to) {
  Bytes piece;
  while (true) {
    const std::uint64_t most = std::max<std::size_t>(wire->faults.piece_max, 1);
    piece.resize(1 + static_cast<std::size_t>(random_.below(most)));
    const Result<std::size_t> n = co_await from->read(piece);
    const bool mute = wire->faults.mute_after && wire->carried > *wire->faults.mute_after;
    if (mute && (!n || *n == 0)) co_return;  // nobody is told of this either
    if (n && *n == 0) {
      to->close_write();
      co_return;
    }
    if (!n) {
      to->reset();
      co_return;
    }
    if (wire->faults.delay_max > Duration{0}) {
      const auto bound = static_cast<std::uint64_t>(wire->faults.delay_max.count());
      const Duration delay(static_cast<std::int64_t>(random_.below(bound)));
      static_cast<void>(co_await clock_.sleep_for(delay));
    }
    if (partition_ && clock_.now() >= partition_->from && clock_.now() < partition_->to) {
      static_cast<void>(co_await clock_.sleep_until(partition_->to));
    }
    wire->carried += *n;
    if (wire->faults.cut_after && wire->carried > *wire->faults.cut_after) {
      from->reset();
      to->reset();
      co_return;
    }
    if (wire->faults.mute_after && wire->carried > *wire->faults.mute_after) {
      static_cast<void>(co_await clock_.sleep_for(kTransportTimeout));
      from->reset();
      to->reset();
      co_return;
    }
    const ByteView bytes = ByteView(piece).first(*n);
    const Result<void> written = co_await to->write(bytes);
    if (!written) {
      from->reset();
      co_return;
    }
  }
}

std::unique_ptr<ByteStream> SimNetwork::wired(std::unique_ptr<ByteStream> far,
                                              const WireFaults& faults) {
  auto wire = std::make_shared<Wire>();
  MemoryStreamPair near = make_memory_stream(executor_);
  wire->near_end = std::move(near.second);
  wire->far_end = std::move(far);
  wire->faults = faults;
  asio::co_spawn(executor_, relay(wire, wire->near_end.get(), wire->far_end.get()), asio::detached);
  asio::co_spawn(executor_, relay(wire, wire->far_end.get(), wire->near_end.get()), asio::detached);
  return std::move(near.first);
}

Task<Result<std::unique_ptr<ByteStream>>> SimNetwork::open(identity::PublicKey provider,
                                                           std::string protocol,
                                                           Deadline /*deadline*/) {
  const auto found = places_.find(provider);
  if (found == places_.end() || protocol != offer::kJobProtocol) {
    co_return fail(Code::unavailable, "nobody answers");
  }
  MemoryStreamPair pair = make_memory_stream(executor_);
  asio::co_spawn(executor_, found->second.handler(std::move(pair.second), self_), asio::detached);
  co_return wired(std::move(pair.first), found->second.faults);
}

}  // namespace phase::simulation
