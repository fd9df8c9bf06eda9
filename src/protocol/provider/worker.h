// worker.h — what the provider needs from whoever runs jobs. Implemented by src/worker/wasm
// (production) and by tests/simulation (in memory). The provider owns manifest, receipt and stream;
// the worker only runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "identity/identity.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/receipt/receipt.h"

namespace phase::provider {

/// How a run ended, and what the worker measured.
struct WorkerExit {
  receipt::Completion completion;
  receipt::Claimed claimed;
  std::vector<std::string> isolation;  ///< layers that were in force
};

/// How far a long run came, and what its parts took; a claim.
struct WorkerProgress {
  std::string stage;  ///< a word of offer::Progress
  std::uint64_t done = 0, total = 0;
};

/// The worker wrote output, tells of progress, or it ended. After WorkerExit nothing follows.
using WorkerEvent = std::variant<job::OutputPiece, WorkerExit, WorkerProgress>;

/// One run. Belongs to the executor it was started on; destroying it kills the run and frees all it
/// held.
class Execution {
 public:
  virtual ~Execution() = default;
  /// Passes stdin bytes on. Suspends while the guest does not read (bounded buffer). After the run
  /// ended: succeeds and drops the bytes.
  [[nodiscard]] virtual Task<Result<void>> write_stdin(ByteView bytes) = 0;
  /// End of stdin. Idempotent.
  virtual void close_stdin() = 0;
  /// The next event. Errors only for Code::internal; a lost worker process is a WorkerExit
  /// {failed, "worker_lost"}.
  [[nodiscard]] virtual Task<Result<WorkerEvent>> next() = 0;
  /// Stops the run; `next` then delivers output already written, and WorkerExit with `completion`
  /// (for example {limited, "wall"} or {cancelled}). Takes effect within milliseconds, whatever the
  /// guest does.
  virtual void kill(receipt::Completion completion) = 0;
};

/// For whom a job runs: nothing that one leaves behind may reach another.
struct Caller {
  identity::PublicKey requester;
};

/// Runs jobs of one kind.
class Worker {
 public:
  virtual ~Worker() = default;

  /// Whether this worker takes such a job at all. Errors: Code::unsupported (another kind),
  /// Code::not_found (a model that is not here).
  [[nodiscard]] virtual Result<void> takes(const job::Job& job) const = 0;

  /// True when `start` needs no bytes for this job's module (compiled for its profile before, in
  /// memory or on disk).
  [[nodiscard]] virtual bool holds_module(const job::Job& job) const = 0;
  /// Makes the job's module ready: checks nothing but form, compiles in a process that never
  /// executes. `module` bytes were already compared with what the job names. Errors:
  /// Code::malformed with message naming the reason word first
  /// ("module_malformed: …", "import_undefined: …"), Code::too_large ("compile: …") for a compile
  /// limit, Code::timed_out ("compile: …").
  [[nodiscard]] virtual Task<Result<void>> prepare(const job::Job& job, ByteView module) = 0;
  /// Starts a run, of a prepared module where the kind has one. Wall limit is the provider's to
  /// enforce through kill(). Errors: Code::not_found when not prepared, Code::busy at the worker's
  /// own limit, Code::internal.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Execution>>> start(const job::Job& job,
                                                                       const Caller& caller) = 0;
};

}  // namespace phase::provider
