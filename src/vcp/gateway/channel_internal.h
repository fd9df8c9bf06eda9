// channel_internal.h — one TCP connection as a ByteStream, plain or through TLS.
#pragma once

#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "api/http/tls.h"
#include "base/stream.h"

namespace phase::vcp::gateway {

using boost::asio::ip::tcp;

/// Takes the connected socket over. Whoever else holds it may close it.
[[nodiscard]] std::unique_ptr<ByteStream> plain_channel(std::shared_ptr<tcp::socket> socket);
/// The server's half of a handshake, then the bytes inside. Closing the socket ends the handshake.
/// Half-closing works (the alert close_notify, RFC 8446 §6.1); an end without it is an error, since
/// bytes may be missing. Errors: Code::protocol, connection_closed.
[[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> tls_channel(
    std::shared_ptr<tcp::socket> socket, http::Tls& tls);

}  // namespace phase::vcp::gateway
