// Answers of a DNS server, which may be anybody.
#include "base/check.h"
#include "dns_bootstrap.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto found = phase::lucidd::read_txt_answer({data, size});
  if (found) {
    PHASE_CHECK(found->size() <= phase::lucidd::kDnsAddressesMax);
    for (const std::string& address : *found) {
      PHASE_CHECK(address.starts_with('/') && address.find("/p2p/") != std::string::npos);
    }
  }
  return 0;
}
