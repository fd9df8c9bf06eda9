// Whatever a client posts: an error or a submission whose job has an encoding.
#include <cstdlib>

#include "api/control/job_book.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = phase::control::parse_submission({reinterpret_cast<const char*>(data), size},
                                                     phase::control::JobBookLimits{});
  if (read && phase::job::encode(read->job).size() > phase::job::kJobBytesMax) {
    std::abort();
  }
  if (!read && read.error().message.empty()) {
    std::abort();
  }
  return 0;
}
