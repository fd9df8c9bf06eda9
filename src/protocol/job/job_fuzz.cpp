// Goal: a job that is accepted has one spelling, and no bytes break the reader.
#include <cstdlib>

#include "protocol/job/job.h"
#include "protocol/job/parts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const phase::ByteView bytes(data, size);
  phase::CborReader reader(bytes);
  const auto summary = phase::job::read_summary(reader);
  if (summary && reader.offset() > size) std::abort();
  const auto job = phase::job::decode(bytes);
  if (!job) return 0;
  if (phase::job::encode(*job) != phase::to_bytes(bytes)) std::abort();
  if (!phase::job::check(*job)) std::abort();
  if (phase::job::complete(*job)) static_cast<void>(phase::job::execution_id(*job));
  return 0;
}
