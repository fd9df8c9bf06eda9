#include "worker/wasm/about.h"

#include "base/cbor.h"

namespace phase::worker {

Bytes encode(const About& about) {
  CborWriter writer;
  writer.array(2).text(about.runtime).bytes(about.fingerprint.bytes());
  return std::move(writer).take();
}

Result<About> decode_about(ByteView bytes) {
  CborReader reader(bytes);
  PHASE_TRY_VOID(reader.array());
  PHASE_TRY(const std::string_view runtime, reader.text());
  PHASE_TRY(const ByteView fingerprint, reader.bytes());
  PHASE_TRY_VOID(reader.finish());
  PHASE_TRY(const Sha256 hash, Sha256::from(fingerprint));
  return About{std::string(runtime), hash};
}

}  // namespace phase::worker
