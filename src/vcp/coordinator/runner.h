// runner.h — what the coordinator needs from whoever has a job done on one node: over the network
// in production, in memory in the simulation, on the coordinator's own worker for a second look.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "protocol/requester/requester.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// Output of one stream that is kept with a result; what goes beyond is counted and committed, not
/// kept.
inline constexpr std::size_t kResultBytesMax = 1_MiB;

struct RunOrder {
  NodeName node;
  identity::PublicKey key;
  std::shared_ptr<const Spec> spec;
  std::shared_ptr<const Bytes> module;
  bool commit_first = false;  ///< the node says what its output is before it shows it
};

/// What came of a run, as verified against the order: the receipt is for this job, this input, this
/// output, and signed by this node. Figures are the node's word.
struct RunResult {
  receipt::Completion completion;
  job::OutputSummary output;
  Bytes out, err;  ///< at most kResultBytesMax each
  bool truncated = false;
  std::optional<std::uint64_t> fuel, wall_ms, energy_mj;
  std::string job_id;  ///< hex
  Bytes manifest, receipt;
  std::string refused;  ///< the check that failed; empty: verified
};

/// Hears what happens meanwhile, on the coordinator's executor. Calls must not block.
class RunWatch {
 public:
  virtual ~RunWatch() = default;
  virtual void accepted(const std::string& job_id) = 0;
  virtual void committed() = 0;
  virtual void output(const job::OutputPiece& piece) = 0;
};

class Runner {
 public:
  virtual ~Runner() = default;
  /// One attempt on one node. `watch`, `cancel` and `gate` outlive the run. Errors: the node
  /// declined, was lost, fell silent, or broke the protocol; Code::cancelled.
  [[nodiscard]] virtual Task<Result<RunResult>> run(RunOrder order, RunWatch& watch,
                                                    requester::CancelToken& cancel,
                                                    requester::RevealGate& gate) = 0;
};

/// A use of a module is written down when the one that is written is so long ago.
inline constexpr Duration kModuleUseEvery = std::chrono::hours(12);

/// Modules by their hash, and when they were last used, to the nearest kModuleUseEvery.
class ModuleStore {
 public:
  virtual ~ModuleStore() = default;
  /// Durable when it returns; a use. Errors: Code::io, too_large.
  [[nodiscard]] virtual Task<Result<void>> keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                                UtcTime now) = 0;
  /// A use. Errors: Code::not_found, io.
  [[nodiscard]] virtual Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256,
                                                                       UtcTime now) = 0;
  /// Removes what was not used for `unused` (more than kModuleUseEvery) and is not `needed`; how
  /// many went. What was kept by a program that wrote no uses down counts as used now. Errors:
  /// Code::io.
  [[nodiscard]] virtual Task<Result<std::size_t>> sweep(UtcTime now, Duration unused,
                                                        std::set<Sha256> needed) = 0;
};

/// Whether what was last used at `used` may go.
[[nodiscard]] inline bool is_unused(UtcTime used, UtcTime now, Duration unused) {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(unused).count();
  return used.unix_ms < now.unix_ms &&
         now.unix_ms - used.unix_ms >= static_cast<std::uint64_t>(limit);
}

}  // namespace phase::vcp
