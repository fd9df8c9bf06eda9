#include "worker/inference/outbox.h"

#include <algorithm>
#include <ctime>

namespace phase::worker::inference {

namespace {

std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

void Outbox::say(const FromChild& record) {
  urgent_ = urgent_ || !std::holds_alternative<Output>(record);
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
  urgent_ = false;
}

void Outbox::flush_when_due() {
  if (packet_.empty()) return;
  const std::uint64_t now = now_ns();
  if (!urgent_ && now - flushed_ns_ < kOutboxPauseNs) return;
  flushed_ns_ = now;
  flush();
}

}  // namespace phase::worker::inference
