// socket_stream_internal.h — a stream of the network library, a local socket, as a ByteStream.
// Private to src/peer.
#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/stream.h"
#include "peer/network_internal.h"

namespace phase::peer {

/// Takes the descriptor over. Reads and writes complete on `executor`.
[[nodiscard]] Result<std::unique_ptr<ByteStream>> make_socket_stream(
    const asio::any_io_executor& executor, Descriptor descriptor);

}  // namespace phase::peer
