// message.h — bounded messages with descriptors over a SOCK_SEQPACKET socket pair.
//
// A message is never empty, so "nothing received" is the other side's end. Both blocking sockets
// (worker processes) and non-blocking ones (the event loop) are served: a call that would block
// says so instead of waiting when the socket is non-blocking. Interrupted calls are repeated.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "worker/sandbox/descriptor.h"

namespace phase::sandbox {

/// Payload of the largest piece of data in one message, and the message around it.
inline constexpr std::size_t kPieceBytesMax = 64_KiB;
inline constexpr std::size_t kMessageBytesMax = kPieceBytesMax + 256;
/// Descriptors with one message.
inline constexpr std::size_t kMessageDescriptorsMax = 2;

struct SocketPair {
  FileDescriptor ours, theirs;  ///< close-on-exec, blocking
};
/// Errors: Code::io.
[[nodiscard]] Result<SocketPair> make_socket_pair();

/// Sends head ‖ body as one message. False: a non-blocking socket has no room now.
/// Errors: Code::connection_closed, Code::too_large, Code::io.
[[nodiscard]] Result<bool> send_message(int socket, ByteView head, ByteView body = {},
                                        std::span<const int> descriptors = {});

struct Received {
  enum class Kind : std::uint8_t { message, would_block, closed };
  Kind kind = Kind::closed;
  std::size_t bytes = 0;
  std::vector<FileDescriptor> descriptors;  ///< close-on-exec
};
/// Receives one message into `buffer` (kMessageBytesMax long). A reset by the other side is
/// `closed`. Errors: Code::too_large for a message or descriptors above the limits, Code::io.
[[nodiscard]] Result<Received> receive_message(int socket, std::span<std::uint8_t> buffer);

}  // namespace phase::sandbox
