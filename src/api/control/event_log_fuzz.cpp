// A kept transcript, whatever the disk gives back: an error, or entries that encode to the same
// bytes.
#include <algorithm>
#include <cstdlib>

#include "api/control/event_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using phase::control::EventLog;
  using phase::control::TranscriptBudget;
  EventLog log(std::make_shared<TranscriptBudget>(TranscriptBudget{0, 1ULL << 24}));
  const phase::ByteView bytes{data, size};
  if (!phase::control::decode_outputs(bytes, log)) {
    return 0;
  }
  const phase::Bytes again = phase::control::encode_outputs(log.entries());
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) {
    std::abort();
  }
  return 0;
}
