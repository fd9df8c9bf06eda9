// runner.h — what the coordinator needs from whoever has a job done on one node: over the network
// in production, in memory in the simulation, on the coordinator's own worker for a second look.
#pragma once

#include <memory>
#include <optional>
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

/// Modules by their hash.
class ModuleStore {
 public:
  virtual ~ModuleStore() = default;
  /// Durable when it returns. Errors: Code::io, too_large.
  [[nodiscard]] virtual Task<Result<void>> keep(Sha256 sha256,
                                                std::shared_ptr<const Bytes> module) = 0;
  /// Errors: Code::not_found, io.
  [[nodiscard]] virtual Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256) = 0;
};

}  // namespace phase::vcp
