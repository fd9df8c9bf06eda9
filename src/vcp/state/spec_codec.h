// spec_codec.h — a task's spec as bytes of a row. Not on any wire; a later program reads older
// rows.
#pragma once

#include "base/result.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// All but id, owner, type, bid, submission time and stdin, which are columns.
[[nodiscard]] Bytes encode_spec(const Spec& spec);
/// Fills `spec`. Errors: Code::malformed.
[[nodiscard]] Result<void> decode_spec(ByteView bytes, Spec& spec);

}  // namespace phase::vcp
