// Goal: whatever a sessions document holds, what is taken of it is bounded, each session once.
// Method: any text as the document, as one entry's member, and as a rule.
#include <cstdlib>
#include <set>

#include "vcp/gateway/session.h"

namespace {

using namespace phase;         // NOLINT(google-build-using-namespace): a fuzz target
using namespace vcp;           // NOLINT(google-build-using-namespace): a fuzz target
using namespace vcp::gateway;  // NOLINT(google-build-using-namespace): a fuzz target

void check(const std::string& text) {
  const auto sessions = parse_sessions(text);
  if (!sessions) return;
  std::set<std::string> ids;
  if (sessions->size() > kSessionsMax) std::abort();
  for (const Session& session : *sessions) {
    if (!ids.insert(session.id).second || session.id.empty()) std::abort();
    if (session.allowed.size() > kDestinationsMax || session.mbps > kSessionMbpsMax) std::abort();
    for (const std::string& rule : session.allowed) {
      if (rule.empty() || rule == "*" || rule == "*.") std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text({data, size}));
  const std::string begin =
      R"([{"session_id":"s","session_token":"t","egress_profile":"allowlist_domains",)"
      R"("expires_at_epoch_seconds":1)";
  check(text);
  check(begin + "," + text + "}]");
  check(begin + R"(,"allowed_destinations":[")" + text + "\"]}]");
  check(begin + R"(},{"session_id":")" + text + "\"}]");
  return 0;
}
