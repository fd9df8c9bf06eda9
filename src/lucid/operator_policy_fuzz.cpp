// A policy file is somebody's text: it is read or refused, and what is read can be used.
#include "lucid/operator_policy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase::lucid;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto policy = parse_policy(text)) {
    if (policy->max_tokens_ceiling == 0 || policy->max_wall_seconds > 3600) __builtin_trap();
    (void)pause_reason(*policy, {{true, 20.0}, 12, 1});
    (void)serves_model(*policy, "tiny:latest");
  }
  const std::string_view pattern = text.substr(0, text.size() / 2);
  (void)glob_matches(pattern, text.substr(pattern.size()));
  return 0;
}
