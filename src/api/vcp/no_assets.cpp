#include "api/vcp/assets_internal.h"

namespace phase::vcp::api {

const std::vector<http::Asset>& assets() {
  static const std::vector<http::Asset> none;
  return none;
}

}  // namespace phase::vcp::api
