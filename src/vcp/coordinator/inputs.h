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

/// The `inputs` of a connect_only task: duration_seconds, bandwidth_limit_mbps, egress_profile,
/// destination_policy_id, and nothing else but session_id and requester_id, which must be texts of
/// 1 to kConnectIdBytesMax bytes and say nothing: the coordinator makes sessions and knows who
/// asks. Errors: Code::invalid_argument naming the field.
[[nodiscard]] Result<ConnectWish> read_connect_inputs(std::string_view inputs_json);

/// The longest JSON text of inputs.
inline constexpr std::size_t kInputsBytesMax = 70_MiB;  // kTaskInputBytesMax in base64
inline constexpr std::uint64_t kTaskMemoryMbMax = 4'096;

}  // namespace phase::vcp
