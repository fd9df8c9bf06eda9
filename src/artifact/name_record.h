// name_record.h — "what I share under this name is that content", signed by who shares it.
// Normative: spec/artifact.md §4. Anybody may pass a record on; its signer answers for it.
#pragma once

#include <string>
#include <vector>

#include "artifact/frame.h"
#include "base/clock.h"
#include "identity/identity.h"
#include "protocol/job/job.h"

namespace phase::artifact {

/// Longest life of a record, and how far its making may lie in the reader's future.
inline constexpr std::uint64_t kRecordLifeMsMax = 7ULL * 86'400'000;
inline constexpr std::uint64_t kRecordSkewMsMax = 120'000;
inline constexpr std::size_t kWordBytesMax = 32;

struct NameRecord {
  std::string name;  ///< "tiny-chat:latest", in the one spelling of its kind
  job::ArtifactRef content;
  std::string kind = "model";   ///< or "module"
  std::string format = "gguf";  ///< or "wasm"
  UtcTime created, expires;
  friend bool operator==(const NameRecord&, const NameRecord&) = default;
};

struct SignedRecord {
  NameRecord record;
  identity::PublicKey publisher;
  Bytes envelope;
};

[[nodiscard]] SignedRecord sign(const NameRecord& record, const identity::KeyPair& key);
/// Errors: Code::malformed, too_large, verification_failed, and Code::expired at `now`.
[[nodiscard]] Result<SignedRecord> open_record(ByteView envelope, UtcTime now);
/// True when a record is what somebody asks for.
[[nodiscard]] bool fits(const NameRecord& record, const Names& asked);

/// The DHT key under which those who publish a name announce themselves.
[[nodiscard]] std::string name_key(std::string_view name);

}  // namespace phase::artifact
