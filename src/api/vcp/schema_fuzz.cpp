// Goal: no JSON breaks the check of a request, and what passes it can be read without looking
// again. Method: any text that parses, against the body of every operation.
#include <cstdlib>

#include <boost/json.hpp>

#include "api/faces/json_text.h"
#include "api/vcp/operation.h"
#include "api/vcp/times.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target
  static const auto operations = vcp::api::all_operations();
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto time = vcp::api::parse_utc(text)) {
    if (vcp::api::parse_utc(vcp::api::utc_text(*time)) != time) std::abort();
  }
  const auto value = faces::parse_json(text);
  if (!value) return 0;
  for (const auto& operation : operations) {
    if (!operation.body) continue;
    std::vector<vcp::api::FieldError> wrong;
    operation.body->check(*value, "", wrong);
    if (wrong.size() > vcp::api::kFieldErrorsMax) std::abort();
    if (!value->is_object() && wrong.empty()) std::abort();
  }
  return 0;
}
