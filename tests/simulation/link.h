// link.h — two ends of a byte stream over a link of a given delay and width. Works on any executor
// with any clock.
#pragma once

#include "base/memory_stream.h"

namespace phase::simulation {

struct LinkShape {
  Duration delay{0};                        ///< one way
  std::uint64_t bytes_per_s = 1ULL << 40U;  ///< each way
};

/// Shared with the test: changes apply to what is sent afterwards; nothing travels while `cut`.
struct LinkState {
  LinkShape shape;
  bool cut = false;  ///< bytes vanish; nobody is told
};

[[nodiscard]] MemoryStreamPair make_link(Clock& clock, asio::any_io_executor executor,
                                         std::shared_ptr<LinkState> state);

}  // namespace phase::simulation
