// policy.h — what this node agrees to do, for whom, how much.
//
// Others: default deny. A requester must be on the allowlist, or the node open; then the job must
// fit what the node has and grants, and a budget must be left. Own jobs (signed by this node and
// delivered by it) are taken whatever the allowlist, ceilings and budgets say. For everybody: only
// what this version can do. Belongs to one executor; never blocks.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "identity/identity.h"
#include "policy/budget.h"
#include "protocol/provider/provider.h"

namespace phase::policy {

/// What a job can be given here.
struct Resources {
  std::uint64_t cpu_cores = 1;
  std::uint64_t memory_bytes = 128_MiB;  ///< linear memory of one job
  std::string arch;                      ///< "x86_64"
  std::string runtime;                   ///< "wasmtime-48"
  std::optional<std::string> region;     ///< absent: a job that names a region goes elsewhere
};

/// The most one job of somebody else may ask. Above it the job is refused, never shortened: its
/// limits are part of what its receipt speaks of.
struct Ceilings {
  std::uint64_t wall_ms = 300'000;
  std::uint64_t output_bytes = 256_MiB;
  std::uint64_t table_elements = 10'000'000;
};

struct Options {
  identity::PublicKey self;
  Resources resources;  ///< cpu_cores and memory_bytes are ceilings too
  Ceilings ceilings;
  BudgetLimits budgets;
  /// Requesters who may send jobs: the keys that sign their manifests (a peer id is a key).
  std::vector<identity::PublicKey> allow;
  bool open = false;         ///< anybody may, within ceilings and budgets
  bool takes_others = true;  ///< false: requester only; every job of somebody else is refused
};

/// A key of 64 hexadecimal digits or a peer id. Errors: Code::malformed.
[[nodiscard]] Result<identity::PublicKey> parse_requester(std::string_view text);

class Policy final : public provider::AdmissionPolicy {
 public:
  Policy(Clock& clock, Options options);

  [[nodiscard]] std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest& request) override;
  /// Whether `who` may have anything of this node: its jobs are looked at, its questions for
  /// modules answered.
  [[nodiscard]] bool lets_in(const identity::PublicKey& who) const;

 private:
  [[nodiscard]] std::optional<provider::Refused> refuse_who(
      const identity::PublicKey& requester) const;
  [[nodiscard]] std::optional<provider::Refused> refuse_place(
      const manifest::Requirements& needs) const;
  [[nodiscard]] std::optional<provider::Refused> refuse_size(const manifest::Manifest& manifest,
                                                             const job::WasmJob& job) const;
  [[nodiscard]] std::optional<provider::Refused> refuse_rate(
      const provider::AdmissionRequest& request);

  Clock& clock_;
  Options options_;
  std::unordered_set<identity::PublicKey, HashHasher> allow_;
  Budget budget_;
};

}  // namespace phase::policy
