// compile.h — has a module compiled by a child that never executes.
#pragma once

#include "worker/sandbox/launcher.h"
#include "worker/wasm/module_store.h"
#include "worker/wasm/wasm_worker.h"

namespace phase::worker {

/// Errors: Code::malformed ("module_malformed: …", "import_undefined: …"), Code::too_large and
/// Code::timed_out
/// ("compile: …"), Code::internal. `module` must stay until the task is done.
[[nodiscard]] Task<Result<ModuleWriter::Sealed>> compile_in_child(
    std::shared_ptr<sandbox::Child> child, job::Profile profile, ByteView module,
    ModuleWriter writer, CompileLimits limits);

}  // namespace phase::worker
