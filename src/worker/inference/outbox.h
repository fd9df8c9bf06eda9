// outbox.h — what a child has to say, gathered into packets.
#pragma once

#include "worker/inference/message.h"

namespace phase::worker::inference {

class Outbox {
 public:
  /// `socket` is blocking and borrowed.
  explicit Outbox(int socket) noexcept : socket_(socket) {}

  /// Gathers; sends when a packet is full. Data of any length: it is split.
  void say(const FromChild& record);
  /// Output of any length.
  void write(std::uint32_t id, job::OutputStream stream, std::string_view text);
  /// Sends what is gathered; waits for room.
  void flush();
  /// False once the parent is gone: then what is said is dropped.
  [[nodiscard]] bool open() const noexcept { return open_; }

 private:
  int socket_;
  bool open_ = true;
  Bytes packet_;
};

}  // namespace phase::worker::inference
