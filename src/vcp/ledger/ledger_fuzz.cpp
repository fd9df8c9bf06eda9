// Lines of a ledger's export, whatever they are: read or refused, and what is read is spelled once.
#include "base/check.h"
#include "vcp/ledger/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto entry = phase::vcp::parse_entry(line);
  if (entry) {
    const auto again = phase::vcp::parse_entry(phase::vcp::entry_json(*entry));
    PHASE_CHECK(again && *again == *entry);
  }
  return 0;
}
