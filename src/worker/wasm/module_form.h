// module_form.h — what a module declares, read from its sections, where the engine does not tell or
// does not do as a job needs it.
//
// The engine's C interface shows exported ones only, and a limit has to be compared with what a
// module starts with whether it exports it or not. Source: WebAssembly core specification 2.0,
// §5.5.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::worker {

struct ModuleForm {
  std::uint32_t memories = 0, tables = 0;  ///< defined, not imported
  std::uint64_t memory_bytes_min = 0;      ///< of all memories together
  std::uint64_t table_elements_min = 0;    ///< of all tables together
  std::uint32_t exports = 0;
  std::optional<std::uint32_t> start;  ///< the start function
};

/// Reads a binary module. Checks what it needs to walk the sections, no more: the engine validates.
/// Errors: Code::malformed.
[[nodiscard]] Result<ModuleForm> decode_form(ByteView module);

/// The same module without its start function being called: it is the last of the exports instead,
/// one more than `ModuleForm::exports`. Instantiation then runs nothing of the module's, and fuel
/// can be counted from where its code begins (spec/fuel.md). `module` must be valid.
/// Errors: Code::malformed; Code::invalid_argument without a start function.
[[nodiscard]] Result<Bytes> start_as_export(ByteView module);

}  // namespace phase::worker
