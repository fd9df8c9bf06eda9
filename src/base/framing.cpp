#include "base/framing.h"

#include <algorithm>
#include <array>

namespace phase {
namespace {

/// Read in pieces of this size at first; each next piece at most doubles what is there.
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

Task<Result<Bytes>> read_framed(ByteStream& stream, std::size_t bytes_max) {
  std::array<std::uint8_t, 4> head{};
  PHASE_CO_TRY_VOID(co_await read_exactly(stream, head));
  std::size_t length = 0;
  for (const std::uint8_t byte : head) length = (length << 8U) | byte;
  if (length == 0) co_return fail(Code::malformed, "a frame of 0 bytes");
  if (length > bytes_max) {
    co_return fail(Code::too_large, "a frame of " + std::to_string(length) + " bytes, at most " +
                                        std::to_string(bytes_max) + " allowed");
  }
  Bytes bytes;
  while (bytes.size() < length) {
    const std::size_t have = bytes.size();
    const std::size_t piece = std::min(std::max(kReadPieceBytes, have), length - have);
    bytes.resize(have + piece);
    const std::span<std::uint8_t> rest = std::span(bytes).subspan(have);
    PHASE_CO_TRY_VOID(co_await read_exactly(stream, rest));
  }
  co_return bytes;
}

Bytes framed(ByteView body) {
  const auto length = static_cast<std::uint32_t>(body.size());
  Bytes out;
  out.reserve(4 + body.size());
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out.push_back(static_cast<std::uint8_t>(length >> shift));
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace phase
