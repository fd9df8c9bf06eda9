// codec_internal.h — the bodies of the two job kinds, for job.cpp only.
#pragma once

#include "base/cbor.h"
#include "protocol/job/job.h"

namespace phase::job {

void write_body(CborWriter& out, const WasmJob& job);
void write_body(CborWriter& out, const InferenceJob& job);
[[nodiscard]] Result<WasmJob> read_wasm(CborReader& in);
[[nodiscard]] Result<InferenceJob> read_inference(CborReader& in);

}  // namespace phase::job
