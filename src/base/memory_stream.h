// memory_stream.h — a ByteStream in memory: two ends, a bounded buffer in each direction.
//
// Serves the local node's own jobs in production, and tests. Works on any executor; both ends
// belong to the same one.
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>

#include "base/stream.h"

namespace phase {

/// Bytes written and not yet read, per direction, above which a writer waits. One frame of the job
/// stream and some of the next.
inline constexpr std::size_t kMemoryStreamBytes = 128_KiB;

struct MemoryStreamPair {
  std::unique_ptr<ByteStream> first, second;
};
/// Two connected ends. `bytes_max` ≥ 1.
[[nodiscard]] MemoryStreamPair make_memory_stream(asio::any_io_executor executor,
                                                  std::size_t bytes_max = kMemoryStreamBytes);

}  // namespace phase
