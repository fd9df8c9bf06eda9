// Goal: a telemetry document that is accepted has one spelling and values in range; no bytes break
// the reader.
// Method: any bytes as a payload, and as an envelope.
#include <cstdlib>

#include "vcp/health/telemetry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target
  static const identity::KeyPair key = identity::KeyPair::from_seed(Bytes(32, 5)).value();
  const ByteView bytes(data, size);
  const auto telemetry = vcp::decode_payload(bytes);
  if (telemetry) {
    if (vcp::encode_payload(*telemetry) != to_bytes(bytes)) std::abort();
    if (telemetry->cpu_millipercent.value_or(0) > vcp::kMilliPercentMax) std::abort();
    const auto again = vcp::open_telemetry(vcp::seal(*telemetry, key), key.public_key());
    if (!again || *again != *telemetry) std::abort();
  }
  if (vcp::open_telemetry(bytes, key.public_key())) std::abort();  // nobody here signed it
  return 0;
}
