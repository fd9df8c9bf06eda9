// Frames over a stream.
#include <algorithm>
#include <array>

#include "protocol/offer/frame.h"

namespace phase::offer {
namespace {

/// Read in pieces of this size: memory grows with bytes received, not with the length declared.
constexpr std::size_t kReadPieceBytes = 16_KiB;

Task<Result<void>> read_exactly(ByteStream& stream, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    PHASE_CO_TRY(const std::size_t count, co_await stream.read(out));
    if (count == 0)
      co_return fail(Code::connection_closed, "the stream ended inside a conversation");
    out = out.subspan(count);
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<Frame>> read_frame(ByteStream& stream) {
  std::array<std::uint8_t, 4> head{};
  PHASE_CO_TRY_VOID(co_await read_exactly(stream, head));
  std::size_t length = 0;
  for (const std::uint8_t byte : head) length = (length << 8U) | byte;
  if (length == 0) co_return fail(Code::malformed, "a frame of 0 bytes");
  if (length > kFrameBytesMax) {
    co_return fail(Code::too_large,
                   "a frame of " + std::to_string(length) + " bytes, at most 98304 allowed");
  }
  Bytes bytes;
  while (bytes.size() < length) {
    const std::size_t have = bytes.size();
    const std::size_t piece = std::min(kReadPieceBytes, length - have);
    bytes.resize(have + piece);
    PHASE_CO_TRY_VOID(co_await read_exactly(stream, std::span(bytes).subspan(have)));
  }
  co_return decode(bytes);
}

Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame) {
  const Bytes bytes = encode(frame);
  co_return co_await stream.write(bytes);
}

}  // namespace phase::offer
