// network_stream_internal.h — streams of the network library as ByteStreams: what goes at once goes
// at once, and who must wait is woken by the network's events. Private to src/peer.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include <boost/asio/any_io_executor.hpp>

#include "base/stream.h"
#include "peer/network_internal.h"

namespace phase::peer {

struct StreamState;

/// The streams that were made and are not closed, by the number that their events carry. Belongs to
/// one executor; streams, and the coroutines inside them, may outlive it.
class StreamTable {
 public:
  explicit StreamTable(asio::any_io_executor executor);
  ~StreamTable();  // as close_all
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  /// Reads and writes of it complete on the executor.
  [[nodiscard]] std::unique_ptr<ByteStream> make(NetworkStream stream);
  /// Wakes who waits for it. A number that is gone is ignored.
  void readable(std::uint64_t id);
  void writable(std::uint64_t id);
  /// Resets all of them; whoever waits fails.
  void close_all();

 private:
  asio::any_io_executor executor_;
  std::shared_ptr<std::unordered_map<std::uint64_t, StreamState*>>
      live_;  // shared with the streams
};

}  // namespace phase::peer
