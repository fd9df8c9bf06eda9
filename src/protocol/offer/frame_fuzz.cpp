// Goal: a frame that is accepted has one spelling; no bytes break the reader.
// Method: any bytes as type and body, with and without a length in front, and as a node document.
#include <cstdlib>

#include "protocol/offer/frame.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

void check_frame(ByteView type_and_body) {
  const auto frame = offer::decode(type_and_body);
  if (!frame) return;
  const Bytes again = offer::encode(*frame);
  const auto same = offer::decode(ByteView(again).subspan(4)).value();
  // What people read is made printable when it is sent; then, and everything else, has one
  // spelling.
  const bool for_people = std::holds_alternative<offer::Rejected>(*frame) ||
                          std::holds_alternative<offer::Progress>(*frame);
  if (for_people) {
    if (offer::encode(same) != again) std::abort();
    return;
  }
  if (same != *frame || to_bytes(ByteView(again).subspan(4)) != to_bytes(type_and_body)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const identity::KeyPair key = identity::KeyPair::from_seed(Bytes(32, 5)).value();
  const ByteView bytes(data, size);
  check_frame(bytes);
  if (size >= 4) check_frame(bytes.subspan(4));
  for (const UtcTime now : {UtcTime{0}, UtcTime{1'767'225'600'000}}) {
    static_cast<void>(offer::open_capabilities(bytes, key.public_key(), now));
    if (size > 4096) continue;
    const Bytes sealed = identity::seal(identity::Domain::node, bytes, key);
    const auto node = offer::open_capabilities(sealed, key.public_key(), now);
    if (node && offer::seal(*node, key) != sealed) std::abort();
  }
  return 0;
}
