// socket_stream_internal.h — a stream of the network library, a local socket, as a ByteStream.
// Private to src/peer.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/stream.h"
#include "peer/network_internal.h"

namespace phase::peer {

/// Called once when the stream is closed, before its socket is; `reset` unless it was ended in
/// order.
using StreamEnd = std::function<void(bool reset)>;

/// Takes the descriptor over. Reads and writes complete on `executor`.
[[nodiscard]] Result<std::unique_ptr<ByteStream>> make_socket_stream(
    const asio::any_io_executor& executor, Descriptor descriptor, StreamEnd end);

}  // namespace phase::peer
