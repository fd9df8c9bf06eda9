#include "worker/sandbox/control.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = phase::sandbox::control::decode({data, size});
  // What is accepted has one meaning, which survives another round.
  if (message)
    (void)phase::sandbox::control::decode(phase::sandbox::control::encode(*message)).value();
  (void)phase::sandbox::control::decode_fork({data, size});
  return 0;
}
