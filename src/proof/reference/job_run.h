// job_run.h — a WebAssembly job of profile det-1, run by the reference interpreter.
//
// What a worker's engine must come to as well: the same output, the same end, the same fuel
// (spec/fuel.md). It is the oracle of tests, the judge of a dispute and, compiled for another
// machine, the program of a proof; it is not fast.
#pragma once

#include "proof/reference/store.h"
#include "protocol/job/job.h"
#include "wasi/wasi.h"

namespace phase::reference {

/// How a job ended. Its word in a receipt is the worker's (spec/receipt.md).
struct JobEnd {
  enum class Kind : std::uint8_t {
    exited,        ///< `exit_code`
    trapped,       ///< `stop` says why
    limited,       ///< Stop::fuel or Stop::stack
    output_limit,  ///< the world took no more
    memory_limit,  ///< the module's memory begins above the job's limit
    table_limit,
    entry_missing,
    entry_type,  ///< the entry is no function without parameters and results
  };
  Kind kind = Kind::exited;
  Stop stop = Stop::none;
  std::uint32_t exit_code = 0;
  /// Exact unless a limit ended the run. At a trap in a block that was not paid for, above the
  /// job's limit: an engine that looks less often than here may have said `out of fuel`.
  std::uint64_t fuel_used = 0;
  friend bool operator==(const JobEnd&, const JobEnd&) = default;
};

/// Runs `job` on `program`, which is its module. `world` brings stdin and takes output; its clocks
/// are not asked (wasi/deterministic.h).
/// Errors: Code::not_found for an import that is none of WASI's; Code::invalid_argument for one of
/// another type.
[[nodiscard]] Result<JobEnd> run_job(const Program& program, const job::WasmJob& job,
                                     wasi::World& world);

}  // namespace phase::reference
