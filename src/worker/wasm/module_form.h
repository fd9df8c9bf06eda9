// module_form.h — what a module declares about its memory and table, read from its sections.
//
// The engine's C interface shows exported ones only, and a limit has to be compared with what a
// module starts with whether it exports it or not. Source: WebAssembly core specification 2.0,
// §5.5.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::worker {

struct ModuleForm {
  std::uint32_t memories = 0, tables = 0;  ///< defined, not imported
  std::uint64_t memory_bytes_min = 0;      ///< of all memories together
  std::uint64_t table_elements_min = 0;    ///< of all tables together
};

/// Reads a binary module. Checks what it needs to walk the sections, no more: the engine validates.
/// Errors: Code::malformed.
[[nodiscard]] Result<ModuleForm> decode_form(ByteView module);

}  // namespace phase::worker
