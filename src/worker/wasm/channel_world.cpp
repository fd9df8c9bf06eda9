#include "worker/wasm/channel_world.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "worker/wasm/message.h"

namespace phase::worker {
namespace {

constexpr int kExitParentGone = 69;     // EX_UNAVAILABLE
constexpr int kExitParentUnclear = 76;  // EX_PROTOCOL

std::uint64_t now_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

timespec to_timespec(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

ChannelWorld::ChannelWorld(int socket, std::uint64_t output_bytes_max)
    : socket_(socket),
      output_bytes_left_(output_bytes_max),
      begin_ns_(now_ns(CLOCK_MONOTONIC)),
      cpu_begin_ns_(now_ns(CLOCK_PROCESS_CPUTIME_ID)) {}

// Waits for the next message, which is stdin or its end.
void ChannelWorld::receive() {
  if (buffer_.empty()) buffer_.resize(sandbox::kMessageBytesMax);
  const auto received = sandbox::receive_message(socket_, buffer_);
  if (!received || received->kind != sandbox::Received::Kind::message) ::_exit(kExitParentGone);
  const auto message = decode_from_parent(ByteView(buffer_).first(received->bytes));
  if (!message) ::_exit(kExitParentUnclear);
  if (const auto* piece = std::get_if<StdinPiece>(&*message)) {
    stdin_ = piece->data;
  } else if (std::holds_alternative<StdinEnd>(*message)) {
    ended_ = true;
  } else {
    ::_exit(kExitParentUnclear);
  }
}

std::optional<std::size_t> ChannelWorld::read_stdin(std::span<std::uint8_t> out) {
  if (stdin_.empty() && !ended_) receive();
  const std::size_t count = std::min(out.size(), stdin_.size());
  std::memcpy(out.data(), stdin_.data(), count);
  stdin_ = stdin_.subspan(count);
  return count;
}

std::optional<bool> ChannelWorld::wait(bool stdin_wanted, std::optional<std::uint64_t> timeout_ns) {
  if (stdin_wanted && (ended_ || !stdin_.empty())) return true;
  const std::uint64_t until = elapsed_ns() + timeout_ns.value_or(0);
  for (;;) {
    const std::uint64_t now = elapsed_ns();
    const timespec left = to_timespec(until > now ? until - now : 0);
    pollfd wanted{socket_, POLLIN, 0};
    const int ready = ::ppoll(&wanted, stdin_wanted ? 1 : 0, timeout_ns ? &left : nullptr, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    receive();
    return true;
  }
}

bool ChannelWorld::write(wasi::Stream stream, ByteView bytes) {
  const bool too_much = bytes.size() > output_bytes_left_;
  bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), output_bytes_left_));
  output_bytes_left_ -= bytes.size();
  const auto head = output_head(static_cast<job::OutputStream>(stream));
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), sandbox::kPieceBytesMax));
    if (!sandbox::send_message(socket_, head, piece)) ::_exit(kExitParentGone);
    bytes = bytes.subspan(piece.size());
  }
  return !too_much;
}

std::uint64_t ChannelWorld::elapsed_ns() {
  return now_ns(CLOCK_MONOTONIC) - begin_ns_;
}

std::uint64_t ChannelWorld::cpu_ns() {
  return now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin_ns_;
}

}  // namespace phase::worker
