#include "tests/simulation/link.h"

#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"

namespace phase::simulation {
namespace {

/// Bytes that left and did not arrive yet, in one direction.
struct Flight {
  Flight(Clock& with, const asio::any_io_executor& executor, std::shared_ptr<LinkState> of,
         std::shared_ptr<MemoryStreamPair> between)
      : clock(with), state(std::move(of)), ends(std::move(between)), moved(executor) {}
  struct Piece {
    Instant arrives;
    Bytes bytes;
  };
  Clock& clock;
  std::shared_ptr<LinkState> state;
  std::shared_ptr<MemoryStreamPair> ends;
  Event moved;
  std::deque<Piece> pieces;  // bounded by width × delay: who sends waits for the width
  bool ended = false, broken = false;
};

Task<void> depart(std::shared_ptr<Flight> flight, ByteStream* from) {
  Bytes buffer(16'384);
  while (!flight->broken) {
    const std::span<std::uint8_t> room(buffer);
    const Result<std::size_t> count = co_await from->read(room);
    if (!count || *count == 0) {
      flight->broken = !count;
      break;
    }
    const double seconds =
        static_cast<double>(*count) / static_cast<double>(flight->state->shape.bytes_per_s);
    const Duration width{static_cast<std::int64_t>(seconds * 1e9)};
    const auto passed = co_await flight->clock.sleep_for(width);
    if (!passed) break;
    if (flight->state->cut) continue;
    const auto size = static_cast<std::ptrdiff_t>(*count);
    flight->pieces.push_back({flight->clock.now() + flight->state->shape.delay,
                              Bytes(buffer.begin(), buffer.begin() + size)});
    flight->moved.notify();
  }
  if (flight->state->cut) co_return;  // the end of it does not travel either
  flight->ended = true;
  flight->moved.notify();
}

Task<void> arrive(std::shared_ptr<Flight> flight, ByteStream* to) {
  while (true) {
    while (flight->pieces.empty() && !flight->ended) {
      const bool woken = co_await flight->moved.wait();
      if (!woken) co_return;
    }
    if (flight->pieces.empty()) break;
    const Flight::Piece piece = std::move(flight->pieces.front());
    flight->pieces.pop_front();
    const auto passed = co_await flight->clock.sleep_until(piece.arrives);
    if (!passed) co_return;
    const Result<void> written = co_await to->write(piece.bytes);
    if (!written) {
      flight->broken = true;
      break;
    }
  }
  if (flight->broken) {
    flight->ends->first->reset();
    flight->ends->second->reset();
  } else {
    to->close_write();
  }
}

}  // namespace

MemoryStreamPair make_link(Clock& clock, asio::any_io_executor executor,
                           std::shared_ptr<LinkState> state) {
  MemoryStreamPair near = make_memory_stream(executor), far = make_memory_stream(executor);
  const auto inner = std::make_shared<MemoryStreamPair>();
  inner->first = std::move(near.second);
  inner->second = std::move(far.first);
  for (const bool there : {true, false}) {
    const auto flight = std::make_shared<Flight>(clock, executor, state, inner);
    ByteStream* const from = there ? inner->first.get() : inner->second.get();
    ByteStream* const to = there ? inner->second.get() : inner->first.get();
    asio::co_spawn(executor, depart(flight, from), asio::detached);
    asio::co_spawn(executor, arrive(flight, to), asio::detached);
  }
  return {std::move(near.first), std::move(far.second)};
}

}  // namespace phase::simulation
