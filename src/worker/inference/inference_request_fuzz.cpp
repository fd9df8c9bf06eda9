// A request's JSON is read by these two before anything else looks at it.
#include "worker/inference/request.h"
#include "worker/inference/strict_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase::worker::inference;
  const phase::ByteView bytes(data, size);
  const auto request = read_request(bytes);
  if (request) {
    // What was understood was strict JSON, and one kind of request.
    if (!parse_strictly(bytes)) __builtin_trap();
    if (!request->messages.empty() && !request->prompt.empty()) __builtin_trap();
  }
  (void)parse_strictly(bytes);
  return 0;
}
