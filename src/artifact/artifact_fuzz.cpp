// Goal: a frame or name record that is accepted has one spelling; no bytes break the readers, nor
// pass for a chunk of something else.
// Method: any bytes as type and body, with and without a length in front, and as a signed payload.
#include <cstdlib>

#include "artifact/frame.h"
#include "artifact/name_record.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

void check_frame(ByteView type_and_body) {
  const auto frame = artifact::decode(type_and_body);
  if (!frame) return;
  const Bytes again = artifact::encode(*frame);
  if (to_bytes(ByteView(again).subspan(4)) != to_bytes(type_and_body)) std::abort();
  if (const auto* chunk = std::get_if<artifact::Chunk>(&*frame)) {
    // Of an id that nobody can have bytes of.
    if (artifact::verify_chunk(ArtifactId{}, chunk->data.size(), chunk->index, chunk->data,
                               chunk->proof)) {
      std::abort();
    }
  }
  if (const auto* records = std::get_if<artifact::Records>(&*frame)) {
    for (const Bytes& envelope : records->envelopes) {
      static_cast<void>(artifact::open_record(envelope, UtcTime{1'767'225'600'000}));
    }
  }
}

void check_record(ByteView payload) {
  static const identity::KeyPair key = identity::KeyPair::from_seed(Bytes(32, 5)).value();
  const Bytes sealed = identity::seal(identity::Domain::name, payload, key);
  for (const UtcTime now : {UtcTime{0}, UtcTime{1'767'225'600'000}}) {
    const auto record = artifact::open_record(sealed, now);
    if (record && artifact::sign(record->record, key).envelope != sealed) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  check_frame(bytes);
  if (size >= 4) check_frame(bytes.subspan(4));
  if (size <= 4096) check_record(bytes);
  return 0;
}
