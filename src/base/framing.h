// framing.h — length-prefixed frames over a byte stream: u32be length ‖ that many bytes
// (spec/job-stream.md, spec/artifact.md).
#pragma once

#include "base/stream.h"

namespace phase {

/// One frame without its length. Errors: Code::malformed for an empty one, too_large above
/// `bytes_max`, connection_closed. Memory grows with bytes received, not with the length declared.
[[nodiscard]] Task<Result<Bytes>> read_framed(ByteStream& stream, std::size_t bytes_max);

/// `body` with its length in front. `body` has 1 … 2^32 − 1 bytes.
[[nodiscard]] Bytes framed(ByteView body);

}  // namespace phase
