// completion.h — the encoding of how a run ended (spec/receipt.md §5), shared by receipt and
// commit.
#pragma once

#include "base/cbor.h"
#include "protocol/receipt/receipt.h"

namespace phase::receipt {

void write_completion(CborWriter& out, const Completion& completion);
/// Errors: Code::malformed, version_unknown.
[[nodiscard]] Result<Completion> read_completion(CborReader& in);

}  // namespace phase::receipt
