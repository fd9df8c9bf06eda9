// The spec of a task's row, whatever a file says: read or refused, and what is read is written the
// same.
#include "base/check.h"
#include "vcp/state/spec_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  phase::vcp::Spec spec;
  if (phase::vcp::decode_spec(phase::ByteView(data, size), spec)) {
    const phase::Bytes again = phase::vcp::encode_spec(spec);
    phase::vcp::Spec second;
    PHASE_CHECK(phase::vcp::decode_spec(again, second));
    PHASE_CHECK(second.requirements == spec.requirements && second.work.job == spec.work.job &&
                second.connect == spec.connect);
  }
  return 0;
}
