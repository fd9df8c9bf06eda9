#include <algorithm>

#include "protocol/offer/reasons_internal.h"

namespace phase::offer {
namespace {

/// What a length alone can make us set aside; more comes as bytes arrive.
constexpr std::size_t kGrowthBytes = 16_KiB;

/// Fills `out` to `size` bytes.
Task<Result<void>> read_exactly(ByteStream& stream, Bytes& out, std::size_t size,
                                std::string_view where) {
  while (out.size() < size) {
    const std::size_t have = out.size();
    out.resize(have + std::min(size - have, std::max(kGrowthBytes, have)));
    PHASE_CO_TRY(const std::size_t n, co_await stream.read(std::span(out).subspan(have)));
    out.resize(have + n);
    if (n == 0) {
      co_return fail(Code::connection_closed,
                     "the stream ended " + std::string(have == 0 ? where : "inside a frame"));
    }
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<Frame>> read_frame(ByteStream& stream) {
  Bytes head;
  PHASE_CO_TRY_VOID(co_await read_exactly(stream, head, kLengthBytes, "without an `end` frame"));
  std::size_t length = 0;
  for (const std::uint8_t byte : head) length = (length << 8U) | byte;
  if (length == 0) co_return fail(Code::malformed, "a frame of no bytes");
  if (length > kFrameBytesMax) {
    co_return fail(Code::too_large, "a frame of " + std::to_string(length) + " bytes; at most " +
                                        std::to_string(kFrameBytesMax));
  }
  Bytes body;
  PHASE_CO_TRY_VOID(co_await read_exactly(stream, body, length, "inside a frame"));
  co_return decode(body);
}

Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame) {
  const Bytes bytes = encode(frame);
  co_return co_await stream.write(bytes);
}

}  // namespace phase::offer
