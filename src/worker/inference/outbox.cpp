#include "worker/inference/outbox.h"

#include <algorithm>

namespace phase::worker::inference {

void Outbox::say(const FromChild& record) {
  const std::size_t before = packet_.size();
  append(packet_, record);
  if (packet_.size() <= sandbox::kMessageBytesMax) return;
  // The new record goes into a packet of its own.
  const Bytes last(packet_.begin() + static_cast<std::ptrdiff_t>(before), packet_.end());
  packet_.resize(before);
  flush();
  packet_ = last;
}

void Outbox::write(std::uint32_t id, job::OutputStream stream, std::string_view text) {
  for (ByteView rest = as_bytes(text); !rest.empty();) {
    const ByteView piece = rest.first(std::min(rest.size(), kRecordDataMax));
    say(Output{id, stream, piece});
    rest = rest.subspan(piece.size());
  }
}

void Outbox::flush() {
  if (packet_.empty()) return;
  if (open_) open_ = sandbox::send_message(socket_, packet_).has_value();
  packet_.clear();
}

}  // namespace phase::worker::inference
