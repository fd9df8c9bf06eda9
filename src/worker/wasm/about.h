// about.h — what a worker program of kind `wasm` says of itself when it is ready.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"

namespace phase::worker {

struct About {
  std::string runtime;  ///< for receipts, for example "wasmtime-48"
  Sha256 fingerprint;   ///< equal for engines that can run each other's compiled modules
};
[[nodiscard]] Bytes encode(const About& about);
/// Errors: Code::malformed.
[[nodiscard]] Result<About> decode_about(ByteView bytes);

}  // namespace phase::worker
