#include "worker/sandbox/message.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>

namespace phase::sandbox {

Result<SocketPair> make_socket_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail_errno(errno, "making a socket pair failed");
  }
  return SocketPair{FileDescriptor(pair[0]), FileDescriptor(pair[1])};
}

Result<bool> send_message(int socket, ByteView head, ByteView body,
                          std::span<const int> descriptors) {
  if (head.size() + body.size() > kMessageBytesMax || head.empty() ||
      descriptors.size() > kMessageDescriptorsMax) {
    return fail(Code::too_large, "a message to a worker process is above its limit");
  }
  iovec parts[2] = {{const_cast<std::uint8_t*>(head.data()), head.size()},
                    {const_cast<std::uint8_t*>(body.data()), body.size()}};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = body.empty() ? 1 : 2;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMessageDescriptorsMax)> control{};
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(item), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return true;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno == EPIPE || errno == ECONNRESET) {
      return fail(Code::connection_closed, "the process at the other end is gone");
    }
    return fail_errno(errno, "sending to a worker process failed");
  }
}

Result<Received> receive_message(int socket, std::span<std::uint8_t> buffer) {
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMessageDescriptorsMax)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = -1;
  // The other side may end without having read what was sent to it. Linux says so once, as a reset,
  // before it hands out what that side had sent; so the reset is passed over.
  bool reset_seen = false;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 &&
           (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset_seen, true))));
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return Received{Received::Kind::would_block, 0, {}};
    if (errno == ECONNRESET) return Received{Received::Kind::closed, 0, {}};
    return fail_errno(errno, "receiving from a worker process failed");
  }
  Received received;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(item) + i * sizeof(int), sizeof number);
      received.descriptors.emplace_back(number);
    }
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(Code::too_large, "a message from a worker process is above its limit");
  }
  received.kind = got == 0 ? Received::Kind::closed : Received::Kind::message;
  received.bytes = static_cast<std::size_t>(got);
  return received;
}

}  // namespace phase::sandbox
