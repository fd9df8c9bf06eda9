// computation.h — the WebAssembly module that `computation` tasks run; a part of the program.
//
// A WASI command: one JSON object on stdin, one on stdout (README). Exit code 0; 2 for bad input.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace phase::vcp {

[[nodiscard]] std::shared_ptr<const Bytes> computation_module();

}  // namespace phase::vcp
