// Everything a child or a model says goes through these three.
#include "worker/inference/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase::worker::inference;
  const phase::ByteView bytes(data, size);
  const auto records = decode_from_child(bytes);
  if (records) {
    phase::Bytes again;
    for (const auto& record : *records) {
      if (const auto* ended = std::get_if<Ended>(&record)) (void)completion_of(ended->end);
      append(again, record);
    }
    // What was understood has one spelling, except text for people, which is made printable.
    if (!decode_from_child(again)) __builtin_trap();
  }
  (void)decode_from_parent(bytes);
  if (const auto info = decode_info(bytes)) {
    if (!decode_info(encode(*info))) __builtin_trap();
  }
  return 0;
}
