// channel_world.h — the outside of a guest, at the end of a worker child's socket: stdin comes,
// output goes, in real time. Blocking. When the parent is gone the process ends at once.
#pragma once

#include "wasi/wasi.h"
#include "worker/sandbox/message.h"

namespace phase::worker {

class ChannelWorld final : public wasi::World {
 public:
  /// Borrows the socket. `output_bytes_max`: both streams together; the byte after it stops the
  /// guest.
  ChannelWorld(int socket, std::uint64_t output_bytes_max);

  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override;
  std::optional<bool> wait(bool stdin_wanted, std::optional<std::uint64_t> timeout_ns) override;
  bool write(wasi::Stream stream, ByteView bytes) override;
  std::uint64_t elapsed_ns() override;
  std::uint64_t cpu_ns() override;

 private:
  void receive();

  int socket_;
  std::uint64_t output_bytes_left_;
  std::uint64_t begin_ns_, cpu_begin_ns_;
  Bytes buffer_;    // the last stdin message
  ByteView stdin_;  // what of it the guest has not read
  bool ended_ = false;
};

}  // namespace phase::worker
