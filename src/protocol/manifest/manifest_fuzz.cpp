// Goal: a manifest that is accepted has one spelling, and no bytes break the reader.
// Method: any bytes as envelope and as payload; an accepted payload is written again, and signed
// and opened once more.
#include <cstdlib>

#include "protocol/manifest/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target
  static const identity::KeyPair key = identity::KeyPair::from_seed(Bytes(32, 5)).value();
  const ByteView bytes(data, size);
  const auto opened = manifest::open(bytes);
  if (opened && opened->envelope != to_bytes(bytes)) std::abort();
  const auto value = manifest::decode_payload(bytes);
  if (!value) return 0;
  if (manifest::encode_payload(*value) != to_bytes(bytes)) std::abort();
  if (!manifest::check(*value)) std::abort();
  static_cast<void>(manifest::check_time(*value, value->created));
  const manifest::SignedManifest made = manifest::sign(*value, key);
  const auto again = manifest::open(made.envelope);
  if (again ? again->id != made.id || again->manifest != *value
            : made.envelope.size() <= identity::kEnvelopeBytesMax) {
    std::abort();
  }
  return 0;
}
