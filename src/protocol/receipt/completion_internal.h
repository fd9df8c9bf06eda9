// completion_internal.h — the encoding of a completion. For receipt's own sources only.
#pragma once

#include "base/cbor.h"
#include "protocol/receipt/receipt.h"

namespace phase::receipt {

/// Version of receipt, checkpoint and commit.
inline constexpr std::uint64_t kVersion = 2;

void write_completion(CborWriter& writer, const Completion& completion);
/// Reads key 0 of a statement. Code::version_unknown for another version.
[[nodiscard]] Result<void> read_version(CborMap& map, std::string_view what);

}  // namespace phase::receipt
