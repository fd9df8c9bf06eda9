#include "api/dashboard/assets_internal.h"

namespace phase::dashboard {

const std::vector<http::Asset>& assets() {
  static const std::vector<http::Asset> none;
  return none;
}

}  // namespace phase::dashboard
