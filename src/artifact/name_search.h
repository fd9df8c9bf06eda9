// name_search.h — asks peers for the signed records of a name or content.
#pragma once

#include <functional>

#include "artifact/name_record.h"
#include "artifact/peers.h"
#include "base/event.h"

namespace phase::artifact {

struct SearchLimits {
  std::size_t peers_max = 64;  ///< asked
  std::size_t asked_at_once = 16;
  std::size_t records_max = 256;  ///< taken, of all
  Duration ask_max = 3s;          ///< opening the stream and reading the answer
  Duration search_max = 5s;
  /// With a record in hand, others are waited for this long.
  Duration settle = 1s;
  /// Nobody had one: looked again after this, until search_max.
  Duration again = 500ms;
};

struct SearchWorld {
  Clock& clock;
  asio::any_io_executor executor;
  Peers& peers;
};

/// Records that hold, fit, and are signed, newest of each publisher. Empty: nobody has any.
/// Peers that are connected, and those announced under `key` of the DHT (empty: none), are asked.
[[nodiscard]] Task<std::vector<SignedRecord>> search_names(SearchWorld world, Names asked,
                                                           std::string key, SearchLimits limits);

}  // namespace phase::artifact
