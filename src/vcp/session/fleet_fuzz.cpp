// Goal: a fleet frame that is accepted has one spelling and is within its limits; no bytes break
// the reader. Method: any bytes as type and body, with and without a length in front.
#include <cstdlib>

#include "vcp/session/frame.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

void check_frame(ByteView type_and_body) {
  const auto frame = vcp::decode_fleet(type_and_body);
  if (!frame) return;
  const Bytes again = vcp::encode(*frame);
  if (to_bytes(ByteView(again).subspan(4)) != to_bytes(type_and_body)) std::abort();
  if (const auto* hello = std::get_if<vcp::Hello>(&*frame)) {
    if (!vcp::check_node_name(hello->name) || hello->region.empty()) std::abort();
  }
  if (const auto* probe = std::get_if<vcp::Probe>(&*frame)) {
    if (probe->bytes == 0 || probe->bytes > vcp::kProbeBytesMax) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  check_frame(bytes);
  if (size >= 4) check_frame(bytes.subspan(4));
  return 0;
}
