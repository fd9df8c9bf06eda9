// Everything a child or a module says goes through these four.
#include "worker/wasm/about.h"
#include "worker/wasm/message.h"
#include "worker/wasm/module_form.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const phase::ByteView bytes(data, size);
  const auto message = phase::worker::decode_from_child(bytes);
  if (message) {
    if (const auto* report = std::get_if<phase::worker::RunReport>(&*message)) {
      (void)phase::worker::completion_of(*report);
      if (phase::worker::encode(*report) != phase::to_bytes(bytes)) __builtin_trap();
    }
  }
  (void)phase::worker::decode_from_parent(bytes);
  (void)phase::worker::decode_form(bytes);
  (void)phase::worker::decode_about(bytes);
  (void)phase::worker::decode_about(bytes);
  return 0;
}
