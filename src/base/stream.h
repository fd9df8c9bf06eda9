// stream.h — an ordered, reliable, two-way byte stream between two parties, as the protocol sees
// it.
//
// Production: a stream of the network library (src/peer). Simulation: memory, with
// faults. Belongs to one executor; reads and writes may be outstanding at once, but at most one of
// each.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace phase {

class ByteStream {
 public:
  virtual ~ByteStream() = default;  // resets the stream if it was not closed

  /// Reads at least one byte, at most out.size(). Returns 0 at the end of the stream.
  /// Errors: Code::connection_closed after a reset by either side.
  [[nodiscard]] virtual Task<Result<std::size_t>> read(std::span<std::uint8_t> out) = 0;
  /// Writes all of `bytes`. Suspends while the other side is slow. Errors: Code::connection_closed.
  [[nodiscard]] virtual Task<Result<void>> write(ByteView bytes) = 0;
  /// No more writes from here; what was written is still delivered. Idempotent.
  virtual void close_write() = 0;
  /// Drops the stream in both directions; outstanding reads and writes fail. Idempotent.
  virtual void reset() = 0;
};

}  // namespace phase
