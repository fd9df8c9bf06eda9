// inputs.h — what somebody submitted becomes the wasm job a task is.
#pragma once

#include <string_view>

#include "base/result.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// Fills arguments, entry, limits and stdin of `work` from the `inputs` of a wasm_execution task:
/// {"args"?: [text], "entrypoint"?: text, "stdin"?: text, "stdin_base64"?: text, "limits"?:
/// {"fuel"?, "memory_mb"?}}. Any other JSON value is the stdin, as text. Errors:
/// Code::invalid_argument naming the field, Code::too_large.
[[nodiscard]] Result<void> take_wasm_inputs(std::string_view inputs_json, Work& work);

/// The longest JSON text of inputs.
inline constexpr std::size_t kInputsBytesMax = 70_MiB;  // kTaskInputBytesMax in base64
inline constexpr std::uint64_t kTaskMemoryMbMax = 4'096;

}  // namespace phase::vcp
