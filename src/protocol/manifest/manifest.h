// manifest.h — a job signed by its requester: who asks, of whom, until when. Normative:
// spec/manifest.md.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "identity/identity.h"
#include "protocol/job/job.h"

namespace phase::manifest {

struct JobIdTag;
/// SHA-256(Sig_structure) of the manifest: unique, covers signer and domain, not malleable.
using JobId = Hash<JobIdTag>;

/// How the result is to be known right (architecture: the ladder). Wire names: signature, audit,
/// redundancy, re-execute, dispute, proof.
enum class Level : std::uint8_t { signature = 0, audit, redundancy, re_execute, dispute, proof };
[[nodiscard]] std::string_view level_name(Level level) noexcept;
[[nodiscard]] Result<Level> level_from_name(std::string_view name);

inline constexpr Duration kLifetimeMax = 3600s;  ///< expires − created; longer is refused
inline constexpr Duration kClockSkewMax = 120s;  ///< created may be this far in the future
inline constexpr std::uint64_t kWallLimitMsMax = 3'600'000;

/// What the provider must have. Absent: anything.
struct Requirements {
  std::optional<std::uint64_t> cpu_cores;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::string> arch;  ///< "x86_64", "aarch64", …
  std::optional<std::string>
      runtime;  ///< class: the text before the first '-', for example "wasmtime"
  std::optional<std::string> region;
  friend bool operator==(const Requirements&, const Requirements&) = default;
};

/// Bytes of an architecture, runtime or region that is asked for.
inline constexpr std::size_t kRequirementBytesMax = 128;

struct Manifest {
  job::Job job;
  Requirements requirements;
  std::uint64_t wall_limit_ms = 30'000;  ///< backstop from start of the run; 1 … kWallLimitMsMax
  std::optional<identity::PublicKey> audience;  ///< the one provider meant; absent: any
  UtcTime created;
  UtcTime expires;
  std::array<std::uint8_t, 16> nonce{};
  Level level = Level::signature;
  std::optional<std::uint64_t> price_ceiling;  ///< credits, where they apply
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// A manifest whose form and signature hold. Time, audience, policy and replay are checked by
/// admission.
struct SignedManifest {
  Manifest manifest;
  identity::PublicKey requester;
  JobId id;
  Bytes envelope;  ///< exact bytes
};

[[nodiscard]] Bytes encode_payload(const Manifest& manifest);
[[nodiscard]] Result<Manifest> decode_payload(ByteView payload);

/// What `decode_payload` would say of this manifest's encoding: for those who build one from
/// somebody's words, before they sign it.
[[nodiscard]] Result<void> check(const Manifest& manifest);

[[nodiscard]] SignedManifest sign(const Manifest& manifest, const identity::KeyPair& key);
/// Errors: Code::malformed, too_large, version_unknown, verification_failed (signature).
[[nodiscard]] Result<SignedManifest> open(ByteView envelope);

/// Lifetime rules: expires > created, lifetime ≤ kLifetimeMax, created ≤ now + skew, now < expires
/// + 0. Errors: Code::expired, Code::invalid_argument.
[[nodiscard]] Result<void> check_time(const Manifest& manifest, UtcTime now);

/// Remembers job ids until they expire (spec/manifest.md §4). Implemented durably by store, in
/// memory by tests.
class ReplayRecord {
 public:
  virtual ~ReplayRecord() = default;
  /// Records `id`. Errors: Code::replayed when it is there already or `created` is older than the
  /// record reaches; Code::busy when the record is full (it refuses, never forgets).
  [[nodiscard]] virtual Result<void> admit(const JobId& id, UtcTime created, UtcTime expires,
                                           UtcTime now) = 0;
};
/// Ids remembered at once.
inline constexpr std::size_t kReplayRecordMax = 1'000'000;

}  // namespace phase::manifest
