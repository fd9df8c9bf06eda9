// Goal: whatever a coordinator's address answers, what is taken of it is bounded and bound to a
// key. Method: any text as the answer of GET /api/v1/mesh, and as what stands in such an answer.
#include <cstdlib>

#include "vcp/agent/rendezvous.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

void check(std::string_view text) {
  const auto meeting = vcp::parse_meeting(text);
  if (!meeting) return;
  if (meeting->addresses.size() > vcp::kMeshAddressesMax) std::abort();
  for (const std::string& address : meeting->addresses) {
    if (!address.starts_with("/") || address.find("/p2p/") == std::string::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text({data, size}));
  check(text);
  check(R"({"addresses": [")" + text + R"("], "peer_id": )" +
        R"("12D3KooWHfmrzACTnmJpbq3wvf1YwH73wrkFAEvPhG95Um9RdG4s"})");
  return 0;
}
