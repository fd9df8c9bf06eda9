#include "vcp/computation/computation.h"

#include "vcp/computation/module_internal.h"

namespace phase::vcp {

std::shared_ptr<const Bytes> computation_module() {
  return std::make_shared<const Bytes>(to_bytes(computation::assets().front().bytes));
}

}  // namespace phase::vcp
