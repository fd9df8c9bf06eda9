// Goal: whatever a client says first, what is taken of it is bounded and in one spelling.
// Method: any text as the line, and as the destination inside a line that is otherwise right.
#include <cstdlib>

#include "vcp/gateway/session.h"

namespace {

using namespace phase;         // NOLINT(google-build-using-namespace): a fuzz target
using namespace vcp;           // NOLINT(google-build-using-namespace): a fuzz target
using namespace vcp::gateway;  // NOLINT(google-build-using-namespace): a fuzz target

void check(const Destination& destination) {
  if (destination.port == 0 || destination.host.empty()) std::abort();
  if (destination.host.size() > kHostBytesMax || destination.host.ends_with('.')) std::abort();
  const auto again = parse_destination(destination.text());
  if (!again || *again != destination) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text({data, size}));
  if (const auto line = parse_handshake(text)) {
    if (text.size() >= kHandshakeBytesMax || line->session_id.empty()) std::abort();
    check(line->destination);
  }
  if (const auto destination = parse_destination(text)) check(*destination);
  const auto inside =
      parse_handshake(R"({"session_id":"s","session_token":"t","destination":")" + text + "\"}");
  if (inside) check(inside->destination);
  return 0;
}
