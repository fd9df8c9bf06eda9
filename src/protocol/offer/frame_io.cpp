// Frames over a stream.
#include "base/framing.h"
#include "protocol/offer/frame.h"

namespace phase::offer {

Task<Result<Frame>> read_frame(ByteStream& stream) {
  const Result<Bytes> bytes = co_await read_framed(stream, kFrameBytesMax);
  if (!bytes) co_return fail(bytes.error());
  co_return decode(*bytes);
}

Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame) {
  const Bytes bytes = encode(frame);
  co_return co_await stream.write(bytes);
}

}  // namespace phase::offer
